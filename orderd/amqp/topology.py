"""The queues and the exchange that orderd uses: found as they are, created where absent."""

import re
from typing import Any, Final

from orderd.amqp.connection import Channel, Connection
from orderd.amqp.faults import NOT_FOUND, PRECONDITION_FAILED, ChannelFault, TopologyMismatch
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.protocol.names import EVENTS_EXCHANGE, dead_letter_queue
from orderd.protocol.values import value

_ARGUMENTS_MAX: Final = 20
_MUST_BE: Final = frozenset({"durable", "auto_delete", "exclusive"})
_WHOLE_NUMBERS: Final = frozenset({"byte", "short", "long", "signedint", "unsignedint"})
# In the broker's words: ... inequivalent arg 'x-queue-type' for queue 'user' in vhost '/': received
# none but current is the value 'stream' of type 'longstr'
_DIFFERENCE: Final = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' .* but current is "
    r"(none|(the value )?'(?P<current>[^']*)'( of type '(?P<kind>\w+)')?)",
    re.DOTALL,
)


@value
class QueueDepth:
    """What a queue holds *ready* for delivery, and how many *consumers* it has."""

    ready: int
    consumers: int


def declare_commands(scratch: ScratchChannel, queue: str, queue_type: str) -> None:
    """Make sure that *queue* of commands exists, with the one for its dead letters.

    *queue_type* (empty: the virtual host's default) counts only for queues created here.
    Raises TopologyMismatch with the broker's words where an existing one cannot be used.
    """
    _ensure_queue(scratch, queue, queue_type)
    if (difference := unusable(scratch, queue)) is not None:
        raise TopologyMismatch(f"queue {queue} cannot be used: {difference}")
    _ensure_queue(scratch, dead_letter_queue(queue), queue_type)


def declare_exchange(scratch: ScratchChannel, name: str = EVENTS_EXCHANGE) -> None:
    """Make sure that the topic exchange *name* exists; raises TopologyMismatch."""
    try:
        scratch.call("exchange_declare", exchange=name, exchange_type="topic", durable=True)
    except ChannelFault as fault:
        if fault.code != PRECONDITION_FAILED:
            raise
        text = f"exchange {name} cannot be used: {fault.reason}"
        raise TopologyMismatch(text) from fault


def bind(scratch: ScratchChannel, queue: str, exchange: str, pattern: str) -> None:
    """Make sure that *queue* takes from *exchange*, a topic exchange, what matches *pattern*."""
    declare_exchange(scratch, exchange)
    scratch.call("queue_bind", queue=queue, exchange=exchange, routing_key=pattern)


def declare_listener(connection: Connection, queue: str, pattern: str, queue_type: str) -> None:
    """Make sure that *queue* exists and takes the events whose type matches *pattern*."""
    scratch = ScratchChannel(connection)
    _ensure_queue(scratch, queue, queue_type)
    bind(scratch, queue, EVENTS_EXCHANGE, pattern)
    scratch.close()


def queue_depth(connection: Connection, queue: str) -> QueueDepth | None:
    """Return what *queue* holds, None when there is no such queue."""
    scratch = ScratchChannel(connection)
    try:
        return depth_on(scratch, queue)
    except ChannelFault as fault:
        if fault.code == NOT_FOUND:
            return None
        raise
    finally:
        scratch.close()


def depth_on(channel: Channel | ScratchChannel, queue: str) -> QueueDepth:
    """Return what *queue* holds; when there is none, the broker closes *channel*."""
    found = channel.call("queue_declare", queue=queue, passive=True).method
    return QueueDepth(ready=found.message_count, consumers=found.consumer_count)


def unusable(channel: ScratchChannel, queue: str) -> str | None:
    """Return in what a queue that exists differs from one of commands, None where it does not.

    It may be classic or quorum and have any arguments, but it must be durable, stay when its
    consumers go, and be no stream. AMQP tells a queue's properties only by refusing to declare it
    otherwise, one at a time; so what is told is asked for the next time.
    """
    arguments: dict[str, Any] = {}
    for _ in range(_ARGUMENTS_MAX):
        try:
            channel.call("queue_declare", queue=queue, durable=True, arguments=arguments)
        except ChannelFault as fault:
            told = _DIFFERENCE.search(fault.reason)
            if fault.code != PRECONDITION_FAILED or told is None:
                # A user who may not declare it may still consume it; otherwise consuming fails.
                return None
            if told["name"] in _MUST_BE or told["current"] == "stream":
                return fault.reason
            if arguments.get(told["name"]) == told["current"] or told["current"] is None:
                return None
            is_number = told["kind"] in _WHOLE_NUMBERS
            arguments[told["name"]] = int(told["current"]) if is_number else told["current"]
        else:
            return None
    return None


def _ensure_queue(scratch: ScratchChannel, queue: str, queue_type: str) -> None:
    try:
        scratch.call("queue_declare", queue=queue, passive=True)
    except ChannelFault as fault:
        if fault.code != NOT_FOUND:
            raise
        _create_queue(scratch, queue, queue_type)


def _create_queue(scratch: ScratchChannel, queue: str, queue_type: str) -> None:
    arguments = _typed({}, queue_type)
    try:
        scratch.call("queue_declare", queue=queue, durable=True, arguments=arguments)
    except ChannelFault as fault:
        if fault.code != PRECONDITION_FAILED or fault.is_queue_limit:
            raise
        # Another client has declared it differently in the meantime; use it as it is.
        scratch.call("queue_declare", queue=queue, passive=True)


def _typed(arguments: dict[str, Any], queue_type: str) -> dict[str, Any]:
    return {**arguments, "x-queue-type": queue_type} if queue_type else arguments
