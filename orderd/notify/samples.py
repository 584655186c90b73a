"""An example of each type of notification, such as templates are tried with."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from orderd import __version__
from orderd.notify.records import User
from orderd.notify.routes import DIGEST, SOURCE
from orderd.protocol.cloud_events import SystemEvent
from orderd.protocol.names import NoticeQueue, Queue
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES, Audience
from orderd.protocol.values import value

USER: Final = User("ada@example.com", True, "ada", "Ada Lovelace")
_ID: Final = "e5d76b93-ffef-430e-9d10-6c041459a639"
_TIME: Final = "2026-11-22T03:14:47.788232Z"
_QUEUES: Final = {Audience.USERS: NoticeQueue.USER, Audience.ADMINS: NoticeQueue.ADMIN}
_INSTANCE: Final[Mapping[str, Any]] = {"instance": "shop1", "version": __version__}
_SYSTEM: Final[Mapping[str, Mapping[str, Any]]] = {
    SystemEvent.STARTED: _INSTANCE,
    SystemEvent.PAUSED: {**_INSTANCE, "waiting_for": "database"},
    SystemEvent.RESUMED: {**_INSTANCE, "paused_seconds": Decimal("12.3")},
    SystemEvent.STOPPING: {**_INSTANCE, "signal": "SIGTERM"},
    SystemEvent.DEAD_LETTERED: {
        "queue": "order",
        "code": "invalid_data",
        "reason": "data.items must be a list; got '3'",
        "attempt": 0,
        "request_id": "web-1",
    },
    SystemEvent.QUEUE_PAUSED: {
        **_INSTANCE,
        "queue": "order",
        "reason": "price list is being corrected",
        "by": "ada@shop1",
    },
    SystemEvent.QUEUE_RESUMED: {**_INSTANCE, "queue": "order"},
}


@value
class Sample:
    """A message for *queue*: its body decoded."""

    queue: str
    content: Mapping[str, Any]


def sample_of(notification_type: str) -> Sample | None:
    """Return an example of the type; None for one that is no event and that no service may send."""
    for audience, queue in _QUEUES.items():
        if notification_type in TYPES[audience]:
            return Sample(queue, _event(notification_type, _data_of(notification_type)))
    for audience, queue in _QUEUES.items():
        if notification_type.startswith(OPEN_PREFIXES[audience]):
            return Sample(queue, _plain(notification_type, audience))
    return None


def digest_context() -> dict[str, Any]:
    """Return what the template of digests can name, for an example."""
    lines = [
        {"time": _TIME, "subject": f"Out of stock: {name}", "text": f"{name} is out of stock."}
        for name in ("Lamp", "Laptop")
    ]
    data = {"type": "product.out_of_stock", "count": 3, "lines": lines}
    event = {"id": _ID, "type": DIGEST, "source": SOURCE, "time": _TIME, "correlation_id": None}
    return {"event": event, "data": data, "user": None}


def _event(notification_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": _ID,
        "source": "orderd",
        "type": notification_type,
        "time": _TIME,
        "correlationid": "web-1",
        "datacontenttype": "application/json",
        "data": data,
    }


def _plain(notification_type: str, audience: Audience) -> dict[str, Any]:
    payload = {"message": "The backup has failed.", "notification_type": "error"}
    if audience is Audience.USERS:
        payload = {"message": "Your password was changed.", "notification_type": "warning"}
        return _told(notification_type, {"user_id": 1, **payload})
    return _told(notification_type, payload)


def _told(notification_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": _ID, "type": notification_type, "source": "accounts", "payload": payload}


def _data_of(event_type: str) -> Mapping[str, Any]:
    subject, _, what = event_type.partition(".")
    if subject == "order" and what != "refused":
        return _order(what)
    if subject == "system":
        return _SYSTEM[event_type]
    if what == "refused":
        return _refusal(Queue(subject))
    return {
        "id": 3,
        "name": "Lamp",
        "price": Decimal("19.99"),
        "stock_quantity": 0,
        "created_at": _TIME,
        "updated_at": _TIME,
        "revision": 4,
    }


def _order(what: str) -> dict[str, Any]:
    return {
        "id": 7,
        "user_id": 1,
        "status": "pending" if what == "created" else what,
        "priority": "normal",
        "total_amount": Decimal("59.97"),
        "items": [{"id": 9, "product_id": 3, "quantity": 3, "unit_price": Decimal("19.99")}],
        "created_at": _TIME,
        "updated_at": _TIME,
        "revision": 2,
    }


def _refusal(queue: Queue) -> dict[str, Any]:
    request = {"id": "web-1", "version": "v1", "action": "update", "data": {"id": 7}}
    return {
        "action": "update",
        "code": f"{queue}_not_found",
        "error": f"{queue} 7 does not exist",
        "request": request,
    }
