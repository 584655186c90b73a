"""The tables of docs/reference, from the code's own registries; cog puts them into the pages.

`make docs` writes them, `make check` fails where a page has another table than the code. This is
the only module of the documentation that imports orderd.
"""

import argparse
import logging
from collections.abc import Collection, Iterator
from typing import Any, Final, get_args

from orderd.amqp.permissions import permissions_of
from orderd.config import reference as settings_reference
from orderd.config.options import build_parser as build_orderd
from orderd.ctl.main import COMMANDS
from orderd.ctl.main import build_parser as build_orderctl
from orderd.db.faults import _BY_CLASS, _BY_SQLSTATE
from orderd.db.privileges import WITH_IDS, by_privileges
from orderd.logs.events import LogEvent
from orderd.logs.fields import FIELD_NAMES
from orderd.protocol import names
from orderd.protocol.cloud_events import SystemEvent
from orderd.protocol.commands import CommandData
from orderd.protocol.exit_codes import ENDS_OF_ORDERCTL, ENDS_OF_ORDERD
from orderd.protocol.metrics import METRICS
from orderd.protocol.roles import DEFAULT_NAMES, Role
from orderd.runtime.crash_points import Failpoint
from orderd.runtime.signals import EFFECTS
from orderd.shop.entity import Action, refusal_event
from orderd.shop.registry import SHOP, actions_of
from tools import reference_texts as texts
from tools.markdown import code, described, same, table
from tools.parsers import subparsers_of

# What every line of the log has, besides the fields of its subject.
_LINE_FIELDS: Final = ("timestamp", "level", "logger", "event", "message")
_COMMON_OPTIONS: Final = ("-h", "--config", "--json")


def settings() -> str:
    """Return the table of all settings."""
    rows = [
        (
            code(row.key),
            code(row.variable),
            code(row.default),
            "yes" if row.reloadable else "no",
            row.description,
        )
        for row in settings_reference.reference()
    ]
    return table(("Setting", "Variable", "Default", "Reload", "Meaning"), rows)


def channel_keys() -> str:
    """Return the table of the keys of a channel of notifications."""
    rows = [
        (code(row.key), ", ".join(map(code, row.kinds)), code(row.default), row.description)
        for row in settings_reference.channel_reference()
    ]
    return table(("Key", "Kinds", "Default", "Meaning"), rows)


def log_events() -> str:
    """Return the table of all events of the log."""
    rows = [(code(event), logging.getLevelName(event.level), event.meaning) for event in LogEvent]
    return table(("Event", "Level", "Meaning"), rows)


def log_fields() -> str:
    """Return the table of the fields of a log line."""
    rows = {f"{queue}_id": f"the {queue}, of a command that was applied" for queue in names.Queue}
    known = (*_LINE_FIELDS, *FIELD_NAMES)
    return described(("Field", "Meaning"), known, rows | texts.LOG_FIELDS)


def actions() -> str:
    """Return the table of all actions, each with the fields of its data: changes, then queries."""
    changes = [(entity, each) for entity in SHOP.entities for each in entity.actions if each.events]
    queries = [(entity, each) for entity in SHOP.entities for each in actions_of(entity)]
    order = list(dict.fromkeys(each.name for _, each in queries))
    queries = sorted(
        (one for one in queries if not one[1].events), key=lambda one: order.index(one[1].name)
    )
    rows = []
    told: set[Action[Any]] = set()
    for entity, action in (*changes, *queries):
        newest, oldest = action.models["v2"], action.models.get("v1")
        name = code(action.name) + ("" if oldest else " (v2)")
        effect = "the same" if action in told else action.effect
        rows.append((code(entity.queue), name, _fields(oldest, newest), effect))
        told.add(action)
    return table(("Queue", "Action", "Data", "Effect"), rows)


