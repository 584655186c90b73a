"""Least privilege in RabbitMQ: commands of rabbitmqctl for a shell, or definitions to import."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orderd.amqp.permissions import permissions_of
from orderd.ctl.json_text import compact
from orderd.protocol.roles import PURPOSES, Role

_HEAD: Final = """# Least privilege for orderd in RabbitMQ. Run it where rabbitmqctl works:
#   orderctl grants --rabbitmq | sh
# It may be run again at any time. Users are created without a password, and cannot log in with one
# until it is set: rabbitmqctl change_password USER
set -eu
{
users=$(rabbitmqctl -s list_users | cut -f 1)
user() {
    if ! printf '%s\\n' "$users" | grep -Fqx -e "$1"; then
        rabbitmqctl -q add_user "$1" "$(head -c 24 /dev/urandom | base64)"
        rabbitmqctl -q clear_password "$1"
    fi
}
file=$(mktemp)
chmod 644 "$file"
trap 'rm -f "$file"' EXIT
"""
# rabbitmqctl would read what the shell is to read next.
_END: Final = "} </dev/null\n"


def script(roles: Sequence[Role], names: Mapping[Role, str], vhost: str) -> str:
    """Return the commands, with the end of the last line."""
    lines = [line for role in roles for line in _commands(role, names[role], vhost)]
    return "".join([_HEAD, *(f"{line}\n" for line in lines), _END])


def _commands(role: Role, name: str, vhost: str) -> Iterator[str]:
    permissions = permissions_of(role)
    where = ["rabbitmqctl", "-q"]
    yield f"\n# {role}: {PURPOSES[role]}"
    yield f"user {shlex.quote(name)}"
    patterns = (permissions.configure, permissions.write, permissions.read)
    yield shlex.join([*where, "set_permissions", "-p", vhost, name, *patterns])
    if permissions.topics:
        # Since RabbitMQ 4.3, topic permissions are for exchanges that are there.
        exchanges = compact({"exchanges": _exchanges(role, vhost)})
        yield f'printf %s {shlex.quote(exchanges)} >"$file"'
        yield 'rabbitmqctl -q import_definitions "$file"'
    for topic in permissions.topics:
        keys = (topic.exchange, topic.write, topic.read)
        yield shlex.join([*where, "set_topic_permissions", "-p", vhost, name, *keys])


def definitions(roles: Sequence[Role], names: Mapping[Role, str], vhost: str) -> dict[str, Any]:
    """Return what `rabbitmqctl import_definitions` takes, without the users, who must exist."""
    exchanges: list[dict[str, Any]] = []
    permissions: list[dict[str, str]] = []
    topics: list[dict[str, str]] = []
    for role in roles:
        own = permissions_of(role)
        who = {"user": names[role], "vhost": vhost}
        permissions.append(
            {**who, "configure": own.configure, "write": own.write, "read": own.read}
        )
        exchanges += _exchanges(role, vhost)
        topics += [
            {**who, "exchange": topic.exchange, "write": topic.write, "read": topic.read}
            for topic in own.topics
        ]
    return {"exchanges": exchanges, "permissions": permissions, "topic_permissions": topics}


def _exchanges(role: Role, vhost: str) -> list[dict[str, Any]]:
    """Return the exchanges of its topic permissions, as orderd declares them."""
    as_declared = {"type": "topic", "durable": True, "auto_delete": False, "internal": False}
    return [
        {"name": topic.exchange, "vhost": vhost, **as_declared, "arguments": {}}
        for topic in permissions_of(role).topics
    ]
