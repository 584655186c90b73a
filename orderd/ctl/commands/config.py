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
from orderd.runtime.installation import NOTIFIER

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
    if context.console.is_json:
        listed = [asdict(problem) for problem in problems]
        mode = None if settings is None else settings.authorization_mode
        context.console.document({"ok": not problems, "problems": listed, "authorization": mode})
    elif problems:
        context.console.complain("\n".join(map(str, problems)))
    elif settings is not None:
        context.console.line("the configuration is valid")
        context.console.say(f"authorization: {described(settings)}")
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
    found = []
    for key, read in (("database_url", checked_dsn), ("rabbitmq_url", endpoint_of)):
        try:
            read(settings)
        except Misconfigured as failure:
            reason = str(failure.__cause__).removeprefix(f"{key}: ")
            found.append(Problem(key, reason, settings.origins.get((key,), "")))
    if context.tenant == NOTIFY:
        found += _of_notifications(settings)
    return settings, tuple(found)


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