def event_types() -> str:
    """Return the table of all types of events."""
    rows = []
    for entity in SHOP.entities:
        row = "the row" if entity.table.lines is None else "the row with its items"
        rows.append((" ".join(map(code, entity.events)), code(entity.subject_of(1)), row))
    refused = " ".join(code(refusal_event(entity.queue)) for entity in SHOP.entities)
    named = f"{code(SHOP.entities[-1].subject_of(1))}, or {code(SHOP.entities[-1].queue)} where"
    request = "`{action, code, error, request: {id, version, action, data}}`"
    rows.append((refused, f"{named} the command names no row", request))
    same(SystemEvent, [kind for kinds in texts.SYSTEM_EVENTS for kind in kinds])
    for kinds, (subject, content) in texts.SYSTEM_EVENTS.items():
        rows.append((" ".join(map(code, kinds)), code(subject), code(content)))
    return table(("Type", "Subject", "`data`"), rows)


def grants(role: str) -> str:
    """Return the statements that give *role* what it needs, as `orderctl grants` does."""
    name = DEFAULT_NAMES[Role(role)]
    whom = f'"{name}"' if "-" in name else name
    lines = [
        f"GRANT {', '.join(privileges)} ON {', '.join(tables)} TO {whom};\n"
        for privileges, tables in by_privileges(Role(role))
    ]
    if tables := WITH_IDS.get(Role(role)):
        sequences = ", ".join(f"{table}_id_seq" for table in tables)
        lines.append(f"GRANT USAGE ON SEQUENCE {sequences} TO {whom};\n")
    return f"\n```sql\n{''.join(lines)}```\n\n"


def permissions() -> str:
    """Return the table of the permissions of each role in RabbitMQ."""
    rows = []
    for role in Role:
        own = permissions_of(role)
        rows.append((code(role), *map(code, (own.configure, own.write, own.read))))
    return table(("Role", "Configure", "Write", "Read"), rows)


def topic_permissions() -> str:
    """Return the table of the routing keys to which roles are limited."""
    rows = [
        (code(role), *map(code, (topic.exchange, topic.write, topic.read)))
        for role in Role
        for topic in permissions_of(role).topics
    ]
    return table(("Role", "Exchange", "Write", "Read"), rows)


def refusal_codes() -> str:
    """Return the table of the codes of refused commands."""
    same(names.RefusalCode, texts.REFUSALS)
    own = {code: when for entity in SHOP.entities for code, when in entity.refusals.items()}
    meanings = {str(code): when for code, when in (own | texts.REFUSALS).items()}
    return described(("Code", "When"), meanings, meanings)


def invalid_codes() -> str:
    """Return the table of the codes of invalid messages."""
    return described(("Code", "When"), names.InvalidCode, texts.INVALID)


def unavailable_codes() -> str:
    """Return the table of the codes of queries without an answer."""
    return described(("Code", "When"), names.UnavailableCode, texts.UNAVAILABLE)


def deferral_codes() -> str:
    """Return the table of the codes of commands that are tried again or given up."""
    codes = (*names.DeferralCode, names.RETRIES_EXHAUSTED, names.POISON)
    return described(("Code", "When"), codes, texts.DEFERRALS)


def headers() -> str:
    """Return the table of the headers that orderd adds to messages."""
    known = [value for name, value in vars(names).items() if name.startswith("HEADER_")]
    return described(("Header", "Meaning"), known, texts.HEADERS)


def event_queues() -> str:
    """Return the table of the queues that `orderctl topology apply --events` declares."""
    rows = [(code(queue), code(key)) for queue, key in names.EVENT_QUEUES.items()]
    return table(("Queue", "Routing key"), rows)


def sqlstates() -> str:
    """Return the table of what each SQLSTATE means for the current batch."""
    faults = _BY_SQLSTATE | {f"{state}…": fault for state, fault in _BY_CLASS.items()}
    same(faults, texts.SQLSTATES)
    rows = [
        (code(state), texts.SQLSTATES[state], fault.name.lower()) for state, fault in faults.items()
    ]
    rows.append(("all others", "the database does not accept what a command wrote", "row"))
    return table(("SQLSTATE", "Meaning", "Fault"), rows)


