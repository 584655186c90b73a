"""Bodies of messages in the queues of notifications, and what is read from them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from orderd.notify.notice import Notice, decode
from orderd.protocol.envelope import Invalid
from orderd.protocol.names import NoticeQueue

BODY_BYTES_MAX: Final = 1024 * 1024
ORDER: Final[Mapping[str, Any]] = {
    "id": 7,
    "user_id": 1,
    "status": "shipped",
    "priority": "normal",
    "total_amount": 19.99,
    "items": [{"product_id": 3, "quantity": 2, "unit_price": 9.99}],
    "created_at": "2026-11-01T12:00:00Z",
    "updated_at": "2026-11-01T12:00:00Z",
    "revision": 2,
}
EVENT: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "2f6f1c1e-8f0a-4d6b-9a0f-2d5a7c3b1e10",
    "source": "orderd",
    "type": "order.shipped",
    "subject": "order/7",
    "time": "2026-11-01T12:00:00Z",
    "datacontenttype": "application/json",
    "data": ORDER,
}
PLAIN: Final[Mapping[str, Any]] = {
    "id": "n-1",
    "type": "user.password_changed",
    "source": "accounts",
    "payload": {
        "user_id": 1,
        "message": "Your password was changed.",
        "notification_type": "warning",
    },
}


def read(
    content: object, queue: str = NoticeQueue.USER, message_id: str | None = None
) -> Notice | Invalid:
    """Return what is read from *content*, as JSON or as it is."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode(queue, body, message_id, 0, BODY_BYTES_MAX)


def notice(content: object = EVENT, queue: str = NoticeQueue.USER) -> Notice:
    """Return the notice in *content*, which is one."""
    found = read(content, queue)
    assert isinstance(found, Notice), found
    return found
