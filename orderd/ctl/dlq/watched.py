"""`orderctl dlq replay --ramp` and `--stop-above`: replay in portions while these do well."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.topology import queue_depth
from orderd.ctl.console import Advance, Console
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.fates import Fates, Sources
from orderd.ctl.dlq.pace import Pace, Plan, Speed
from orderd.ctl.dlq.replayer import Replayer
from orderd.ctl.dlq.spool import Spool
from orderd.db.connection import Database
from orderd.protocol.names import retry_queue

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# How long nothing may happen beyond the time that all retries take.
_PATIENCE_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.25
# How long a replay that stops waits for the fates of what it has just replayed.
_LAST_FATES_S: Final = 5.0
_SLICE_S: Final = 0.5
_FATES: Final = ("applied", "refused", "dead_again", "without_record", "undecided")


class WatchedReplay:
    """Replays the dead letters of one queue after the other, by *plan*; `stopped` says why not all.

    The next portion goes only while, even if everything undecided failed, no larger share than
    that of the plan would have failed.
    """

    def __init__(
        self,
        settings: "Settings",
        publisher: ConfirmedPublisher,
        replayer: Replayer,
        ledger: Database,
        plan: Plan,
    ) -> None:
        """Move by *replayer*, and look into *ledger*."""
        self._delays_s = settings.retry_delays
        self._publisher = publisher
        self._replayer = replayer
        self._ledger = ledger
        self._plan = plan
        self._speed = Speed(plan)
        self._pace = Pace(publisher.connection.turn)
        self.stopped: str | None = None
        self._counts = dict.fromkeys(_FATES, 0)

    def run(
        self,
        browser: Browser,
        dead_letters: DeadLetters,
        matching: Iterator[DeadLetter],
        console: Console,
    ) -> None:
        """Replay *matching*, dead letters of one queue that *browser* takes."""
        first = next(matching, None)
        if first is None or self.stopped is not None:
            return
        with Spool() as spool:
            # All are taken first: what comes into their queue from now on has died since.
            spool.fill([first])
            spool.fill(matching)
            queue = first.delivery.queue
            later = partial(dead_letters.later, browser, queue)
            fates = Fates(Sources(self._ledger, later, partial(self._is_quiet, first.origin)))
            try:
                with console.progress("replaying", spool.count, is_slow=True) as advance:
                    self._replay(browser, spool, fates, advance)
            finally:
                self._add(fates)

    def _replay(self, browser: Browser, spool: Spool, fates: Fates, advance: Advance) -> None:
        left = iter(spool)
        while portion := list(islice(left, self._speed.portion)):
            failed = fates.failed
            left_out = len(portion)
            for move in self._replayer.moves(portion):
                self._pace.wait(self._speed.per_s)
                if self._replayer.move(browser, move):
                    fates.note(move)
                advance()
                left_out -= 1
            for _ in range(left_out):
                advance()
            self._settle(fates, is_last=False)
            if self.stopped is not None:
                return
            self._speed.adapt(is_well=fates.failed == failed)
        self._settle(fates, is_last=True)

    def _settle(self, fates: Fates, *, is_last: bool) -> None:
        """Look until enough is decided to go on, at the end all; or note why the replay stops."""
        patience_s = sum(self._delays_s) + _PATIENCE_S
        deadline_s = time.monotonic() + patience_s
        while True:
            if fates.look():
                deadline_s = time.monotonic() + patience_s
            allowed = self._plan.share_max * fates.replayed
            if fates.failed > allowed:
                self._last_fates(fates)
                self.stopped = (
                    f"{fates.failed} of {fates.replayed} replayed messages failed again, "
                    f"more than {100 * self._plan.share_max:g} %"
                )
                return
            if not fates.undecided or (not is_last and fates.failed + fates.undecided <= allowed):
                return
            if time.monotonic() > deadline_s:
                self.stopped = (
                    f"{fates.undecided} of {fates.replayed} replayed messages have had no outcome "
                    f"for {patience_s:.0f} s; see: orderctl status"
                )
                return
            self._wait(_LOOK_EVERY_S)

    def _last_fates(self, fates: Fates) -> None:
        """Look until all is decided, but not for long: retries may take minutes."""
        deadline_s = time.monotonic() + _LAST_FATES_S
        while fates.undecided and time.monotonic() < deadline_s:
            self._wait(_LOOK_EVERY_S)
            fates.look()

    def _wait(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._publisher.connection.turn(min(left_s, _SLICE_S))

    def _is_quiet(self, origin: str) -> bool:
        """Return whether no message waits in the queue *origin* or for a retry."""
        names = [origin, *(retry_queue(origin, delay_s) for delay_s in self._delays_s)]
        depths = (queue_depth(self._publisher.connection, name) for name in names)
        return all(depth is None or not depth.ready for depth in depths)

    def summary(self) -> dict[str, int]:
        """Return how many of the replayed messages have met each fate so far."""
        return dict(self._counts)

    def _add(self, fates: Fates) -> None:
        for fate in _FATES:
            self._counts[fate] += fates.counts.get(fate, 0)
