"""The fixed names that producers, consumers and operators see."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Queue(StrEnum):
    """The command queues, in the order in which a batch applies them."""

    USER = "user"
    PRODUCT = "product"
    ORDER = "order"


class NoticeQueue(StrEnum):
    """The queues of notifications, to users and to administrators."""

    USER = "user_notifications"
    ADMIN = "admin_notifications"


# Every queue that a daemon consumes, with queues for retries and dead letters.
QUEUES: Final[tuple[str, ...]] = (*map(str, Queue), *map(str, NoticeQueue))

# Of the contract, the oldest first.
VERSIONS: Final = ("v1", "v2")


class OutcomeName(StrEnum):
    """How a delivery ended, as log and metrics name it."""

    APPLIED = "applied"
    ANSWERED = "answered"
    UNAVAILABLE = "unavailable"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    INVALID = "invalid"
    DEFERRED = "deferred"
    QUARANTINED = "quarantined"


class RefusalCode(StrEnum):
    """Why a command on any row is refused; each entity has codes of its own besides."""

    REVISION_CONFLICT = "revision_conflict"
    UNREADABLE_ROW = "unreadable_row"
    EXPIRED = "expired"


class InvalidCode(StrEnum):
    """Why a message is not a command."""

    MALFORMED = "malformed"
    UNKNOWN_ACTION = "unknown_action"
    UNSUPPORTED_VERSION = "unsupported_version"
    INVALID_DATA = "invalid_data"
    TOO_LARGE = "too_large"
    ID_CONFLICT = "id_conflict"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"


class UnavailableCode(StrEnum):
    """Why a query has no answer."""

    UNAVAILABLE = "unavailable"
    REPLY_TOO_LARGE = "reply_too_large"


class DeferralCode(StrEnum):
    """Why a message is tried again later, or was given up."""

    MISSING_REFERENCE = "missing_reference"
    TRANSIENT = "transient"
    UNEXPECTED = "unexpected"


RETRIES_EXHAUSTED: Final = "retries_exhausted"
POISON: Final = "poison"
UNDELIVERABLE: Final = "undeliverable"

EVENTS_EXCHANGE: Final = "orderd.events"
# To which any service publishes notifications.
NOTIFICATIONS_EXCHANGE: Final = "notifications"

HEADER_ATTEMPT: Final = "orderd-attempt"
HEADER_REASON: Final = "orderd-reason"
HEADER_CODE: Final = "orderd-code"
HEADER_FAILED_AT: Final = "orderd-failed-at"
HEADER_QUEUE: Final = "orderd-queue"
HEADER_ERROR: Final = "orderd-error"
# Of a dead letter whose body had to be cut, because the broker takes no larger one.
HEADER_ORIGINAL_BYTES: Final = "orderd-original-bytes"
HEADER_ORIGINAL_SHA256: Final = "orderd-original-sha256"
# Properties that a copy must not carry: the broker would expire it, or refuse the publisher.
HEADER_EXPIRATION: Final = "orderd-expiration"
HEADER_USER_ID: Final = "orderd-user-id"
# When the message first came, signed by orderd together with the message and the header above.
HEADER_RECEIVED: Final = "orderd-received"
# When a command on its way through a retry queue expires, in milliseconds since 1970.
HEADER_EXPIRES_AT: Final = "orderd-expires-at"
DEAD_LETTER_HEADERS: Final = frozenset(
    {
        HEADER_REASON,
        HEADER_CODE,
        HEADER_FAILED_AT,
        HEADER_QUEUE,
        HEADER_ERROR,
        HEADER_ORIGINAL_BYTES,
        HEADER_ORIGINAL_SHA256,
    }
)
# How often a copy took the message's place in its own queue, and how many of the tries on record
# ended in a clean stop that could not say so in the database.
HEADER_RENEWALS: Final = "orderd-renewals"
HEADER_CLEAN_STOPS: Final = "orderd-clean-stops"
# How often `orderctl dlq replay` has published the message again, and who has edited it.
HEADER_REPLAYED: Final = "orderd-replayed"
HEADER_EDITED_BY: Final = "orderd-edited-by"
# The key that identifies a command without id while it keeps its place.
HEADER_PLACE: Final = "orderd-place"
RENEWAL_HEADERS: Final = frozenset({HEADER_RENEWALS, HEADER_CLEAN_STOPS})
# Prefixes of headers in which brokers record a message's history: a copy must not carry them.
BROKER_HEADERS: Final = (
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
)

# Queues that `orderctl topology apply --events` declares, and the routing key each is bound by.
EVENT_QUEUES: Final = {
    "order_processing": "order.processing",
    "order_completed": "order.delivered",
    "system_events": "system.#",
}


def dead_letter_queue(queue: str) -> str:
    """Return the name of the dead letter queue of *queue*."""
    return f"{queue}.dlq"


def lock_queue(queue: str) -> str:
    """Return the name of the queue that the exclusive consumer of *queue* holds as a lock."""
    return f"{queue}.lock"


def retry_queue(queue: str, delay_s: float) -> str:
    """Return the name of the queue in which a message of *queue* waits for *delay_s* seconds."""
    return f"{queue}.retry.{delay_name(delay_s)}"


def is_retry_queue(name: str) -> bool:
    """Return whether *name* is that of a retry queue, be it of delays that are no longer set."""
    return name.startswith(tuple(f"{queue}.retry." for queue in QUEUES))


def delay_name(delay_s: float) -> str:
    """Return a delay as people write it: ``500ms``, ``5s``, ``5min``, ``1h``."""
    delay_ms = round(delay_s * 1000)
    for unit, unit_ms in (("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if delay_ms >= unit_ms and delay_ms % unit_ms == 0:
            return f"{delay_ms // unit_ms}{unit}"
    return f"{delay_ms}ms"


def own_queues(retry_delays_s: Iterable[float]) -> frozenset[str]:
    """Return every queue of the daemons: no reply may be sent to one of them."""
    delays_s = tuple(retry_delays_s)
    return frozenset(
        name
        for queue in QUEUES
        for name in (
            queue,
            dead_letter_queue(queue),
            lock_queue(queue),
            *(retry_queue(queue, d) for d in delays_s),
        )
    ).union(EVENT_QUEUES)
