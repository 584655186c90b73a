"""Whether a user or product that an order refers to may still arrive."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.protocol.names import Queue, retry_queue
from orderd.shop.registry import SHOP

# A message may be on its way between two queues, or from one to here: the second look finds it.
_LOOKS: Final = 2


class Arrivals:
    """Looks for messages of the queues `user` and `product` that are not settled yet."""

    def __init__(self, consumer: Consumer, retry_delays: Callable[[], Sequence[float]]) -> None:
        """Ask *consumer*'s broker, also for the retry queues of the current *retry_delays*."""
        self._consumer = consumer
        self._retry_delays = retry_delays

    def queues(self, in_hand: Callable[[], Iterable[Delivery]]) -> frozenset[Queue]:
        """Return the queues that may still bring what an order refers to.

        Such a queue has messages *in_hand*, in a retry queue or on the way back, or ready, or
        another consumer; or it cannot be consumed for now.
        Raises BrokerFault.
        """
        found = _queues_of(in_hand())
        for _ in range(_LOOKS):
            found |= {q for q in SHOP.referred_to if q not in found and self._has_waiting(q)}
            # After the broker: what it no longer has may have come by now.
            found |= _queues_of(in_hand())
        return frozenset(found)

    def _has_waiting(self, queue: Queue) -> bool:
        if queue in self._consumer.failing or queue in self._consumer.underway:
            return True
        # In the order in which a message goes through them, so that none slips by.
        names = (retry_queue(queue, delay_s) for delay_s in self._retry_delays())
        if any(self._consumer.depth(name).ready for name in names):
            return True
        depth = self._consumer.depth(queue)
        own = int(self._consumer.takes_from(queue))
        return bool(depth.ready) or depth.consumers > own


def _queues_of(deliveries: Iterable[Delivery]) -> set[Queue]:
    queues = {Queue(delivery.queue) for delivery in deliveries}
    return queues.intersection(SHOP.referred_to)
