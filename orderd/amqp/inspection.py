"""What there is of orderd's queues and exchange, found out without changing anything."""

import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, Final

from orderd.amqp import retry_queues, topology
from orderd.amqp.connection import Connection
from orderd.amqp.faults import NOT_FOUND, PRECONDITION_FAILED, ChannelFault, TopologyMismatch
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.protocol.names import (
    EVENT_QUEUES,
    EVENTS_EXCHANGE,
    NOTIFICATIONS_EXCHANGE,
    NoticeQueue,
    Queue,
    dead_letter_queue,
    lock_queue,
    retry_queue,
)
from orderd.protocol.values import value

_LIMIT_IN_REFUSAL: Final = re.compile(r"'x-delivery-limit'.* current is (?:the value )?'(-?\d+)'")


class Kind(StrEnum):
    """What a queue or exchange is for."""

    COMMANDS = "commands"
    NOTIFICATIONS = "notifications"
    RETRY = "retry"
    DEAD_LETTERS = "dead letters"
    EVENTS = "events"
    LOCK = "lock"


@value
class Needed:
    """A queue, or the exchange, as orderd needs it; *delay_s* is that of a retry queue."""

    name: str
    kind: Kind
    delay_s: float | None = None
    returns_to: str = ""
    is_exchange: bool = False
    is_optional: bool = False

    @property
    def is_consumed(self) -> bool:
        """Whether a daemon consumes it."""
        return self.kind in {Kind.COMMANDS, Kind.NOTIFICATIONS} and not self.is_exchange

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments that it must have, and no others besides a type."""
        if self.delay_s is None:
            return {}
        return retry_queues.arguments(self.returns_to, self.delay_s)


@value
class Found:
    """What the broker tells of one that exists; an exchange holds nothing."""

    ready: int | None = None
    consumers: int | None = None


def needed(retry_delays_s: Sequence[float]) -> list[Needed]:
    """Return all that orderd uses; optional is what only orderd-notify and listeners do."""
    own = [
        each
        for queue in Queue
        for each in _with_others(Needed(str(queue), Kind.COMMANDS), retry_delays_s)
    ]
    notices = [
        each
        for queue in NoticeQueue
        for each in _with_others(
            Needed(str(queue), Kind.NOTIFICATIONS, is_optional=True), retry_delays_s
        )
    ]
    exchange = Needed(
        NOTIFICATIONS_EXCHANGE, Kind.NOTIFICATIONS, is_exchange=True, is_optional=True
    )
    listeners = [Needed(name, Kind.EVENTS, is_optional=True) for name in EVENT_QUEUES]
    events = Needed(EVENTS_EXCHANGE, Kind.EVENTS, is_exchange=True)
    return [*own, events, *notices, exchange, *listeners]


def _with_others(queue: Needed, retry_delays_s: Sequence[float]) -> list[Needed]:
    """Return *queue*, which a daemon consumes, with its retry queues and its dead letter queue."""
    name, is_optional = queue.name, queue.is_optional
    retries = [
        Needed(retry_queue(name, delay_s), Kind.RETRY, delay_s, name, is_optional=is_optional)
        for delay_s in retry_delays_s
    ]
    dead_letters = Needed(dead_letter_queue(name), Kind.DEAD_LETTERS, is_optional=is_optional)
    return [queue, *retries, dead_letters]


def locks(exclusive: Collection[Queue]) -> list[Needed]:
    """Return what a daemon declares, for the time of a connection, to consume *exclusive* alone."""
    return [Needed(lock_queue(queue), Kind.LOCK) for queue in Queue if queue in exclusive]


def find(connection: Connection, wanted: Needed) -> Found | None:
    """Return what there is under that name, None where there is nothing."""
    if not wanted.is_exchange:
        depth = topology.queue_depth(connection, wanted.name)
        return None if depth is None else Found(depth.ready, depth.consumers)
    channel = connection.open_channel()
    try:
        channel.call("exchange_declare", exchange=wanted.name, passive=True)
    except ChannelFault as fault:
        if fault.code != NOT_FOUND:
            raise
        return None
    channel.close()
    return Found()


def unusable(connection: Connection, found: Needed) -> str | None:
    """Return in the broker's words how one that exists differs from what orderd needs.

    Declaring it as needed changes nothing where it is so. Raises ChannelFault for a refusal.
    """
    if found.is_exchange:
        exchange = {"exchange": found.name, "exchange_type": "topic", "durable": True}
        return _refusal(connection, "exchange_declare", exchange)
    scratch = ScratchChannel(connection)
    try:
        if found.is_consumed:
            return topology.unusable(scratch, found.name)
        if found.delay_s is not None:
            retry_queues.declare(scratch, found.returns_to, found.delay_s)
    except TopologyMismatch as mismatch:
        return getattr(mismatch.__cause__, "reason", str(mismatch))
    finally:
        scratch.close()
    # Any other is taken as it is found, of whatever type.
    return None


def is_former(connection: Connection, found: Needed) -> bool:
    """Return whether a retry queue that exists was declared as former versions did it.

    Such a one may lose a message when its delay ends. Raises ChannelFault for a refusal.
    """
    if found.delay_s is None:
        return False
    scratch = ScratchChannel(connection)
    try:
        return not retry_queues.declare(scratch, found.returns_to, found.delay_s)
    except TopologyMismatch:
        return False
    finally:
        scratch.close()


def _refusal(connection: Connection, method: str, arguments: dict[str, Any]) -> str | None:
    channel = connection.open_channel()
    try:
        channel.call(method, **arguments)
    except ChannelFault as fault:
        if fault.code != PRECONDITION_FAILED:
            raise
        return fault.reason
    channel.close()
    return None


def is_stream(connection: Connection, queue: str) -> bool:
    """Return whether *queue*, which has to exist, is a stream; False where that is hidden."""
    scratch = ScratchChannel(connection)
    try:
        return "'stream'" in (topology.unusable(scratch, queue) or "")
    finally:
        scratch.close()


def declare_listeners(connection: Connection, queue_type: str) -> None:
    """Make sure that the queues exist in which events gather, bound to what they listen for."""
    for queue, pattern in EVENT_QUEUES.items():
        topology.declare_listener(connection, queue, pattern, queue_type)


def declared_delivery_limit(connection: Connection, queue: str) -> int | None:
    """Return the argument x-delivery-limit of *queue*, which has to exist.

    AMQP tells it only in the refusal of a declaration without it. None where there is none, or
    where the broker refuses for another reason. Raises BrokerFault.
    """
    arguments = {"x-queue-type": "quorum"}
    try:
        reason = _refusal(
            connection, "queue_declare", {"queue": queue, "durable": True, "arguments": arguments}
        )
    except ChannelFault:
        return None
    found = _LIMIT_IN_REFUSAL.search(reason or "")
    return None if found is None else int(found[1])
