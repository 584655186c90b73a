"""What has arrived and is not begun yet."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice

from orderd.amqp import renewal
from orderd.amqp.message import Delivery


class Waiting:
    """The deliveries that wait: in `inbox`, or in `worn` where the broker might soon drop them.

    `received` counts all that ever came.
    """

    def __init__(self) -> None:
        self.inbox: deque[Delivery] = deque()
        self.worn: deque[Delivery] = deque()
        self.received = 0
        self._unwanted: Collection[str] = ()
        self._surplus: list[Delivery] = []

    def put(self, delivery: Delivery) -> None:
        """Let *delivery* wait."""
        self.received += 1
        if delivery.queue in self._unwanted:
            # It goes back, and for that nobody needs its body.
            self._surplus.append(replace(delivery, body=b""))
        elif delivery.redelivered and renewal.is_due(delivery):
            self.worn.append(delivery)
        else:
            self.inbox.append(delivery)

    def body_bytes(self, start: int = 0) -> int:
        """Return how many bytes of bodies wait, in the inbox from place *start* on."""
        waiting = chain(islice(self.inbox, start, None), () if start else self.worn)
        return sum(len(delivery.body) for delivery in waiting)

    def void(self, queue: str | None = None) -> None:
        """Forget what waits of *queue*, None for all: it cannot be settled any more."""
        self._take(lambda one: queue in {None, one.queue})

    @contextmanager
    def giving_back(self, queues: Collection[str]) -> Iterator[list[Delivery]]:
        """Take out what waits of *queues*, and what of them arrives in the block; yield that."""
        self._unwanted = queues
        self._surplus = surplus = self._take(lambda one: one.queue in queues)
        try:
            yield surplus
        finally:
            self._unwanted, self._surplus = (), []

    def _take(self, is_meant: Callable[[Delivery], bool]) -> list[Delivery]:
        taken: list[Delivery] = []
        for waiting in (self.inbox, self.worn):
            every = list(waiting)
            waiting.clear()
            for delivery in every:
                (taken if is_meant(delivery) else waiting).append(delivery)
        return taken
