"""`orderctl notify retry`: sends again what has failed, from its dead letter or its digest."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.filters import Filters, windows
from orderd.ctl.dlq.replayer import Replayer, Tally, obstacles
from orderd.ctl.errors import WrongUsage
from orderd.ctl.notify.rows import because, read_notifications
from orderd.ctl.tables import counted
from orderd.db.connection import Database
from orderd.protocol.names import NoticeQueue
from orderd.protocol.values import value

RETRIED: Final = "retried"
DIGEST: Final = "in_digest"
_DONE: Final = frozenset({RETRIED, DIGEST})


@value
class Retried:
    """What was done about one event, or why nothing was."""

    event_id: str | None
    result: str
    said: str

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"id": self.event_id, "result": self.result, "said": self.said}


def retry(options: argparse.Namespace, context: Context) -> int:
    """Put dead letters of notifications back into their queues; a failure where one was not."""
    if bool(options.ids) == bool(options.groups):
        raise WrongUsage("pass the ids of events, as shown by orderctl notify list, or --group")
    console = context.console
    with database_of(context.settings) as database, broker_of(context.settings) as publisher:
        from_queues = _FromQueues(database, publisher, console, options)
        try:
            dead_letters = from_queues.run(context)
        except KeyboardInterrupt:
            done = sum(each.result == RETRIED for each in from_queues.results)
            console.interrupted(f"interrupted: {done} retried, the rest stay")
            raise
        left = [each for each in dict.fromkeys(options.ids) if each not in from_queues.found]
        others = _from_record(database, left, is_dry=options.dry_run)
    results = [*from_queues.results, *others]
    is_whole = bool(results) and all(each.result in _DONE for each in results)
    _report(console, results, options)
    return dead_letters.code(is_whole=is_whole, console=console)


class _FromQueues:
    """Replays the dead letters of some events or groups; `found` are the ids that had any."""

    def __init__(
        self,
        database: Database,
        publisher: ConfirmedPublisher,
        console: Console,
        options: argparse.Namespace,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._options = options
        self._tally = Tally(console)
        self._replayer = Replayer(publisher, None, self._tally, is_forced=False)
        self.results: list[Retried] = []
        self.found: set[str] = set()
        self._names: dict[DeadLetter, str | None] = {}

    def run(self, context: Context) -> DeadLetters:
        """Go through the dead letters of all notifications."""
        console, is_moving = context.console, not self._options.dry_run
        queues = tuple(map(str, NoticeQueue))
        dead_letters = DeadLetters(
            context.settings, self._publisher, queues, console, is_moving=is_moving
        )
        filters = Filters(groups=self._options.groups)
        with console.progress("dead letters", dead_letters.total) as advance:
            dead_letters.go_through(filters, None, advance, self._handle)
        return dead_letters

    def _handle(self, browser: Browser, matching: Iterator[DeadLetter]) -> None:
        for window in windows(self._wanted(matching)):
            blocked = obstacles(self._database, window)
            for dead_letter, why in blocked.items():
                self._note(dead_letter, "settled", why)
            self._replay(browser, [each for each in window if each not in blocked])

    def _wanted(self, dead_letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        for dead_letter in dead_letters:
            name = self._name(dead_letter)
            if self._options.groups or name in self._options.ids:
                self._names[dead_letter] = name
                self.found.update([name] if name is not None else [])
                yield dead_letter

    def _name(self, dead_letter: DeadLetter) -> str | None:
        """Return the id by which the event is on record: its own, or the one it was given."""
        if dead_letter.request_id is not None:
            return dead_letter.request_id
        # Messages that are equal were given an id each.
        left = [each for each in self._options.ids if each not in self.found]
        return next((each for each in left if dead_letter.was_given(each)), None)

    def _replay(self, browser: Browser, window: Sequence[DeadLetter]) -> None:
        left = set(window)
        for move in self._replayer.moves(window):
            is_done = self._options.dry_run or self._replayer.move(browser, move)
            if is_done:
                left.discard(move.dead_letter)
                self._note(move.dead_letter, RETRIED, f"back in queue {move.dead_letter.origin}")
        for dead_letter in left:
            self._note(dead_letter, "failed", f"still in queue {dead_letter.delivery.queue}")

    def _note(self, dead_letter: DeadLetter, result: str, said: str) -> None:
        self.results.append(Retried(self._names.pop(dead_letter), result, said))


def _from_record(database: Database, ids: Sequence[str], *, is_dry: bool) -> list[Retried]:
    """Have failed digests sent again; of other events tell why nothing can be done."""
    if not ids:
        return []
    with database.transaction() as tx:
        rows = read_notifications(tx, ids)
        by_id = {each: [row for row in rows if row["id"] == each] for each in ids}
        digests = [each for each in ids if any(map(_is_failed_digest, by_id[each]))]
        if digests and not is_dry:
            tx.rows("reopen_digests", ids=digests)
    return [
        Retried(each, DIGEST, "its digest is sent again")
        if each in digests
        else Retried(each, *_standing(by_id[each]))
        for each in ids
    ]


def _is_failed_digest(row: Mapping[str, Any]) -> bool:
    return row["state"] == "failed" and row["digest_id"] is not None


def _standing(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return why the notifications of an event are not sent again: a result, and in words."""
    states = {row["state"]: because(row) for row in rows}
    if not rows:
        return "not_found", "no notification on record and no dead letter"
    if "failed" in states:
        return "not_found", "failed, but its dead letter is gone (discarded, or replayed before)"
    for state in ("sending", "deferred"):
        if state in states:
            why = f": {states[state]}" if states[state] else ""
            return "waiting", f"waits for its next try{why}"
    if "collected" in states:
        return "waiting", states["collected"]
    if "sent" in states:
        return "sent", "was sent"
    return "skipped", f"is not to be sent: {states['skipped']}"


def _report(console: Console, results: Sequence[Retried], options: argparse.Namespace) -> None:
    counts = {name: sum(each.result == name for each in results) for name in (RETRIED, DIGEST)}
    others = len(results) - sum(counts.values())
    if console.is_json:
        items = [each.document() for each in results]
        console.document({"dry_run": options.dry_run, **counts, "others": others, "items": items})
        return
    if options.ids:
        for each in results:
            console.say(f"{each.event_id}: {_said(each, is_dry=options.dry_run)}")
    verb = "would be retried" if options.dry_run else "retried"
    rest = f", {others} not" if others else ""
    console.line(f"{counted(sum(counts.values()), 'notification')} {verb}{rest}")
    if options.groups and not results:
        console.note(f"no dead letters of group {', '.join(options.groups)}")


def _said(one: Retried, *, is_dry: bool) -> str:
    return f"would be {one.said}" if is_dry and one.result == RETRIED else one.said
