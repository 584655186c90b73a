"""What notifications are about: their types, and for whom each is."""

from enum import StrEnum
from typing import Final

from orderd.protocol.cloud_events import SystemEvent
from orderd.protocol.names import Queue


class Audience(StrEnum):
    """For whom a notification is."""

    USERS = "users"
    ADMINS = "admins"


class State(StrEnum):
    """What has become of a notification on one channel for one recipient."""

    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    SKIPPED = "skipped"
    COLLECTED = "collected"


# The types of orderd's own events.
TYPES: Final = {
    Audience.USERS: (
        "order.created",
        "order.processing",
        "order.shipped",
        "order.delivered",
        "order.cancelled",
    ),
    Audience.ADMINS: (
        "product.out_of_stock",
        *(f"{queue}.refused" for queue in Queue),
        *SystemEvent,
    ),
}
# Types that other services make, with any words behind these.
OPEN_PREFIXES: Final = {Audience.USERS: "user.", Audience.ADMINS: "admin."}
