"""Retry queues: how they are declared, and which ones were declared by an earlier version.

On its way back a message must survive a command queue that is full, missing or down. A quorum queue
that dead-letters at least once keeps it until the command queue has confirmed it, and tries again
every three minutes; any other queue lets go of it first.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from orderd.amqp.connection import Connection
from orderd.amqp.faults import (
    ACCESS_REFUSED,
    INTERNAL_ERROR,
    PRECONDITION_FAILED,
    BrokerFault,
    ChannelFault,
    TopologyMismatch,
)
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.protocol.names import retry_queue

QUORUM: Final = "quorum"
FORMER_TYPES: Final = ("classic", QUORUM)
_KEPT: Final = {
    "x-queue-type": QUORUM,
    "x-dead-letter-strategy": "at-least-once",
    # Without it the broker dead-letters at most once.
    "x-overflow": "reject-publish",
}
_AT_LEAST_ONCE_FROM: Final = (3, 10)
# Until then it depends on a feature flag, without which the strategy is ignored in silence.
_FLAGGED_UNTIL: Final = (3, 12)
_DIFFERS_IN: Final = re.compile(r"inequivalent arg '([^']+)'")
FORMER_ADVICE: Final = "orderctl topology apply replaces it once it is empty"
_FLAG_ADVICE: Final = (
    "rabbitmqctl enable_feature_flag stream_queue; then orderctl topology apply replaces it once "
    "it is empty"
)
_VERSION_ADVICE: Final = (
    "RabbitMQ 3.10 or later is needed; then orderctl topology apply replaces it once it is empty"
)


def former_arguments(queue: str, delay_s: float) -> dict[str, Any]:
    """Return with what former versions declared the retry queue of *queue*, besides a type."""
    return {
        "x-message-ttl": round(delay_s * 1000),
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": str(queue),
    }


def arguments(queue: str, delay_s: float) -> dict[str, Any]:
    """Return with what the retry queue of *queue* is declared."""
    return former_arguments(queue, delay_s) | _KEPT


def depends_on_a_flag(connection: Connection) -> bool:
    """Return whether a feature flag decides on what the broker can do."""
    return _AT_LEAST_ONCE_FROM <= connection.version < _FLAGGED_UNTIL


def hindrance(connection: Connection, queue: str = "user") -> str | None:
    """Return what has to be done before the broker can dead-letter at least once, None if nothing.

    The user has to have the right to declare the retry queues of *queue*.
    Where the answer depends on a feature flag that is disabled, *connection* is lost by asking.
    """
    if not depends_on_a_flag(connection):
        is_too_old = bool(connection.version) and connection.version < _AT_LEAST_ONCE_FROM
        return _VERSION_ADVICE if is_too_old else None
    # A stream has to be durable: so none is declared, and which fault is found first tells.
    stream = {"x-queue-type": "stream"}
    name = retry_queue(queue, 0)
    try:
        connection.open_channel().call("queue_declare", queue=name, durable=False, arguments=stream)
    except BrokerFault as fault:
        if fault.code == INTERNAL_ERROR:
            return _FLAG_ADVICE
        if fault.code not in {PRECONDITION_FAILED, ACCESS_REFUSED}:
            raise
    return None


def declare(scratch: ScratchChannel, queue: str, delay_s: float, *, can_keep: bool = True) -> bool:
    """Make sure that the retry queue of *queue* exists; return whether it keeps its messages.

    One of an earlier version is left as it is, whatever its type. Where the broker cannot have one
    that keeps its messages, a classic one is created. Raises TopologyMismatch, ChannelFault.
    """
    former = [former_arguments(queue, delay_s) | {"x-queue-type": kind} for kind in FORMER_TYPES]
    kept = arguments(queue, delay_s)
    name = retry_queue(queue, delay_s)
    faults: list[ChannelFault] = []
    for asked in (kept, *former) if can_keep else (*former, kept):
        try:
            scratch.call("queue_declare", queue=name, durable=True, arguments=asked)
        except ChannelFault as fault:
            if fault.code != PRECONDITION_FAILED or fault.is_queue_limit:
                raise
            faults.append(fault)
        else:
            return can_keep and asked == kept
    mismatch = _telling(faults)
    raise TopologyMismatch(f"queue {name} cannot be used: {mismatch.reason}") from mismatch


def _telling(faults: Sequence[ChannelFault]) -> ChannelFault:
    """Return the one that names a difference other than that between the ways to declare it."""
    for fault in faults:
        found = _DIFFERS_IN.search(fault.reason)
        if found is not None and found[1] not in _KEPT:
            return fault
    return faults[0]
