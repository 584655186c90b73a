"""`orderctl topology`: the broker's queues and exchange, as they are and as orderd needs them."""

import argparse
import os
from dataclasses import asdict
from typing import Any, Final

from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.declaration import Declaration
from orderd.amqp.faults import ACCESS_REFUSED, ChannelFault
from orderd.amqp.inspection import (
    Kind,
    Needed,
    declare_listeners,
    find,
    is_former,
    needed,
    unusable,
)
from orderd.ctl.broker import broker_of
from orderd.ctl.client import endpoint_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.json_text import compact
from orderd.ctl.lint.check import Lint, lint
from orderd.ctl.lint.queue_facts import QueueFacts, queue_facts
from orderd.ctl.lint.replacement import replace
from orderd.ctl.management import URL_VARIABLE, Management, ManagementFault, management_of
from orderd.ctl.tables import Column, Table
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.tenants import NOTIFY, ORDERD

MISSING: Final = "missing"
HIDDEN: Final = "there; this user may not declare it, so it was not compared"
_FOR_NOTIFY: Final = "not declared, for orderd-notify only"
# What may be missing.
_NOT_THERE: Final = {
    Kind.EVENTS: "not declared, for listeners only",
    Kind.NOTIFICATIONS: _FOR_NOTIFY,
    Kind.RETRY: _FOR_NOTIFY,
    Kind.DEAD_LETTERS: _FOR_NOTIFY,
}
FORMER: Final = "declared by an earlier version; may lose messages when their delay ends"
_COLUMNS: Final = (
    Column("name"),
    Column("for", is_extra=True),
    Column("state", is_long=True),
    Column("type", is_extra=True),
    Column("ready", is_right=True),
    Column("consumers", is_right=True),
    Column("arguments", is_long=True, is_extra=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    applied = verbs.add_parser("apply", help="declare the missing exchanges and queues")
    applied.add_argument(
        "--events",
        action="store_true",
        help="also declare the queues that receive events, those of orderd-notify among them; one "
        "without a consumer fills the disk",
    )
    applied.set_defaults(run=apply)
    shown = verbs.add_parser("show", help="show the actual and the required topology")
    shown.set_defaults(run=show)
    linted = verbs.add_parser(
        "lint",
        help="report what in the broker contradicts the settings, with the fix; exit with 1 if "
        "anything does, with 3 if not everything could be checked",
    )
    linted.set_defaults(run=check)
    for verb in (shown, linted):
        verb.add_argument(
            "--management-url",
            metavar="URL",
            default=os.environ.get(URL_VARIABLE) or None,
            help="RabbitMQ's management API: http://[USER:PASSWORD@]HOST:PORT, by default with the "
            f"user of the broker's URL; default: {URL_VARIABLE}, else port 15672 of its host",
        )


def apply(options: argparse.Namespace, context: Context) -> int:
    """Declare everything; what exists is left as it is, but for retry queues of former versions."""
    settings, console = context.settings, context.console
    left: dict[str, str] = {}
    replaced: list[str] = []
    with broker_of(settings) as publisher:
        connection = publisher.connection
        for tenant in (ORDERD, NOTIFY) if options.events else (ORDERD,):
            declaration = Declaration(
                connection, settings.retry_delays, settings.queue_type, tenant
            )
            declaration.look()
            declaration.everything()
            for each in needed(settings.retry_delays):
                if each.name in declaration.former:
                    why = declaration.hindrance or replace(connection, each)
                    left |= {} if why is None else {each.name: why}
                    replaced += [each.name] if why is None else []
        if options.events:
            declare_listeners(connection, settings.queue_type)
        names = [
            each.name
            for each in needed(settings.retry_delays)
            if options.events or not each.is_optional
        ]
    if console.is_json:
        console.document({"there": names, "replaced": replaced, "left": left})
        return ExitCode.DONE
    console.say(f"all there: {', '.join(names)}")
    if replaced:
        console.say(f"replaced: {', '.join(replaced)}")
    for name, why in left.items():
        console.note(f"{name} remains as an earlier version declared it: {why}")
    return ExitCode.DONE


def show(options: argparse.Namespace, context: Context) -> int:
    """Print each queue and exchange; what AMQP does not tell comes from the management API."""
    settings, console = context.settings, context.console
    with broker_of(settings) as publisher:
        management = _management(options, context, publisher)
        facts: dict[str, QueueFacts] = {}
        not_checked: list[str] = []
        try:
            facts = queue_facts(management)
        except ManagementFault as fault:
            not_checked.append(f"cannot determine actual types, arguments and policies: {fault}")
        rows = [
            _row(publisher, each, facts.get(each.name)) for each in needed(settings.retry_delays)
        ]
    if console.is_json:
        console.items(rows, not_checked=not_checked)
    else:
        console.table(Table(_COLUMNS, [_cells(row) for row in rows]))
    for text in not_checked:
        console.note(text)
    return ExitCode.DONE


def check(options: argparse.Namespace, context: Context) -> int:
    """Print every contradiction; a failure where there is one."""
    settings, console = context.settings, context.console
    with broker_of(settings) as publisher:
        found = lint(settings, publisher, _management(options, context, publisher))
    code = ExitCode.NOT_CHECKED if found.not_checked else ExitCode.DONE
    if found.contradictions:
        code = ExitCode.FAILED
    if console.is_json:
        console.items(
            map(asdict, found.contradictions),
            ok=code == ExitCode.DONE,
            delivery_limits=[
                {"queue": name, "limit": limit.value, "source": limit.source}
                for name, limit in found.delivery_limits.items()
            ],
            shared=[{"queue": name, "consumers": count} for name, count in found.shared.items()],
            not_checked=found.not_checked,
            warnings=found.warnings,
            by_hand=found.by_hand,
        )
    else:
        _show_contradictions(console, found)
        _show_delivery_limits(console, found)
        _show_sharing(console, found)
    for text in found.not_checked:
        console.note(f"not checked: {text}")
    for text in found.warnings:
        console.note(f"warning: {text}")
    for text in found.by_hand:
        console.note(f"to check by hand: {text}")
    return code


def _management(
    options: argparse.Namespace, context: Context, publisher: ConfirmedPublisher
) -> Management:
    endpoint = endpoint_of(context.settings)
    return management_of(endpoint, publisher.connection.where, options.management_url)


def _row(publisher: ConfirmedPublisher, wanted: Needed, facts: QueueFacts | None) -> dict[str, Any]:
    found = find(publisher.connection, wanted)
    difference = None if found is None else _difference(publisher, wanted)
    state = MISSING if found is None else difference or "as needed"
    if difference == HIDDEN:
        difference = None
    elif found is not None and difference is None and is_former(publisher.connection, wanted):
        state = FORMER
    if found is None and wanted.is_optional:
        state = _NOT_THERE[wanted.kind]
    return {
        "name": wanted.name,
        "kind": "exchange" if wanted.is_exchange else "queue",
        "for": str(wanted.kind),
        "state": state,
        "ok": difference is None and (found is not None or wanted.is_optional),
        "ready": None if found is None else found.ready,
        "consumers": None if found is None else found.consumers,
        "needed_arguments": wanted.arguments,
        "type": None if facts is None else facts.type,
        "arguments": None if facts is None else facts.arguments,
        "policy": None if facts is None else facts.policy,
        "policy_definition": None if facts is None else facts.definition,
    }


def _difference(publisher: ConfirmedPublisher, wanted: Needed) -> str | None:
    """Return in what it differs from what is needed; `HIDDEN` where this user may not know."""
    try:
        return unusable(publisher.connection, wanted)
    except ChannelFault as fault:
        if fault.code != ACCESS_REFUSED or not wanted.is_optional:
            raise
        return HIDDEN


def _cells(row: dict[str, Any]) -> list[str]:
    arguments = row["arguments"] or row["needed_arguments"]
    policy = (
        f" policy {row['policy']}: {compact(row['policy_definition'])}" if row["policy"] else ""
    )
    kind = "topic exchange" if row["kind"] == "exchange" else row["type"]
    numbers = ["" if row[name] is None else str(row[name]) for name in ("ready", "consumers")]
    said = f"{compact(arguments) if arguments else ''}{policy}".strip()
    return [row["name"], row["for"], row["state"], kind or "", *numbers, said]


def _show_contradictions(console: Console, lint: Lint) -> None:
    if not lint.contradictions:
        what = "what was checked" if lint.not_checked else "the broker"
        console.say(f"nothing in {what} contradicts the settings")
        return
    columns = (Column("where"), Column("problem", is_long=True), Column("fix", is_long=True))
    rows = [(one.subject, one.problem, one.fix) for one in lint.contradictions]
    console.table(Table(columns, rows))


def _show_sharing(console: Console, lint: Lint) -> None:
    if lint.shared:
        counts = ", ".join(f"{name} ({count})" for name, count in lint.shared.items())
        console.line()
        console.say(
            f"several consumers: {counts}: only the commands that one daemon consumes take effect "
            'in the order sent; set consume = "exclusive" to keep the order of all'
        )


def _show_delivery_limits(console: Console, lint: Lint) -> None:
    if not lint.delivery_limits:
        return
    columns = (
        Column("queue"),
        Column("delivery limit", is_right=True),
        Column("from", is_long=True),
    )
    rows = [
        (name, "none" if limit.value is None else str(limit.value), limit.source)
        for name, limit in lint.delivery_limits.items()
    ]
    console.line()
    console.table(Table(columns, rows))