def metrics(*, is_live: bool) -> str:
    """Return the table of the metrics that orderctl asks for, or of those that daemons write."""
    rows = [
        (
            code(metric.name),
            str(metric.kind),
            ", ".join(map(code, metric.labels)),
            metric.help,
        )
        for metric in METRICS
        if metric.is_live is is_live
    ]
    return table(("Metric", "Kind", "Labels", "Meaning"), rows)


def crash_points() -> str:
    """Return the table of where a daemon may be killed, and what the next start does."""
    points = get_args(Failpoint)
    same(points, texts.CRASH_POINTS)
    rows = [(code(point), *texts.CRASH_POINTS[point]) for point in points]
    return table(("Killed at", "State then", "The next start, or another daemon"), rows)


def signals() -> str:
    """Return the table of the signals that the daemon handles."""
    return table(("Signal", "Effect"), list(EFFECTS.items()))


def exit_codes(program: str) -> str:
    """Return the table of the exit codes of orderd or orderctl."""
    ends = {"orderd": ENDS_OF_ORDERD, "orderctl": ENDS_OF_ORDERCTL}[program]
    rows = [(str(int(code)), meaning) for code, meaning in ends.items()]
    return table(("Exit code", "Meaning"), rows)


def orderd_options() -> str:
    """Return the table of the options of orderd."""
    return table(("Option", "Meaning"), list(_options(build_orderd(), ("-h",))))


def orderctl_commands() -> str:
    """Return the table of the commands of orderctl, each with its verbs."""
    parsers = subparsers_of(build_orderctl())
    rows = [
        (f"[`{name}`](#{name})", ", ".join(map(code, subparsers_of(parsers[name]))), purpose)
        for name, purpose in COMMANDS.items()
    ]
    return table(("Command", "Verbs", "Does"), rows)


def orderctl_command(name: str) -> str:
    """Return how a command of orderctl is called, with the options that are its own."""
    parser = subparsers_of(build_orderctl())[name]
    verbs = subparsers_of(parser)
    calls = {f"{name} {verb}": inner for verb, inner in verbs.items()} or {name: parser}
    usages = "\n".join(_usage(call, inner) for call, inner in calls.items())
    rows: dict[tuple[str, str], list[str]] = {}
    for call, inner in calls.items():
        for row in _options(inner, _COMMON_OPTIONS):
            rows.setdefault(row, []).append(code(call.removeprefix(f"{name} ")))
    titles = ("Option", "Meaning", "Of") if verbs else ("Option", "Meaning")
    found = [(*row, ", ".join(of)) if verbs else row for row, of in rows.items()]
    return f"\n```text\n{usages}\n```\n" + (table(titles, found) if found else "\n")


def event_names() -> frozenset[str]:
    """Return the names of all events of the log."""
    return frozenset(map(str, LogEvent))


def _usage(call: str, parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    rest = usage.removeprefix(parser.prog).replace(" [-h] [--config FILE] [--json]", "")
    return f"orderctl {call}{rest}"


def _options(parser: argparse.ArgumentParser, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each option and argument of a parser that is not *known*, with its help."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        is_verbs = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        if is_verbs or set(action.option_strings) & set(known):
            continue
        choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest
        metavar = str(action.metavar or choices)
        value = "" if action.nargs == 0 else f" {metavar}"
        term = ", ".join(code(f"{name}{value}") for name in action.option_strings)
        yield term or code(metavar), (action.help or "").replace("%%", "%")


def _fields(oldest: type[CommandData] | None, newest: type[CommandData]) -> str:
    """Return the fields of an action, those of v2 alone marked as such."""
    known = (oldest or newest).model_fields
    fields = [
        code(name if field.is_required() else f"{name}?") + ("" if name in known else " (v2)")
        for name, field in newest.model_fields.items()
    ]
    # Inherited, `if_revision` would come first.
    return " ".join(sorted(fields, key=lambda field: field == "`if_revision?`"))
