"""The daemons of this package: what each consumes, and under which name it runs."""

from typing import Final

from orderd.protocol.names import EVENTS_EXCHANGE, NOTIFICATIONS_EXCHANGE, NoticeQueue, Queue
from orderd.protocol.values import value


@value
class Binding:
    """A queue takes what is published to *exchange* with a routing key that matches *pattern*."""

    queue: str
    exchange: str
    pattern: str


@value
class Tenant:
    """A daemon, by the name of its *program*: its queues in order of precedence, its bindings."""

    program: str
    queues: tuple[str, ...]
    bindings: tuple[Binding, ...] = ()

    def bindings_of(self, queue: str) -> list[Binding]:
        """Return what *queue* is bound to."""
        return [binding for binding in self.bindings if binding.queue == queue]


USER_EVENTS: Final = (
    "order.created",
    "order.processing",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
)
ADMIN_EVENTS: Final = ("product.out_of_stock", "*.refused", "system.#")

ORDERD: Final = Tenant("orderd", tuple(Queue))
NOTIFY: Final = Tenant(
    "orderd-notify",
    tuple(NoticeQueue),
    (
        *(Binding(NoticeQueue.USER, EVENTS_EXCHANGE, pattern) for pattern in USER_EVENTS),
        Binding(NoticeQueue.USER, NOTIFICATIONS_EXCHANGE, "user.*"),
        *(Binding(NoticeQueue.ADMIN, EVENTS_EXCHANGE, pattern) for pattern in ADMIN_EVENTS),
        Binding(NoticeQueue.ADMIN, NOTIFICATIONS_EXCHANGE, "admin.*"),
    ),
)
TENANTS: Final = (ORDERD, NOTIFY)
