"""Looks at what lies in queues: AMQP has no browsing, so messages are taken and given back."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pika.exceptions
from pika import spec

from orderd.amqp import topology
from orderd.amqp.channel import CALL_TIMEOUT_S
from orderd.amqp.faults import BrokerFault
from orderd.amqp.link import Link
from orderd.amqp.message import Delivery

# A quorum queue shuffles what comes back when more than 32 are on their way to it.
_GROUP_MAX: Final = 30
_RETURN_TIMEOUT_S: Final = 1.0
_POLL_S: Final = 0.002


class Browser:
    """Takes messages one at a time, without prefetch, on a channel of its own on *link*.

    What is neither acked nor given back stays with the broker, unacked: nobody else gets it, and
    only its tag is remembered here. It goes back when the connection is lost, whatever happens.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel = link.open_channel()
        self._channel.raw.add_callback(self._on_empty, [spec.Basic.GetEmpty], one_shot=False)
        self._queue = ""
        self._answers: list[Delivery | None] = []
        # Tag to queue, in the order of taking.
        self._unacked: dict[int, str] = {}

    def take(self, queue: str) -> Delivery | None:
        """Return the message at the head of *queue*, None where there is none; raise BrokerFault.

        A queue that does not exist closes the channel: ChannelFault.
        """
        self._queue = queue
        self._answers.clear()
        self._channel.raise_if_closed()
        try:
            self._channel.raw.basic_get(queue, self._on_message)
        except pika.exceptions.AMQPError as error:
            raise BrokerFault(f"{self._link.where}: basic_get: {error}") from error
        self._link.run_until(self._is_answered, CALL_TIMEOUT_S, f"looking into {queue}")
        return self._answers[0]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Take *deliveries* out of their queues for good."""
        self._channel.raise_if_closed()
        for delivery in deliveries:
            self._channel.raw.basic_ack(delivery.tag)
            del self._unacked[delivery.tag]
        # pika only buffers: this turn hands it to the socket.
        self._link.run(0)

    def give_back(self) -> None:
        """Put all that was not acked back, in its order, and take no more; never raises.

        It gets its old place, but for a quorum queue without a delivery limit: RabbitMQ 3 puts
        what comes back at the end there, so only a look at all of its messages keeps the order.
        """
        # Where this fails the connection is lost, and by that everything goes back.
        with contextlib.suppress(BrokerFault, pika.exceptions.AMQPError):
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
            self._channel.raw.basic_nack(group[-1], multiple=True, requeue=True)
            ready += len(group)
            # Somebody else may take them, or they expire: then their order is nobody's concern.
            is_arriving = is_arriving and self._arrive(queue, ready)

    def _arrive(self, queue: str, ready: int) -> bool:
        deadline_s = time.monotonic() + _RETURN_TIMEOUT_S
        while topology.depth_on(self._channel, queue).ready < ready:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _is_answered(self) -> bool:
        self._channel.raise_if_closed()
        return bool(self._answers)

    def _on_message(self, _raw: Any, method: Any, found: Any, body: bytes) -> None:
        tag = method.delivery_tag
        self._unacked[tag] = self._queue
        self._answers.append(Delivery(self._queue, body, found.decoded, tag, 0, method.redelivered))
        self._link.wake()

    def _on_empty(self, _frame: Any) -> None:
        self._answers.append(None)
        self._link.wake()


def _groups(tags: Sequence[int]) -> Iterator[Sequence[int]]:
    # The first goes alone: when it is back, the acks before it are done, too.
    yield tags[:1]
    for start in range(1, len(tags), _GROUP_MAX):
        yield tags[start : start + _GROUP_MAX]
