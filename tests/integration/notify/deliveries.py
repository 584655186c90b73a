"""Deliveries from the queues of notifications."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from orderd.amqp.message import Delivery
from orderd.protocol.names import NoticeQueue
from tests.support.commands import delivery
from tests.unit.notify.notices import EVENT

_numbers: Final = count(1)


def shipped(event_id: str | None = None, *, user_id: int = 1, **more: Any) -> Delivery:
    """Return an event for a user, each with an id of its own unless it is given."""
    data = {**EVENT["data"], "user_id": user_id}
    return told(NoticeQueue.USER, {**EVENT, "id": event_id or new_id(), "data": data}, **more)


def sold_out(event_id: str | None = None, **more: Any) -> Delivery:
    """Return an event for administrators."""
    data = {"id": 3, "name": "Lamp", "price": 19.99, "stock_quantity": 0, "revision": 4}
    event = {**EVENT, "id": event_id or new_id(), "type": "product.out_of_stock", "data": data}
    return told(NoticeQueue.ADMIN, event, **more)


def unnamed(message: str = "Backup failed.", **more: Any) -> Delivery:
    """Return a notification of another service, without an id."""
    payload = {"message": message, "notification_type": "error"}
    content = {"type": "admin.backup", "source": "backup", "payload": payload}
    return told(NoticeQueue.ADMIN, content, **more)


def told(queue: str, content: Mapping[str, Any], **more: Any) -> Delivery:
    """Return a delivery with *content* as JSON."""
    return delivery(queue, json.dumps(content).encode(), **more)


def new_id() -> str:
    """Return an id that no other event here has."""
    return f"event-{next(_numbers)}"
