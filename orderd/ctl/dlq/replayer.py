"""Moves dead letters back to their queues: which may go, and each by a copy that is confirmed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage
from orderd.ctl.console import Console
from orderd.ctl.dlq.changes import changed_since
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.settled import settled
from orderd.ctl.interrupts import uninterrupted
from orderd.db.connection import Database
from orderd.protocol.values import value
from orderd.runtime.crash_points import reach

_REMARKS_MAX: Final = 20


class Tally:
    """Counts of matched dead letters by outcome; prints a bounded number of remarks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.counts: Counter[str] = Counter()

    def remark(self, outcome: str, dead_letter: DeadLetter, why: str) -> None:
        """Count a dead letter that stays in its queue, and print why."""
        self.counts[outcome] += 1
        if self.counts[outcome] <= _REMARKS_MAX:
            name = dead_letter.request_id or "without id"
            self._console.note(f"{dead_letter.delivery.queue}: {name}: {outcome}: {why}")
        elif self.counts[outcome] == _REMARKS_MAX + 1:
            self._console.note(f"more dead letters are {outcome}; only the total is shown")


@value(eq=False)
class Move:
    """A dead letter, and the copy that takes its place."""

    dead_letter: DeadLetter
    copy: OutgoingMessage


class Replayer:
    """Replays dead letters one by one; *ledger* is None where it need not be asked."""

    def __init__(
        self,
        publisher: ConfirmedPublisher,
        ledger: Database | None,
        tally: Tally,
        *,
        is_forced: bool,
    ) -> None:
        """Count in *tally*; with *is_forced*, what the ledger knows goes, too."""
        self._publisher = publisher
        self._ledger = ledger
        self._tally = tally
        self._is_forced = is_forced

    def moves(self, window: Sequence[DeadLetter]) -> Iterator[Move]:
        """Yield those of *window* that can be replayed; the rest are remarked on."""
        for dead_letter in self._chosen(window):
            copy = dead_letter.original(self._publisher.connection.user)
            try:
                self._publisher.check(copy)
            except Unpublishable as fault:
                self._tally.remark("failed", dead_letter, f"AMQP cannot carry it: {fault}")
            else:
                yield Move(dead_letter, copy)

    def move(self, browser: Browser, move: Move) -> bool:
        """Publish the copy, and delete the dead letter once it is confirmed; return whether it was.

        A crash in between costs a duplicate of this one message, which the ledger knows, not a
        loss.
        """
        with uninterrupted():
            why = self._publisher.publish(move.copy)
            if why is None:
                reach("dlq_replay_published", (move.dead_letter.request_id,))
                browser.ack([move.dead_letter.delivery])
        if why is not None:
            self._tally.remark("failed", move.dead_letter, f"queue {move.copy.routing_key}: {why}")
            return False
        self._tally.counts["replayed"] += 1
        return True

    def _chosen(self, window: Sequence[DeadLetter]) -> Iterator[DeadLetter]:
        """Yield the dead letters to replay.

        A request with an outcome would not run again. A request whose row was changed later would
        overwrite that change.
        """
        found = obstacles(self._ledger, window)
        for dead_letter in window:
            obstacle = found.get(dead_letter)
            if obstacle is None:
                yield dead_letter
            elif self._is_forced:
                self._tally.remark("known", dead_letter, f"{obstacle}; replayed because of --force")
                yield dead_letter
            else:
                self._tally.remark("skipped", dead_letter, f"{obstacle}; pass --force to replay it")


def obstacles(ledger: Database | None, window: Sequence[DeadLetter]) -> Mapping[DeadLetter, str]:
    """Return the dead letters that should not be replayed, each with the reason."""
    if ledger is None:
        return {}
    commands = [dead_letter for dead_letter in window if not dead_letter.is_notice]
    with ledger.transaction() as tx:
        found = settled(tx, window)
        changed = changed_since(tx, commands)
    return changed | {dead_letter: end.said for dead_letter, end in found.items()}
