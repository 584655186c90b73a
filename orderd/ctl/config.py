"""`orderctl config`: the settings in force, and what is wrong with them."""

import argparse
from dataclasses import asdict

from orderd.ctl.client import endpoint_of
from orderd.ctl.context import Context
from orderd.ctl.exits import ExitCode, Misconfigured
from orderd.ctl.tables import Column, Table
from orderd.ops.faults import ConfigError, Problem
from orderd.ops.reference import describe


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    shown = verbs.add_parser("show", help="every setting, its value and where that came from")
    shown.set_defaults(run=show)
    checked = verbs.add_parser("check", help="everything that is wrong; exit with 78 then")
    checked.set_defaults(run=check)


def show(_options: argparse.Namespace, context: Context) -> int:
    """Print the settings, passwords hidden."""
    rows = describe(context.settings)
    if context.screen.is_json:
        context.screen.document([asdict(row) for row in rows])
    else:
        columns = (Column("setting"), Column("value"), Column("source"))
        cells = [(row.key, row.value, row.source) for row in rows]
        context.screen.table(Table(columns, cells))
    return ExitCode.DONE


def check(_options: argparse.Namespace, context: Context) -> int:
    """Say whether the daemon could start with these settings."""
    problems = _problems(context)
    if context.screen.is_json:
        listed = [asdict(problem) for problem in problems]
        context.screen.document({"ok": not problems, "problems": listed})
    elif not problems:
        context.screen.line("the configuration can be used")
    for problem in problems:
        context.screen.complain(str(problem))
    return ExitCode.CONFIG if problems else ExitCode.DONE


def _problems(context: Context) -> tuple[Problem, ...]:
    try:
        endpoint_of(context.load_settings())
    except ConfigError as error:
        return error.problems
    except Misconfigured as error:
        return (Problem("rabbitmq_url", str(error.__cause__)),)
    return ()
