"""What a batch asks of the world outside the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orderd.amqp.message import Delivery
from orderd.protocol.names import Queue


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What a batch asks of the world outside the database.

    `arriving` is given the deliveries that are being tried together, and returns the queues that
    may still bring users or products; it asks the broker.
    `keep_alive` is called between two tries, two portions and big bodies, so that heartbeats go on.
    `assert_ours` is called right before COMMIT. It raises BrokerFault where the deliveries in hand
    are no longer this daemon's, and `Withheld` where they cannot be settled now.
    """

    arriving: Callable[[Sequence[Delivery]], frozenset[Queue]]
    keep_alive: Callable[[], None]
    assert_ours: Callable[[], None] = lambda: None


class Withheld(Exception):
    """Nothing may be committed now; the deliveries stay in hand."""
