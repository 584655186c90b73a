"""Whether a user or product that an order refers to may still arrive."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.contract.names import Queue, retry_queue

# The queues of what an order refers to.
_REFERRED_TO: Final = (Queue.USER, Queue.PRODUCT)


class Arrivals:
    """Looks for messages of the queues `user` and `product` that are not settled yet."""

    def __init__(self, consumer: Consumer, retry_delays: Callable[[], Sequence[float]]) -> None:
        """Ask *consumer*'s broker, also for the retry queues of the current *retry_delays*."""
        self._consumer = consumer
        self._retry_delays = retry_delays

    def queues(self, in_hand: Iterable[Delivery]) -> frozenset[Queue]:
        """Return the queues that may still bring what an order refers to.

        Such a queue has messages *in_hand*, in a retry queue, or ready, or another consumer.
        Raises BrokerFault.
        """
        known = {Queue(delivery.queue) for delivery in in_hand}
        return frozenset(
            queue for queue in _REFERRED_TO if queue in known or self._is_waiting_at_broker(queue)
        )

    def _is_waiting_at_broker(self, queue: Queue) -> bool:
        depth = self._consumer.depth(queue)
        if depth.ready or depth.consumers > 1:
            return True
        names = (retry_queue(queue, delay_s) for delay_s in self._retry_delays())
        return any(self._consumer.depth(name).ready for name in names)
