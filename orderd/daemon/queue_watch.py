"""Logs, once per change, which queues are left to other daemons, shared, failing or outdated."""

from collections.abc import Mapping
from logging import WARNING
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.declaration import Declaration
from orderd.daemon.lifecycle import Lifecycle
from orderd.logs.logger import LogEvent, emit

_ORDER_LOST: Final = (
    "only the commands that one daemon consumes take effect in the order sent; "
    'set consume = "exclusive" to keep the order of all'
)
_LOSES: Final = (
    "was declared by an earlier version and loses a message whose delay ends while its queue is "
    "full, missing or down"
)


class QueueWatch:
    """Compares the queues of *consumer* with what was logged last."""

    def __init__(self, consumer: Consumer, lifecycle: Lifecycle) -> None:
        """Tell *lifecycle* which queues are left to others or failing."""
        self._consumer = consumer
        self._lifecycle = lifecycle
        self._shared: Mapping[str, int] = {}
        self._outdated: set[str] = set()
        self._changed: str | None = None

    def look(self) -> bool:
        """Log what has changed; return whether STATUS has changed with it."""
        is_changed = self._note_standby()
        is_changed |= self._note_failing()
        self._note_declaration(self._consumer.declaration)
        self._note_shared()
        return is_changed

    def _note_standby(self) -> bool:
        why, before = self._consumer.standing_by, self._lifecycle.standing_by
        if taken_over := [queue for queue in before if queue not in why]:
            emit(LogEvent.CONSUMER_TOOK_OVER, f"consuming from {', '.join(taken_over)}")
        if left := [f"{queue}: {why[queue]}" for queue in why if queue not in before]:
            emit(LogEvent.CONSUMER_STANDBY, f"left to another daemon: {'; '.join(left)}")
        takes_any = bool(self._consumer.consumers or self._consumer.held)
        return self._lifecycle.stand_by(tuple(why), takes_any=takes_any)

    def _note_failing(self) -> bool:
        failing, before = self._consumer.failing, self._lifecycle.failing
        if failing == before:
            return False
        for queue, why in failing.items():
            if why != before.get(queue):
                emit(LogEvent.QUEUE_FAILING, f"queue {queue}: {why}", queue=queue)
        for queue in before:
            if queue not in failing:
                emit(LogEvent.QUEUE_RECOVERED, f"consuming from {queue} again", queue=queue)
        return self._lifecycle.fail_queues(failing)

    def _note_declaration(self, declaration: Declaration) -> None:
        """Log, once in a run, retry queues that may lose messages, and a changed exchange."""
        for queue, advice in declaration.former.items():
            if queue not in self._outdated:
                self._outdated.add(queue)
                text = f"retry queue {queue} {_LOSES}: {advice}"
                emit(LogEvent.QUEUE_OUTDATED, text, queue=queue)
        if declaration.changed not in {None, self._changed}:
            text = f"{declaration.changed}; commands continue"
            emit(LogEvent.TOPOLOGY_MISMATCHED, text, level=WARNING)
        self._changed = declaration.changed

    def _note_shared(self) -> None:
        consumers = self._consumer.consumers
        shared = {queue: count for queue, count in consumers.items() if count > 1}
        if shared != self._shared:
            self._shared = shared
            if shared:
                counts = ", ".join(f"{queue} ({count})" for queue, count in shared.items())
                emit(LogEvent.CONSUMER_SHARED, f"several consumers: {counts}: {_ORDER_LOST}")
