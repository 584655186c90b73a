"""`orderctl explain`: everything known about one request or event, in one view."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orderd.ctl.broker import broker_of
from orderd.ctl.commands.outbox import next_try
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.errors import Unavailable
from orderd.ctl.json_text import compact
from orderd.ctl.notify.rows import in_words
from orderd.ctl.records import pause_text, read_pauses
from orderd.ctl.request import request_id
from orderd.ctl.request_trace import Messages, in_broker, in_database, place_of, tries_of
from orderd.ctl.tables import Column, Table, Whole, counted
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import Queue

NEVER_SEEN: Final = "never_seen"
UNKNOWN: Final = "unknown"
NOTIFIED: Final = "notified"
_CODES: Final = {NEVER_SEEN: ExitCode.FAILED, UNKNOWN: ExitCode.NOT_CHECKED}
_IN_WORDS: Final = {
    "applied": "applied",
    "refused": "refused",
    "dead_lettered": "rejected: it is in the dead-letter queue",
    "retrying": "waiting to be retried",
    NOTIFIED: "an event; what became of its notifications is on record",
    UNKNOWN: "unknown: not found, but it may still wait where nothing can be searched",
    NEVER_SEEN: "never seen: no outcome, no dead letter and no pending retry",
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("id", metavar="ID", type=request_id, help="id of a request or an event")
    parser.epilog = (
        "Exit codes: 0 an outcome, a dead letter, a retry or a notification was found, 1 never "
        "seen, 3 not found, but it may still wait, 69 a server cannot be reached."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print what is known; a failure where nothing is, or where a server could not be asked.

    What was not found, and may still wait somewhere, is not known to have never come.
    """
    known, problems = _known(context, options.id)
    console = context.console
    if console.is_json:
        console.document(known)
    else:
        console.table(Table((Column("what"), Column("known", is_long=True)), list(_lines(known))))
    if problems:
        raise Unavailable("\n".join(problems))
    return _CODES.get(known["state"], ExitCode.DONE)


def _known(context: Context, wanted: str) -> tuple[dict[str, Any], list[str]]:
    messages = Messages()
    told: dict[str, Any] = {"ledger": None, "rows": [], "events": [], "notifications": []}
    tries: list[dict[str, Any]] = []
    place = None
    pauses: Sequence[dict[str, Any]] = ()
    problems = []
    try:
        with broker_of(context.settings) as publisher:
            messages = in_broker(context.settings, publisher, wanted, context.console.note)
    except Unavailable as failure:
        problems.append(str(failure))
    try:
        with database_of(context.settings) as database, database.transaction() as tx:
            told = in_database(tx, wanted)
            tries = tries_of(tx, [*messages.retries, *messages.dead_letters])
            place = place_of(tx, wanted)
            pauses = read_pauses(tx)
    except Unavailable as failure:
        problems.append(str(failure))
    on_record = told["ledger"] is not None or told["notifications"]
    is_found = on_record or messages.retries or messages.dead_letters
    paused = {pause["queue"]: pause for pause in pauses}
    waiting = [] if is_found else list(_may_wait(messages, paused))
    known = {
        "id": wanted,
        "state": _state(told, messages) or (UNKNOWN if problems or waiting else NEVER_SEEN),
        **told,
        "retries": [
            {"retry_queue": dead_letter.delivery.queue, **dead_letter.document()}
            for dead_letter in messages.retries
        ],
        "dead_letters": [dead_letter.document() for dead_letter in messages.dead_letters],
        "tries": tries,
        "place": place,
        "commands_ready": messages.ready,
        "not_looked_at": messages.not_looked_at,
        "may_wait": waiting,
        "queues_paused": _that_keep_it(paused, messages, place, waiting),
        "problems": problems,
    }
    return known, problems


