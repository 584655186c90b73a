"""Whose turn it is to consume a queue: where its daemons take turns, one holds the queue's lock."""

from collections.abc import Collection
from typing import Any, Final

from orderd.amqp.connection import Channel, Connection
from orderd.amqp.faults import NOT_FOUND, RESOURCE_LOCKED, ChannelFault
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.amqp.topology import depth_on
from orderd.protocol.names import lock_queue

_IN_USE: Final = "in exclusive use"
_ARGUMENTS: Final = {"x-queue-type": "classic"}


class QueueLocks:
    """Says why a queue cannot be consumed now, and keeps others from those of *exclusive*.

    Quorum queues let everybody consume, exclusively or not. So who consumes a queue in `exclusive`
    holds a queue beside it that belongs to the connection: with this it ends, and not before what
    was unacked is back in the queue, or settled.
    """

    def __init__(
        self, connection: Connection, exclusive: Collection[str], asking: ScratchChannel
    ) -> None:
        """Lock over *connection*; *asking* is a channel of it for questions."""
        self._connection = connection
        self._asking = asking
        self._exclusive = frozenset(exclusive)
        self._locks: dict[str, Channel] = {}

    @property
    def count(self) -> int:
        """How many locks there are to be held, each by a channel."""
        return len(self._exclusive)

    def is_exclusive(self, queue: str) -> bool:
        """Return whether *queue* is for one daemon at a time."""
        return queue in self._exclusive

    def hindrance(self, queue: str) -> str | None:
        """Return why *queue* cannot be consumed now, None where it can; raises BrokerFault."""
        consumers = depth_on(self._asking, queue).consumers
        if not self.is_exclusive(queue):
            held = consumers > 0 and self._is_locked(queue)
            return "another daemon consumes it exclusively" if held else None
        # Asked first: to ask for the lock in vain is an error in the broker's log.
        if not consumers and self._lock(queue):
            # The last holder may not be gone yet, or another daemon has taken the lock.
            consumers = depth_on(self._asking, queue).consumers
            return _busy(consumers) if consumers else None
        return _busy(consumers) if consumers else "another daemon is releasing it"

    def forget(self) -> None:
        """Hold no lock any more: the connection is gone."""
        self._locks.clear()

    def has_lost(self, queue: str) -> bool:
        """Return, once, whether the lock of *queue* was held and is no more."""
        channel = self._locks.get(queue)
        if channel is None or channel.raw.consumer_tags:
            return False
        del self._locks[queue]
        return True

    def _lock(self, queue: str) -> bool:
        """Hold the lock of *queue*, unless another daemon does."""
        if queue in self._locks:
            return True
        name = lock_queue(queue)
        channel = self._connection.open_channel()
        try:
            channel.call("queue_declare", queue=name, exclusive=True, arguments=_ARGUMENTS)
        except ChannelFault as fault:
            # Not found: it was on a node that is gone, and the broker has not cleaned up yet.
            if fault.code in {NOT_FOUND, RESOURCE_LOCKED}:
                return False
            raise
        # A policy may delete unused queues; if it did, the broker says so.
        channel.call(
            "basic_consume", queue=name, auto_ack=True, on_message_callback=lambda *_: None
        )
        self._locks[queue] = channel
        return True

    def _is_locked(self, queue: str) -> bool:
        try:
            self._asking.call("queue_declare", queue=lock_queue(queue), passive=True)
        except ChannelFault as fault:
            return fault.code == RESOURCE_LOCKED
        # The lock is this connection's own, or of a program that is not orderd.
        return False


def is_in_use(fault: Any) -> bool:
    """Return whether *fault* says that another consumer has the queue exclusively."""
    return isinstance(fault, ChannelFault) and _IN_USE in fault.reason


def _busy(consumers: int) -> str:
    return f"it has {consumers} other consumer{'s' if consumers > 1 else ''}"
