"""Replaces retry queues of former versions, once they are empty, by ones that lose nothing."""

from typing import Final

from orderd.amqp import retry_queues
from orderd.amqp.connection import Connection
from orderd.amqp.faults import PRECONDITION_FAILED, ChannelFault
from orderd.amqp.inspection import Needed
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.amqp.topology import depth_on

_HOLDS: Final = "it holds messages; run this again when they have returned to their queues"


def replace(connection: Connection, former: Needed) -> str | None:
    """Replace a retry queue of an earlier version; return why it was left, None where it was not.

    No message is lost by it. Raises BrokerFault.
    """
    scratch = ScratchChannel(connection)
    delay_s = former.delay_s or 0
    try:
        if (why := _delete(scratch, former)) is not None:
            return why
        is_kept = retry_queues.declare(scratch, former.returns_to, delay_s)
    finally:
        scratch.close()
    return (
        None
        if is_kept
        else "a daemon of an earlier version has declared it again; stop that daemon first"
    )


def _delete(scratch: ScratchChannel, former: Needed) -> str | None:
    if not _is_classic(scratch, former):
        return _delete_quorum(scratch, former)
    try:
        scratch.call("queue_delete", queue=former.name, if_empty=True)
    except ChannelFault as fault:
        if fault.code != PRECONDITION_FAILED:
            raise
        return _HOLDS
    return None


def _delete_quorum(scratch: ScratchChannel, former: Needed) -> str | None:
    """Delete a queue that RabbitMQ does not delete on condition that it is empty.

    What publishes to it, a daemon, consumes the queue of commands, too.
    """
    if depth_on(scratch, former.returns_to).consumers:
        return f"a quorum queue; stop the consumers of {former.returns_to}, then run this again"
    if depth_on(scratch, former.name).ready:
        return _HOLDS
    scratch.call("queue_delete", queue=former.name)
    return None


def _is_classic(scratch: ScratchChannel, former: Needed) -> bool:
    arguments = retry_queues.former_arguments(former.returns_to, former.delay_s or 0)
    classic = arguments | {"x-queue-type": "classic"}
    try:
        scratch.call("queue_declare", queue=former.name, durable=True, arguments=classic)
    except ChannelFault as fault:
        if fault.code != PRECONDITION_FAILED:
            raise
        return False
    return True
