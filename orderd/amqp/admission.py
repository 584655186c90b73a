"""Whether a queue can be consumed now: alone, together with others, or not at all."""

from collections.abc import Callable

from orderd.amqp.faults import ChannelFault
from orderd.amqp.intake import Intake
from orderd.amqp.queue_locks import QueueLocks, is_in_use
from orderd.amqp.separate import SeparateConnections


def admit(
    intake: Intake,
    locks: QueueLocks,
    connections: SeparateConnections,
    consume: Callable[[Intake], None],
) -> str | None:
    """Return None once *consume* has been called for *intake*, else why it has to stand by.

    Raises BrokerFault where the queue cannot be consumed by anybody.
    """
    # A queue with a single active consumer of its own allows no exclusive consumers.
    is_exclusive = locks.is_exclusive(intake.queue)
    for is_alone in (True, False) if is_exclusive else (False,):
        if (hindrance := locks.hindrance(intake.queue)) is not None:
            return hindrance
        intake.open(connections.connection_for(intake.queue), is_exclusive=is_alone)
        try:
            consume(intake)
        except ChannelFault as fault:
            intake.drop()
            if not is_in_use(fault):
                raise
        else:
            return None
    return "another program consumes it exclusively"
