"""Commands with one field as it should be, or as it should not."""

import json
import re
from typing import Any

from orderd.contract.envelope import Command, Invalid
from tests.support.commands import decoded_from, delivery

PRODUCT = {"name": "lamp", "price": 1, "stock_quantity": 1}
USER = {"username": "ann", "email": "ann@x.org"}
ORDER = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
BIGINT_MAX = 2**63 - 1

_RAW = re.compile(r'"raw:([^"]*)"')


def raw(text: str) -> str:
    """Return what stands for *text* without quotes, which json.dumps would not write so."""
    return f"raw:{text}"


def decoded(queue: str, action: str, arguments: Any) -> Command | Invalid:
    """Return what a body of v2 with these arguments is."""
    text = json.dumps({"action": action, "version": "v2", "data": arguments})
    return decoded_from(delivery(queue, _RAW.sub(r"\1", text).encode()))


def taken(queue: str, action: str, arguments: Any, name: str) -> Any:
    """Return the value of the field *name* of a command that must be valid."""
    command = decoded(queue, action, arguments)
    assert isinstance(command, Command), command
    return getattr(command.content, name)


def refused(queue: str, action: str, arguments: Any) -> str:
    """Return why a command is invalid, as it must be."""
    invalid = decoded(queue, action, arguments)
    assert isinstance(invalid, Invalid), invalid
    assert invalid.code == "invalid_data"
    assert invalid.message.isascii()
    return invalid.message


NO_INTEGERS: list[object] = [
    *(True, False, "1", " 1", "", None, [], [1], {}, raw("1.0"), raw("1e0"), raw("1.5")),
    *(raw("1e400"), raw("1e999999999"), raw("9" * 4000), raw("-" + "9" * 4000)),
]
