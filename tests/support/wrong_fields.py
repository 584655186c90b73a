"""Every field of every action with a value of every wrong type, and without what is required."""

import json
from collections.abc import Iterator
from typing import Any

# One value of each type that JSON has, of numbers three.
VALUES: dict[str, Any] = {
    "null": None,
    "bool": True,
    "whole": 7,
    "broken": 1.5,
    "text": "x",
    "list": [],
    "object": {},
}
ITEM = {"product_id": 1, "quantity": 1}
# Field: a right value, and which of the values above are right as well.
FIELDS: dict[str, tuple[Any, set[str]]] = {
    "id": (1, {"whole"}),
    "user_id": (1, {"whole"}),
    "order_id": (1, {"whole"}),
    "product_id": (1, {"whole"}),
    "quantity": (1, {"whole"}),
    "name": ("lamp", {"text"}),
    "username": ("ann", {"text"}),
    "full_name": ("Ann", {"text", "null"}),
    "email": ("ann@example.com", set()),
    "price": (1, {"whole", "broken"}),
    "stock_quantity": (1, {"whole"}),
    "delta": (1, {"whole"}),
    "is_active": (True, {"bool"}),
    "in_stock": (True, {"bool", "null"}),
    "items": ([ITEM], set()),
    "status": ("shipped", set()),
    "status?": ("shipped", {"null"}),
    "user_id?": (1, {"whole", "null"}),
    "priority": ("high", set()),
    "limit": (1, {"whole"}),
    "after": (1, {"whole", "null"}),
    "if_revision": (1, {"whole"}),
}
# Queue and action: what is required, what is optional.
ACTIONS: dict[tuple[str, str], tuple[list[str], list[str]]] = {
    ("user", "create"): (["username", "email"], ["full_name", "is_active"]),
    ("user", "update"): (["id"], ["email", "full_name", "is_active", "if_revision"]),
    ("user", "get"): (["id"], []),
    ("user", "list"): ([], ["limit", "after"]),
    ("user", "health_check"): ([], []),
    ("product", "create"): (["name", "price", "stock_quantity"], []),
    ("product", "update"): (["id"], ["name", "price", "stock_quantity", "if_revision"]),
    ("product", "mark_out_of_stock"): (["id"], ["if_revision"]),
    ("product", "adjust_stock"): (["id", "delta"], ["if_revision"]),
    ("product", "get"): (["id"], []),
    ("product", "list"): ([], ["limit", "after", "in_stock"]),
    ("product", "health_check"): ([], []),
    ("order", "create"): (["user_id", "items"], ["priority"]),
    ("order", "update_status"): (["order_id", "status"], ["if_revision"]),
    ("order", "update"): (["order_id"], ["status", "items", "priority", "if_revision"]),
    ("order", "get"): (["order_id"], []),
    ("order", "list"): ([], ["limit", "after", "status?", "user_id?"]),
    ("order", "health_check"): ([], []),
}


def wrong_fields() -> Iterator[tuple[str, bytes]]:
    """Return queue and body of each, all of them `invalid_data`, no two alike."""
    for (queue, action), (required, optional) in ACTIONS.items():
        right = {_bare(name): FIELDS[name][0] for name in (*required, *optional)}
        for wrong in (
            *({**right, "unknown": value} for value in VALUES.values()),
            *(_without(right, name) for name in required),
            *_wrong_values(right, [*required, *optional]),
            *(_wrong_items(right) if "items" in right else ()),
        ):
            yield queue, _body(action, wrong)
        for value in VALUES.values():
            if value != {} or required:
                yield queue, _body(action, value)


def _wrong_values(right: dict[str, Any], names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        for kind, value in VALUES.items():
            if kind not in FIELDS[name][1]:
                yield {**right, _bare(name): value}


def _wrong_items(right: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in VALUES.values():
        yield {**right, "items": [ITEM, value]}
    for item in (*_wrong_values(ITEM, list(ITEM)), *({**ITEM, "unknown": v} for v in (1, None))):
        yield {**right, "items": [ITEM, item]}
    for name in ITEM:
        yield {**right, "items": [_without(ITEM, name)]}


def _without(right: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: right[key] for key in right if key != name}


def _bare(name: str) -> str:
    return name.removesuffix("?")


def _body(action: str, content: Any) -> bytes:
    return json.dumps({"action": action, "version": "v2", "data": content}).encode()
