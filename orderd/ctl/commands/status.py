"""`orderctl status`: the state of daemon, queues and database, or why it is unknown."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orderd.ctl.broker_findings import look_at_broker
from orderd.ctl.client import endpoint_of
from orderd.ctl.commands import health
from orderd.ctl.context import Context
from orderd.ctl.database import checked_dsn
from orderd.ctl.database_findings import look_at_database
from orderd.ctl.errors import Failure, WrongUsage
from orderd.ctl.findings import Finding
from orderd.ctl.request import add_timeout_argument, add_token_argument, token_of
from orderd.ctl.status.nagios import level_of, nagios_line, unknown_line
from orderd.ctl.status.report import UNKNOWN, Report, figures_of
from orderd.ctl.status.thresholds import Level, add_threshold_arguments, judged, limits_of
from orderd.ctl.status.view import show
from orderd.ctl.watch import add_watch_argument, watched
from orderd.runtime.health_file import default_path

if TYPE_CHECKING:
    from orderd.config.settings import Settings

PARTS: Final = (
    "broker",
    "queues",
    "daemon",
    "database",
    "schema",
    "pauses",
    "authorization",
    "ledger",
    "outbox",
    "locks",
    "notifications",
)
TIMEOUT_S: Final = 3.0


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_token_argument(parser)
    add_timeout_argument(parser, TIMEOUT_S)
    add_threshold_arguments(parser)
    parser.add_argument(
        "--nagios",
        action="store_true",
        help="print one line with performance data; exit with 0 OK, 1 WARNING, 2 CRITICAL, "
        "3 UNKNOWN",
    )
    add_watch_argument(parser)
    parser.epilog = (
        "Exit codes: 0 all is well, 1 something is not well, 3 nothing is wrong, but a limit could "
        "not be checked."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print what was found; a failure where something is not well."""
    if options.nagios:
        return _check(options, context)
    return watched(options, context.console, lambda: _show(options, context))


def _show(options: argparse.Namespace, context: Context) -> int:
    report, console = _look(options, context), context.console
    if console.is_json:
        console.document(report.document())
    else:
        show(report, console)
    return report.code


def _check(options: argparse.Namespace, context: Context) -> int:
    """Print one line, whatever happens, and return what Nagios takes for the state."""
    console = context.console
    try:
        report = _look(options, context)
    except Exception as error:  # noqa: BLE001 - Nagios would take the code 1 for a warning
        fault = "" if isinstance(error, Failure | OSError) else f"{type(error).__name__}: "
        console.line(unknown_line(f"{fault}{error}"))
        return Level.UNKNOWN
    console.line(nagios_line(report))
    return level_of(report)


def _look(options: argparse.Namespace, context: Context) -> Report:
    """Return the state of all parts; raises Failure only for what is no state of a server."""
    if options.nagios and (options.json or options.watch is not None):
        raise WrongUsage("--nagios goes with neither --json nor --watch")
    warn, crit = limits_of("--warn", options.warn), limits_of("--crit", options.crit)
    judged({}, warn, crit)
    settings = context.settings
    # An address that cannot be read is no state of a server: it ends the command.
    endpoint_of(settings)
    checked_dsn(settings)
    findings = _findings(settings, token_of(options), options.timeout_s)
    return Report(findings, judged(figures_of(findings), warn, crit))


def _findings(settings: "Settings", token: str | None, timeout_s: float) -> Sequence[Finding]:
    found = look_at_broker(settings, token, timeout_s)
    found += look_at_database(settings)
    by_part = {finding.part: finding for finding in found}
    findings = [by_part.get(part, _unknown(part)) for part in PARTS]
    return [_with_one_here(one, settings) if one.part == "daemon" else one for one in findings]


def _with_one_here(finding: Finding, settings: "Settings") -> Finding:
    """Return the same, with what the daemon on this machine leaves to others, if it does."""
    path = settings.health_file or default_path(os.environ)
    here = health.look(path)
    if not (here["live"] and here["standing_by"]):
        return finding
    summary = f"{finding.summary}; here: {health.state_of(here)}"
    told = {name: here[name] for name in ("pid", "state", "standing_by")}
    return replace(finding, summary=summary, facts={**finding.facts, "here": told})


def _unknown(part: str) -> Finding:
    return Finding(part, is_well=False, summary=UNKNOWN)
