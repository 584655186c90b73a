"""Browses queues: AMQP 0-9-1 cannot browse, so messages are taken and returned."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Final

from orderd.amqp import topology
from orderd.amqp.connection import Connection
from orderd.amqp.faults import INTERNAL_ERROR, BrokerFault, HeadUndeliverable
from orderd.amqp.message import Delivery

# A quorum queue shuffles what comes back when more than 32 are on their way to it.
_GROUP_MAX: Final = 30
_RETURN_TIMEOUT_S: Final = 1.0
_POLL_S: Final = 0.002


class Browser:
    """Takes messages one at a time, without prefetch, on a channel of its own of *connection*.

    What is neither acked nor given back stays unacked: no other consumer gets it, and
    only its tag is remembered here. It goes back when the connection is lost, whatever happens.
    """

    def __init__(self, connection: Connection) -> None:
        self._channel = connection.open_channel()
        # Tag to queue, in the order of taking.
        self._unacked: dict[int, str] = {}

    def take(self, queue: str) -> Delivery | None:
        """Return the message at the head of *queue*, None where there is none; raise BrokerFault.

        A queue that does not exist closes the channel: ChannelFault. A head that the broker cannot
        deliver closes the connection: HeadUndeliverable.
        """
        try:
            method, found, body = self._channel.call("basic_get", queue=queue)
        except BrokerFault as fault:
            if fault.code != INTERNAL_ERROR:
                raise
            raise HeadUndeliverable(
                f"RabbitMQ fails to deliver the head of queue {queue} ({INTERNAL_ERROR})"
            ) from fault
        if method is None:
            return None
        self._unacked[method.delivery_tag] = queue
        tag = method.delivery_tag
        return Delivery(queue, body, found.decoded, tag, 0, method.redelivered)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Take *deliveries* out of their queues for good; raises BrokerFault."""
        for delivery in deliveries:
            self._channel.send("basic_ack", delivery_tag=delivery.tag)
            del self._unacked[delivery.tag]

    def give_back(self) -> None:
        """Put all that was not acked back, in its order, and take no more; never raises.

        It gets its old place, but for a quorum queue without a delivery limit: RabbitMQ 3 puts
        what comes back at the end there, so only a look at all of its messages keeps the order.
        """
        # Where this fails the connection is lost, and by that everything goes back.
        with suppress(BrokerFault):
            for queue, tagged in groupby(self._unacked.items(), key=itemgetter(1)):
                self._return(queue, [tag for tag, _ in tagged])
            self._channel.close()

    def _return(self, queue: str, tags: Sequence[int]) -> None:
        """Nack *tags* group by group, each once the one before has arrived.

        Not by closing the channel: a quorum queue would take them in any order.
        """
        ready = topology.depth_on(self._channel, queue).ready
        is_arriving = True
        for group in _groups(tags):
            # All that is older is settled: so one frame is enough, and one step of the broker.
            self._channel.send("basic_nack", delivery_tag=group[-1], multiple=True, requeue=True)
            ready += len(group)
            # Once a consumer takes them or they expire, their order does not matter.
            is_arriving = is_arriving and self._arrive(queue, ready)

    def _arrive(self, queue: str, ready: int) -> bool:
        deadline_s = time.monotonic() + _RETURN_TIMEOUT_S
        while topology.depth_on(self._channel, queue).ready < ready:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True


def _groups(tags: Sequence[int]) -> Iterator[Sequence[int]]:
    # The first goes alone: when it is back, the acks before it are done, too.
    yield tags[:1]
    for start in range(1, len(tags), _GROUP_MAX):
        yield tags[start : start + _GROUP_MAX]
