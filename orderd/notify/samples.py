"""One event of every type, as others send them: templates are tried with these."""

from collections.abc import Mapping
from typing import Any, Final

from orderd.protocol.notifications import OPEN_PREFIXES, TYPES, Audience

_TIME: Final = "2026-11-22T03:14:47.788232Z"
_ID: Final = "e5d76b93-ffef-430e-9d10-6c041459a639"
# The type of an event that a later version may have.
UNKNOWN: Final = "system.reconfigured"
USER: Final[Mapping[str, Any]] = {
    "id": 1,
    "username": "ada",
    "email": "ada@example.com",
    "full_name": "Ada Lovelace",
}
_ORDER: Final[Mapping[str, Any]] = {
    "id": 1,
    "user_id": 1,
    "priority": "normal",
    "total_amount": 1459.97,
    "items": [
        {"id": 1, "product_id": 1, "quantity": 1, "unit_price": 1299.99},
        {"id": 2, "product_id": 2, "quantity": 2, "unit_price": 79.99},
    ],
    "created_at": "2026-11-22T03:14:00.455896Z",
    "updated_at": _TIME,
    "revision": 2,
}
_PRODUCT: Final[Mapping[str, Any]] = {
    "id": 5,
    "name": "Webcam Logitech C920",
    "price": 89.99,
    "stock_quantity": 0,
    "created_at": "2026-11-20T10:00:00.000000Z",
    "updated_at": _TIME,
    "revision": 4,
}
_DAEMON: Final[Mapping[str, Any]] = {"instance": "orderd-1", "version": "1.0.0"}
_SYSTEM: Final[Mapping[str, Mapping[str, Any]]] = {
    "system.started": {},
    "system.stopping": {"signal": "SIGTERM"},
    "system.paused": {"waiting_for": "database"},
    "system.resumed": {"paused_seconds": 12.5},
    "system.queue_paused": {"queue": "order", "reason": "stock count", "by": "ada"},
    "system.queue_resumed": {"queue": "order"},
}
_DEAD_LETTER: Final[Mapping[str, Any]] = {
    "queue": "order",
    "code": "invalid_data",
    "reason": "data.items: Field required",
    "attempt": 1,
    "request_id": "web-1",
}


def sample(event_type: str) -> dict[str, Any]:
    """Return an event of the type (or `UNKNOWN`); raise ValueError where there is no such type."""
    prefix = event_type.partition(".")[0]
    if event_type.startswith(tuple(OPEN_PREFIXES.values())) and not is_refusal(event_type):
        return _plain(event_type, is_for_user=prefix == "user")
    if event_type != UNKNOWN and not any(event_type in known for known in TYPES.values()):
        raise ValueError(f"notifications have no type {event_type}")
    subject, data = _content(prefix, event_type)
    return {
        "specversion": "1.0",
        "id": _ID,
        "source": "orderd",
        "type": event_type,
        "subject": subject,
        "time": _TIME,
        "datacontenttype": "application/json",
        "data": data,
    }


def is_refusal(event_type: str) -> bool:
    """Return whether it is the type of the event of a refused command."""
    return event_type.endswith(".refused") and event_type in TYPES[Audience.ADMINS]


def sample_digest() -> dict[str, Any]:
    """Return the context of a digest."""
    return {
        "type": "product.out_of_stock",
        "count": 2,
        "since": _TIME,
        "messages": [
            _collected("Webcam Logitech C920"),
            _collected("USB-C Hub 7-in-1"),
        ],
    }


def _collected(product: str) -> dict[str, Any]:
    subject = f"Out of stock: {product}"
    return {"time": _TIME, "subject": subject, "text": f"{product} is out of stock.\n"}


def _plain(event_type: str, *, is_for_user: bool) -> dict[str, Any]:
    payload = {"message": "The shop is closed on Sunday.", "notification_type": "info"}
    return {
        "id": _ID,
        "type": event_type,
        "source": "shop",
        "payload": payload | ({"user_id": 1} if is_for_user else {}),
    }


def _content(prefix: str, event_type: str) -> tuple[str, Mapping[str, Any]]:
    """Return subject and data of an event of ours."""
    if is_refusal(event_type):
        request = {"id": "web-1", "version": "v1", "action": "create", "data": {"name": "Webcam"}}
        told = {"action": "create", "code": "unreadable_row", "error": "price is NaN"}
        return prefix, told | {"request": request}
    if event_type == "system.dead_lettered":
        return "queue/order", _DEAD_LETTER
    if prefix == "system":
        return "instance/orderd-1", {**_DAEMON, **_SYSTEM.get(event_type, {})}
    if prefix == "product":
        return "product/5", _PRODUCT
    status = event_type.removeprefix("order.").replace("created", "pending")
    return "order/1", {**_ORDER, "status": status}
