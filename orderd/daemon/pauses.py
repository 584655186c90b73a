"""Obeys pauses: takes nothing from paused queues, and tries what has tripped now and then."""

import time
from collections.abc import Callable
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.daemon.announcer import Announcer
from orderd.daemon.lifecycle import Lifecycle
from orderd.daemon.pause_record import Pause, PauseRecord
from orderd.pipeline.kill_switch import KillSwitch

# So a pause is obeyed well within the 5 s that are promised.
LOOK_EVERY_S: Final = 2.0
# A queue that has delivered nothing by then is empty.
_SAMPLE_WAIT_S: Final = 5.0


class Pauses:
    """Keeps *consumer* and *switch* to what is on *record*.

    Methods raise `DatabaseOutage`, and `BrokerFault` where the connection is lost.
    """

    def __init__(
        self,
        record: PauseRecord,
        consumer: Consumer,
        switch: KillSwitch,
        lifecycle: Lifecycle,
        announcer: Announcer,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Announce changes by *announcer*; *now_s* is the clock of intervals."""
        self._record = record
        self._consumer = consumer
        self._switch = switch
        self._lifecycle = lifecycle
        self._announcer = announcer
        self._now_s = now_s
        self._look_at_s = 0.0
        self._sample_until_s: dict[str, float] = {}

    def turn(self) -> None:
        """Do what is due: to be called between two batches, freely."""
        self._end_samples()
        self._write()
        if self._now_s() >= self._look_at_s:
            self.look()

    def look(self) -> None:
        """Read the record, and obey it."""
        self._look_at_s = self._now_s() + LOOK_EVERY_S
        pauses = {pause.queue: pause for pause in self._record.read()}
        in_force = {queue: each for queue, each in pauses.items() if not each.has_ended}
        self._announce(pauses, in_force)
        self._switch.obey({q: p.tripped_by for q, p in in_force.items() if p.tripped_by})
        self._consumer.hold(in_force)
        for queue, pause in in_force.items():
            if pause.is_trial_due:
                self._try(queue)

    def _write(self) -> None:
        """Put on record what has tripped, and what a trial has shown to work again."""
        switch = self._switch
        if not (switch.trips or switch.tried):
            return
        succeeded = [(q, switch.tripped[q]) for q in switch.succeeded if q in switch.tripped]
        self._record.write(switch.trips, succeeded)
        switch.trips.clear()
        for queue in list(switch.tried):
            switch.trials.discard(queue)
            switch.tried.discard(queue)
            switch.succeeded.discard(queue)
            self._sample_until_s.pop(queue, None)
        self._look_at_s = 0.0

    def _try(self, queue: str) -> None:
        """Have one message of *queue* delivered, unless another daemon does."""
        consumer = self._consumer
        if not consumer.is_ready or not consumer.is_idle(queue):
            return
        if self._record.claim_trial(queue):
            self._switch.trials.add(queue)
            self._sample(queue)

    def _sample(self, queue: str) -> None:
        self._sample_until_s[queue] = self._now_s() + _SAMPLE_WAIT_S
        self._consumer.sample(queue)

    def _end_samples(self) -> None:
        """Take no more than one message at a time, until one of the action was tried."""
        if not self._sample_until_s:
            return
        consumer = self._consumer
        if not consumer.is_ready:
            self._end_trials(list(self._sample_until_s))
            return
        now_s, held = self._now_s(), consumer.held
        overdue = [q for q, s in self._sample_until_s.items() if now_s >= s or q not in held]
        consumer.end_samples(overdue)
        self._end_trials(overdue)
        for queue in self._sample_until_s:
            # It was a message of another action, which says nothing of this one.
            is_done = queue not in consumer.sampled and consumer.is_idle(queue)
            if is_done and queue not in self._switch.tried:
                self._sample(queue)

    def _end_trials(self, queues: list[str]) -> None:
        for queue in queues:
            self._sample_until_s.pop(queue)
            if self._consumer.is_idle(queue):
                self._switch.trials.discard(queue)

    def _announce(self, pauses: dict[str, Pause], in_force: dict[str, Pause]) -> None:
        # Of all daemons one publishes the event; each has its log.
        is_new = any(not each.is_announced for each in in_force.values())
        started = self._record.claim_announcements() if is_new else set()
        ended = self._record.delete_ended() if len(in_force) < len(pauses) else set()
        before = self._lifecycle.paused_queues
        for queue, pause in in_force.items():
            if queue not in before or before[queue] != pause.reason or queue in started:
                self._announcer.queue_paused(pause, is_event=queue in started)
        for queue in sorted((before.keys() - in_force.keys()) | ended):
            if queue not in in_force:
                self._announcer.queue_resumed(queue, is_event=queue in ended)
        self._lifecycle.pause_queues({q: each.reason for q, each in in_force.items()})
