"""What a batch needs to know from outside the database."""

from collections.abc import Callable, Sequence

from orderd.amqp.message import Delivery
from orderd.protocol.names import Queue
from orderd.protocol.values import value


@value
class BatchContext:
    """What a batch needs to know from outside the database.

    `arriving` is given the deliveries of one transaction and returns the queues that may still
    bring users or products that these refer to. It asks the broker.
    `keep_alive` is called between two tries, two transactions, and after many bytes of bodies.
    `assert_ours` is called right before COMMIT. It raises `DeliveriesLost` where the deliveries of
    the batch are no longer this daemon's, and `Withheld` where they cannot be settled now.
    """

    arriving: Callable[[Sequence[Delivery]], frozenset[Queue]]
    keep_alive: Callable[[], None]
    assert_ours: Callable[[], None] = lambda: None


class Withheld(Exception):
    """Nothing may be committed now; the deliveries go back to the inbox."""
