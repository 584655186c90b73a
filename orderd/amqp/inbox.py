"""Deliveries between their arrival and their settlement: waiting, or on lease to a batch."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

from orderd.amqp import renewal
from orderd.amqp.message import Delivery


class Inbox:
    """The deliveries that wait for a batch, oldest first, and those that a batch has on lease.

    `worn` are those that the broker might drop after a few more deliveries: they wait apart, to be
    replaced by copies. `received` counts all deliveries that ever arrived.
    """

    def __init__(self, holds: Callable[[Delivery], bool]) -> None:
        """Start empty; *holds* tells whether a delivery can still be settled."""
        self.worn: deque[Delivery] = deque()
        self.received = 0
        self._waiting: deque[Delivery] = deque()
        self._leased: dict[int, Delivery] = {}
        self._holds = holds
        self._unwanted: Collection[str] = ()
        self._surplus: list[Delivery] = []

    def __len__(self) -> int:
        """Return how many deliveries wait for a batch."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Delivery]:
        """Yield the deliveries that wait for a batch, oldest first."""
        return iter(self._waiting)

    @property
    def leased(self) -> Collection[Delivery]:
        """The deliveries that a batch has on lease and has not released."""
        return self._leased.values()

    @contextmanager
    def lease(self, count: int) -> Iterator[list[Delivery]]:
        """Give up to *count* deliveries, oldest first, to the batch of the block.

        Those that were not released by the end of the block wait again, at the head and in their
        order, however the block ends; those that are no longer held are forgotten.
        """
        deliveries = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        self._leased = {delivery.tag: delivery for delivery in deliveries}
        try:
            yield deliveries
        finally:
            unreleased, self._leased = self._leased, {}
            held = [each for each in unreleased.values() if self._holds(each)]
            self._waiting.extendleft(reversed(held))

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """End the lease of *deliveries*: the caller settles them."""
        for delivery in deliveries:
            self._leased.pop(delivery.tag, None)

    def put(self, delivery: Delivery) -> None:
        """Add *delivery*, which has just arrived."""
        self.received += 1
        if delivery.queue in self._unwanted:
            # It is given back, which does not need its body.
            self._surplus.append(replace(delivery, body=b""))
        elif delivery.redelivered and renewal.is_due(delivery):
            self.worn.append(delivery)
        else:
            self._waiting.append(delivery)

    def put_back(self, deliveries: Iterable[Delivery]) -> None:
        """Let *deliveries* wait again, behind all others."""
        self._waiting.extend(deliveries)

    def body_bytes(self) -> int:
        """Return the size of the waiting bodies."""
        return sum(len(delivery.body) for delivery in chain(self._waiting, self.worn))

    def void(self, queue: str | None = None) -> None:
        """Forget what waits of *queue*, of all queues by default: it can no longer be settled."""
        self._take(lambda each: queue in {None, each.queue})

    @contextmanager
    def giving_back(self, queues: Collection[str]) -> Iterator[list[Delivery]]:
        """Remove what waits of *queues*, and what arrives of them in the block; yield that."""
        self._unwanted = queues
        self._surplus = surplus = self._take(lambda each: each.queue in queues)
        try:
            yield surplus
        finally:
            self._unwanted, self._surplus = (), []

    def _take(self, is_meant: Callable[[Delivery], bool]) -> list[Delivery]:
        taken: list[Delivery] = []
        for waiting in (self._waiting, self.worn):
            every = list(waiting)
            waiting.clear()
            for delivery in every:
                (taken if is_meant(delivery) else waiting).append(delivery)
        return taken
