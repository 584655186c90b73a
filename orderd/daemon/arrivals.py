"""Whether a user or product that an order refers to may still arrive."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.batch.results import Result
from orderd.contract.names import Queue, retry_queue
from orderd.domain.outcomes import Deferred

# The queues of what an order refers to.
_REFERRED_TO: Final = (Queue.USER, Queue.PRODUCT)


class Arrivals:
    """Looks for messages of the queues `user` and `product` that are not settled yet."""

    def __init__(self, consumer: Consumer, retry_delays: Callable[[], Sequence[float]]) -> None:
        """Ask *consumer*'s broker, also for the retry queues of the current *retry_delays*."""
        self._consumer = consumer
        self._retry_delays = retry_delays
        self._deferred: set[Queue] = set()
        self._deferred_before: set[Queue] = set()

    def begin_batch(self) -> None:
        """Note that a batch begins: what was deferred two batches ago is in a retry queue now."""
        self._deferred_before, self._deferred = self._deferred, set()

    def note(self, results: Iterable[Result]) -> None:
        """Note which of *results* are on their way to a retry queue."""
        self._deferred.update(
            Queue(result.delivery.queue)
            for result in results
            if isinstance(result.outcome, Deferred)
        )

    def queues(self, in_hand: Iterable[Delivery]) -> frozenset[Queue]:
        """Return the queues that may still bring what an order refers to.

        Such a queue has messages in hand, on their way to a retry queue or in one, or ready, or
        another consumer. Raises BrokerFault.
        """
        known = {Queue(delivery.queue) for delivery in in_hand}
        known |= self._deferred | self._deferred_before
        return frozenset(
            queue for queue in _REFERRED_TO if queue in known or self._is_waiting_at_broker(queue)
        )

    def _is_waiting_at_broker(self, queue: Queue) -> bool:
        depth = self._consumer.depth(queue)
        if depth.ready or depth.consumers > 1:
            return True
        names = (retry_queue(queue, delay_s) for delay_s in self._retry_delays())
        return any(self._consumer.depth(name).ready for name in names)
