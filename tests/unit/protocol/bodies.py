"""Bodies, and what the contract makes of them."""

import json
from typing import Any

from orderd.protocol.envelope import Command, Invalid, decode
from orderd.shop.registry import SHOP
from tests.support.commands import BODY_BYTES_MAX, let_in

CREATE: dict[str, Any] = {
    "action": "create",
    "data": {"name": "lamp", "price": 1, "stock_quantity": 1},
}


def read(body: object, queue: str = "product", message_id: Any = None) -> Command | Invalid:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(queue, raw, message_id, 0, BODY_BYTES_MAX, models=SHOP.models, permit=let_in)


def command(body: object, queue: str = "product", message_id: Any = None) -> Command:
    one = read(body, queue, message_id)
    assert isinstance(one, Command), one
    return one


def invalid(body: object, queue: str = "product", message_id: Any = None) -> Invalid:
    one = read(body, queue, message_id)
    assert isinstance(one, Invalid), one
    assert one.message.isprintable()
    return one
