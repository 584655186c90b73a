"""`orderctl config`: the settings in force, and what is wrong with them."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from orderd.ctl.client import endpoint_of
from orderd.ctl.context import Context
from orderd.ctl.database import checked_dsn
from orderd.ctl.errors import Misconfigured
from orderd.ctl.tables import Column, Table
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.tenants import NOTIFY, ORDERD, TENANTS
from orderd.runtime.config_errors import ConfigError, Problem
from orderd.runtime.installation import DAEMON, NOTIFIER, Account

if TYPE_CHECKING:
    from orderd.config.settings import Settings


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    shown = verbs.add_parser("show", help="show every setting, its value and its source")
    shown.set_defaults(run=show)
    checked = verbs.add_parser("check", help="report every error; exit with 78 if there is one")
    checked.set_defaults(run=check)
    for verb in (shown, checked):
        verb.add_argument(
            "--program",
            choices=[tenant.program for tenant in TENANTS],
            default=ORDERD.program,
            help="the daemon whose settings they are; default: orderd",
        )
    example = verbs.add_parser(
        "example", help="print an example file with every setting and its default"
    )
    example.set_defaults(run=show_example)


def show(_options: argparse.Namespace, context: Context) -> int:
    """Print the settings, passwords hidden."""
    # Loaded here, because the settings' models take longer than all the rest.
    from orderd.config.reference import describe  # noqa: PLC0415
    from orderd.db.options import shown_dsn  # noqa: PLC0415

    rows = describe(context.settings, {"database_url": shown_dsn})
    if context.console.is_json:
        context.console.items(asdict(row) for row in rows)
    else:
        columns = (Column("setting"), Column("value", is_long=True), Column("source", is_long=True))
        cells = [(row.key, row.value, row.source) for row in rows]
        context.console.table(Table(columns, cells))
    return ExitCode.DONE


def check(_options: argparse.Namespace, context: Context) -> int:
    """Say whether the daemon could start with these settings."""
    from orderd.config.authorization import described  # noqa: PLC0415 - as above

    settings, problems = _checked(context)
    warnings = [] if settings is None or problems else _warnings(settings)
    if context.console.is_json:
        listed = [asdict(problem) for problem in problems]
        mode = None if settings is None else settings.authorization_mode
        context.console.document(
            {
                "ok": not problems,
                "problems": listed,
                "warnings": warnings,
                "authorization": mode,
            }
        )
    elif problems:
        context.console.complain("\n".join(map(str, problems)))
    elif settings is not None:
        context.console.line("the configuration is valid")
        context.console.say(f"authorization: {described(settings)}")
        for warning in warnings:
            context.console.note(f"warning: {warning}")
    return ExitCode.CONFIG if problems else ExitCode.DONE


def show_example(_options: argparse.Namespace, context: Context) -> int:
    """Print a configuration file in which every line is a comment."""
    from orderd.ctl.config_example import config_example  # noqa: PLC0415 - as above

    text = config_example()
    if context.console.is_json:
        context.console.document({"orderd.toml": text})
    else:
        context.console.line(text.rstrip())
    return ExitCode.DONE


def _checked(context: Context) -> tuple["Settings | None", tuple[Problem, ...]]:
    """Return the settings, where there are any, and what is wrong with them."""
    try:
        settings = context.load_settings()
    except ConfigError as error:
        return None, error.problems
    found: list[Problem] = []
    account = NOTIFIER if context.tenant == NOTIFY else DAEMON
    for key, read in (("database_url", checked_dsn), ("rabbitmq_url", endpoint_of)):
        try:
            read(_with_hidden_files(settings, account))
        except Misconfigured as failure:
            if isinstance(failure.__cause__, ConfigError):
                found += failure.__cause__.problems
                continue
            reason = str(failure.__cause__).removeprefix(f"{key}: ")
            found.append(Problem(key, reason, settings.origins.get((key,), "")))
    found += _of_notifications(settings) if context.tenant == NOTIFY else _of_keys(settings)
    return settings, tuple(found)


def _warnings(settings: "Settings") -> list[str]:
    """Return which servers are spoken to in clear, or without a check of who they are."""
    from orderd.config.broker_tls import unencrypted_brokers  # noqa: PLC0415 - as above
    from orderd.db.options import unchecked_hosts  # noqa: PLC0415 - as above

    dsn = settings.database_url.get_secret_value()
    return [*unencrypted_brokers(settings), *unchecked_hosts(dsn)]


def _with_hidden_files(settings: "Settings", account: Account) -> "Settings":
    """Return *settings* without the files of TLS where URL or files may be hidden credentials."""
    from orderd.config.broker_tls import without_files  # noqa: PLC0415 - as above
    from orderd.ctl.installed import are_hidden  # noqa: PLC0415 - as above

    return without_files(settings) if are_hidden(account) else settings


def _of_keys(settings: "Settings") -> list[Problem]:
    """Return why the keys of JWTs cannot be used, where those are accepted.

    A file that may be among credentials which this user may not read counts as given.
    """
    from orderd.config.jwt import usable_keys  # noqa: PLC0415 - as above
    from orderd.ctl.installed import are_hidden  # noqa: PLC0415 - as above

    jwt = settings.jwt
    if jwt is None or not settings.takes_jwt or (not jwt.keys and are_hidden(DAEMON)):
        return []
    try:
        usable_keys(jwt)
    except ConfigError as error:
        return list(error.problems)
    return []


def _of_notifications(settings: "Settings") -> list[Problem]:
    """Return why orderd-notify could not send: what its channels and templates lack.

    A password that may be among credentials which this user may not read counts as given.
    """
    from orderd.ctl.installed import are_hidden  # noqa: PLC0415 - as above
    from orderd.notify.channels.build import build_channels  # noqa: PLC0415 - as above
    from orderd.notify.templates import Templates  # noqa: PLC0415 - as above

    own = settings.notify.templates
    if are_hidden(NOTIFIER):
        settings = settings.model_copy(update={"notify": settings.notify.with_any_passwords()})
    found: list[Problem] = []
    for build in (
        lambda: build_channels(settings, lambda: None),
        lambda: Templates.load(Path(own) if own else None),
    ):
        try:
            build()
        except ConfigError as error:
            found += error.problems
    return found
