"""Whether a user or product that an order refers to may still arrive."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.pipeline.policy import Policy
from orderd.protocol.names import Queue, retry_queue
from orderd.shop.registry import SHOP

# A message may be on its way between two queues, or from one to here: the second look finds it.
_LOOKS: Final = 2


class Arrivals:
    """Looks for messages of the queues `user` and `product` that are not settled yet."""

    def __init__(
        self, consumer: Consumer, policy: Policy, retried: Callable[[], Iterable[Delivery]]
    ) -> None:
        """Look into the queues of *consumer*'s broker; *retried* tells what is sent to retries."""
        self._consumer = consumer
        self._policy = policy
        self._retried = retried

    def queues(self, tried: Sequence[Delivery]) -> frozenset[Queue]:
        """Return the queues that may still bring what an order among *tried* refers to.

        Such a queue has unacked messages other than *tried*, messages that are ready, in a retry
        queue or on the way back, or another consumer; or it is paused, or cannot be consumed for
        now. Raises `BrokerFault`.
        """
        tags = {delivery.tag for delivery in tried}
        found = self._in_hand(tags)
        for _ in range(_LOOKS):
            found |= {q for q in SHOP.referred_to if q not in found and self._has_waiting(q)}
            # After the broker: what it no longer has may have arrived by now.
            found |= self._in_hand(tags)
        return frozenset(found)

    def _in_hand(self, tried: Collection[int]) -> set[Queue]:
        """Return the queues with unacked deliveries other than those with tags *tried*."""
        inbox = self._consumer.inbox
        leased = (each for each in inbox.leased if each.tag not in tried)
        in_hand = chain(leased, inbox, inbox.worn, self._retried())
        queues = {Queue(delivery.queue) for delivery in in_hand}
        return queues.intersection(SHOP.referred_to)

    def _has_waiting(self, queue: Queue) -> bool:
        consumer = self._consumer
        if queue in consumer.failing or queue in consumer.held or queue in consumer.in_flight:
            return True
        # In the order in which a message goes through them, so that none slips by.
        names = (retry_queue(queue, delay_s) for delay_s in self._policy.retry_delays_s)
        if any(self._consumer.depth(name).ready for name in names):
            return True
        depth = self._consumer.depth(queue)
        own = int(self._consumer.takes_from(queue))
        return bool(depth.ready) or depth.consumers > own
