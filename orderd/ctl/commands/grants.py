"""`orderctl grants`: print what each role needs of PostgreSQL and RabbitMQ, and no more."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderd.amqp.permissions import permissions_of
from orderd.ctl.client import endpoint_of
from orderd.ctl.context import Context
from orderd.ctl.database import checked_dsn
from orderd.ctl.errors import WrongUsage
from orderd.ctl.grants import database, rabbitmq
from orderd.db.privileges import PRIVILEGES, WITH_IDS
from orderd.db.search_path import schema_of
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.roles import DEFAULT_NAMES, Role

# What PostgreSQL keeps for itself, and what a shell would take for an option, is no name.
_NAME: Final = re.compile(r"(?!pg_|-).+", re.DOTALL)
_NO_ROLES: Final = ("public", "none")
_NAME_BYTES_MAX: Final = 63


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--role",
        dest="roles",
        action="append",
        choices=[str(role) for role in Role],
        help="only this role; may be repeated",
    )
    parser.add_argument(
        "--name",
        dest="names",
        metavar="[ROLE=]NAME",
        action="append",
        default=[],
        help="what the role is called, at PostgreSQL and RabbitMQ; default: "
        + ", ".join(f"{role}={name}" for role, name in DEFAULT_NAMES.items()),
    )
    parser.add_argument(
        "--schema",
        metavar="NAME",
        help="schema of the tables; default: the first of search_path in database_url, else public",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--database", action="store_true", help="print the SQL alone, a script for psql"
    )
    part.add_argument(
        "--rabbitmq",
        action="store_true",
        help="print the commands of rabbitmqctl alone, a script for a shell",
    )
    part.add_argument(
        "--definitions",
        action="store_true",
        help="print RabbitMQ's permissions as definitions to import, for users that exist",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print the grants of all roles, or of those that were named."""
    chosen = [role for role in Role if not options.roles or role in options.roles]
    names = _names(options.names, chosen)
    settings, console = context.settings, context.console
    schema = options.schema
    if schema is None:
        schema = schema_of(checked_dsn(settings))
    _check_name("--schema", schema)
    vhost = str(endpoint_of(settings).targets()[0].parameters.virtual_host)
    if options.definitions:
        console.document(rabbitmq.definitions(chosen, names, vhost))
    elif console.is_json:
        roles = [_document(role, names[role]) for role in chosen]
        console.document({"schema": schema, "vhost": vhost, "roles": roles})
    else:
        if not options.rabbitmq:
            console.write(database.script(database.Grants(chosen, names, schema)))
        if not options.database:
            console.write(rabbitmq.script(chosen, names, vhost))
        if not (options.database or options.rabbitmq):
            console.note("pass --database or --rabbitmq to print one script, ready to run")
    return ExitCode.DONE


def _names(given: Sequence[str], chosen: Sequence[Role]) -> Mapping[Role, str]:
    """Return what all roles are called; raises WrongUsage."""
    names = dict(DEFAULT_NAMES)
    for text in given:
        role, is_named, name = text.rpartition("=")
        if is_named and role not in tuple(Role):
            raise WrongUsage(f"--name {text}: no role {role}; roles are {', '.join(Role)}")
        if not is_named and len(chosen) > 1:
            raise WrongUsage(f"--name {text}: say whose name it is: ROLE={text}")
        if name in _NO_ROLES:
            raise WrongUsage(f"--name: {name} is no name of a role")
        _check_name("--name", name)
        names[Role(role) if is_named else chosen[0]] = name
    if len(set(names.values())) < len(names):
        raise WrongUsage("--name: two roles have the same name")
    return names


def _check_name(option: str, name: str) -> None:
    is_short = len(name.encode(errors="surrogatepass")) <= _NAME_BYTES_MAX
    if not (is_short and _NAME.fullmatch(name) and name.isprintable()):
        raise WrongUsage(
            f"{option}: {name!a} is no name: 1 to {_NAME_BYTES_MAX} bytes of printable "
            "characters that begin with neither pg_ nor -"
        )


def _document(role: Role, name: str) -> dict[str, Any]:
    permissions = permissions_of(role)
    return {
        "role": str(role),
        "name": name,
        "privileges": PRIVILEGES[role],
        "ids_of": WITH_IDS.get(role, ()),
        "permissions": {
            "configure": permissions.configure,
            "write": permissions.write,
            "read": permissions.read,
        },
        "topic_permissions": [
            {"exchange": topic.exchange, "write": topic.write, "read": topic.read}
            for topic in permissions.topics
        ],
    }
