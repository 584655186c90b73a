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
from orderd.ctl.findings import Finding
from orderd.ctl.request import add_timeout_argument, add_token_argument, token_of
from orderd.ctl.tables import Column, Table
from orderd.protocol.exit_codes import ExitCode
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
)
TIMEOUT_S: Final = 3.0


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_token_argument(parser)
    add_timeout_argument(parser, TIMEOUT_S)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print what was found; a failure where something is not well."""
    settings, console = context.settings, context.console
    # An address that cannot be read is no state of a server: it ends the command.
    endpoint_of(settings)
    checked_dsn(settings)
    found = look_at_broker(settings, token_of(options), options.timeout_s)
    found += look_at_database(settings)
    by_part = {finding.part: finding for finding in found}
    findings = [by_part.get(part, _unknown(part)) for part in PARTS]
    findings = [_with_one_here(one, settings) if one.part == "daemon" else one for one in findings]
    is_well = all(finding.is_well for finding in findings)
    if console.is_json:
        parts = {finding.part: finding.document() for finding in findings}
        console.document({"ok": is_well, **parts})
    else:
        console.table(_parts(findings))
        for finding in findings:
            if "queues" in finding.facts:
                console.line()
                console.table(_queues(finding))
    return ExitCode.DONE if is_well else ExitCode.FAILED


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
    return Finding(part, is_well=False, summary="unknown (no connection)")


def _parts(findings: Sequence[Finding]) -> Table:
    rows = [(one.part, "ok" if one.is_well else "NOT OK", one.summary) for one in findings]
    return Table((Column("part"), Column("state"), Column("details", is_long=True)), rows)


def _queues(finding: Finding) -> Table:
    columns = (Column("queue"), Column("ready", is_right=True), Column("consumers", is_right=True))
    rows = [
        (row["queue"], _count(row["ready"]), _count(row["consumers"]))
        for row in finding.facts["queues"]
    ]
    return Table(columns, rows)


def _count(number: int | None) -> str:
    return "missing" if number is None else str(number)