def _may_wait(messages: Messages, paused: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the queues that hold messages which were not searched, with the reason."""
    for queue, ready in messages.ready.items():
        if ready:
            kind = "command queues" if queue in tuple(Queue) else "queues of notifications"
            why = f"{kind} are not searched"
            if queue in paused:
                why = f"{why}; the queue is paused"
            elif not messages.consumers.get(queue):
                why = f"{why}; no daemon takes from it, see: orderctl status"
            yield {"queue": queue, "messages": ready, "why": why}
    for queue, unseen in messages.not_looked_at.items():
        yield {"queue": queue, "messages": unseen, "why": "behind those that were searched"}


def _that_keep_it(
    paused: Mapping[str, dict[str, Any]],
    messages: Messages,
    place: dict[str, Any] | None,
    waiting: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the pauses of queues in which the request waits, may wait, or comes back to."""
    queues = {one.origin for one in (*messages.retries, *messages.dead_letters)}
    queues |= {one["queue"] for one in waiting}
    if place is not None:
        queues.add(place["queue"])
    return [pause for queue, pause in paused.items() if queue in queues]


def _state(told: Mapping[str, Any], messages: Messages) -> str | None:
    """Return what has become of it, None where no trace was found."""
    if told["ledger"] is not None:
        return str(told["ledger"]["outcome"])
    if messages.dead_letters:
        return "dead_lettered"
    if messages.retries:
        return "retrying"
    return NOTIFIED if told["notifications"] else None


def _lines(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "request", Whole(known["id"])
    yield "state", _IN_WORDS[known["state"]]
    if known["ledger"] is not None:
        yield from _ledger(known["ledger"])
    for row in known["rows"]:
        yield f"{row['kind']} {row['id']} now", compact(row)
    for event in known["events"]:
        yield "unsent event", f"{event['id']}: {event['type']}, for {event['age_s']} s"
        if event["refusals"]:
            yield "", f"refused {counted(event['refusals'], 'time')}: {event['refused_because']}"
            yield "", f"next try: {next_try(event)}"
    for dead_letter in known["retries"]:
        yield "retry", f"{dead_letter['retry_queue']}, attempt {dead_letter['attempt']}"
    for dead_letter in known["dead_letters"]:
        yield (
            "dead letter",
            f"{dead_letter['queue']}, {dead_letter['failed_at']}, {dead_letter['code']}",
        )
        yield "", dead_letter["reason"] or "no reason recorded"
    for row in known["notifications"]:
        yield "notification", f"{row['type']}: {in_words(row)}"
    for tried in known["tries"]:
        end = "committed in one of them" if tried["is_committed"] else "never committed"
        tries = "1 try" if tried["tries"] == 1 else f"{tried['tries']} tries"
        yield "crashes", f"{tries} ended before the ack, {end}"
    if known["place"] is not None:
        yield from _place(known["place"])
    yield from _unseen(known)


def _ledger(ledger: dict[str, Any]) -> Iterator[tuple[str, str]]:
    code = f", {ledger['code']}" if ledger["code"] else ""
    done = f"{ledger['queue']} {ledger['action']}: {ledger['outcome']}{code}"
    yield "ledger", f"{done} at {ledger['created_at']}"
    if ledger["actor"]:
        yield "actor", ledger["actor"]
    yield "answer", compact(ledger["response"])


def _place(place: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if place["row_id"] is not None:
        earlier = counted(place["ahead"], "earlier command")
        ahead = f"behind {earlier}" if place["ahead"] else "the first"
        line = f"{ahead} for {place['queue']} {place['row_id']}"
        yield "place", f"{line}, since {place['since']}, to {place['ends_at']} at most"
    if place["waits_for"] is not None:
        yield "waits", f"since {place['waits_since']}: {place['waits_for']}"


def _unseen(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in known["may_wait"]:
        count = counted(one["messages"], "message")
        yield "may wait in", f"{one['queue']}: {count}, {one['why']}"
    for pause in known["queues_paused"]:
        yield "paused", pause_text(pause)
        yield "next step", f"orderctl resume {pause['queue']}"
    if known["state"] in _CODES:
        yield "no trace", "of queries, pruned requests, commands applied without this id"
