"""What is asked: few users, products and orders, and small numbers, so that requests collide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.acceptance.state_machine.reference_model import ReferenceModel, Row

STATUSES = ["pending", "processing", "shipped", "delivered", "cancelled"]
ONLY_V2 = {"delta", "priority"}
# Where an action names a row: the field, and the table.
NAMED = {"user_id": "users", "product_id": "products", "order_id": "orders"}
SPOILT = [
    (b"", "malformed"),
    (b"no command", "malformed"),
    (b"\xff\xfe{}", "malformed"),
    (b'{"action":"create","action":"create"}', "malformed"),
    (b'{"action":"explode","id":"spoilt"}', "unknown_action"),
    (b'{"action":"create","data":{"id":1},"id":"spoilt"}', "invalid_data"),
    (b'{"action":"create","version":"v9","id":"spoilt"}', "unsupported_version"),
]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that names the rows by their number among those there are, from 0."""

    queue: str
    action: str
    data: Row

    def in_terms_of(self, model: ReferenceModel) -> Row:
        """Return the data with ids; a number too high becomes an id that may come next."""
        named = {**NAMED, "id": f"{self.queue}s"}
        data = dict(self.data)
        for name, table in named.items():
            if name in data:
                data[name] = _id(getattr(model, table), data[name])
        if "items" in data:
            data["items"] = [
                item | {"product_id": _id(model.products, item["product_id"])}
                for item in data["items"]
            ]
        return data

    @property
    def version(self) -> str:
        return "v2" if ONLY_V2 & self.data.keys() else "v1"


def _id(rows: Mapping[int, Row], number: int) -> int:
    known = sorted(rows)
    return known[number] if number < len(known) else max(known, default=0) + number - len(known) + 1


def _wishes(
    queue: str,
    action: str,
    needed: Mapping[str, st.SearchStrategy[Any]],
    optional: Mapping[str, st.SearchStrategy[Any]] | None = None,
) -> st.SearchStrategy[Wish]:
    data = st.fixed_dictionaries(dict(needed), optional=dict(optional or {}))
    if action == "update":
        data = data.filter(lambda given: len(given.keys() - {"if_revision"}) > 1)
    return st.builds(Wish, st.just(queue), st.just(action), data)


_numbers = st.integers(0, 2)
_order_numbers = st.sampled_from([0, 0, 0, 1, 2])
_names = st.sampled_from(["ann", "bob", "cyd"])
_emails = _names.map(lambda name: f"{name}@example.com")
_prices = st.sampled_from(["0", "9.99", "250"])
_stock = st.integers(0, 9)
_statuses = st.sampled_from([*STATUSES, "cancelled", "cancelled"])
_priorities = st.sampled_from(["low", "normal", "high"])
_revision = {"if_revision": st.sampled_from([1, 2, 3])}
_items = st.lists(
    st.fixed_dictionaries({"product_id": _numbers, "quantity": st.integers(1, 5)}),
    min_size=1,
    max_size=3,
)
_user = {"full_name": st.none() | _names, "is_active": st.booleans()}
_create_order = _wishes(
    "order", "create", {"user_id": _numbers, "items": _items}, {"priority": _priorities}
)
_change_order = [
    _wishes("order", "update_status", {"order_id": _order_numbers, "status": _statuses}, _revision),
    _wishes(
        "order",
        "update",
        {"order_id": _order_numbers},
        {"status": _statuses, "items": _items, "priority": _priorities, **_revision},
    ),
]

# What every sequence begins with, one after the other: there is something to change then.
FIRST = [
    [
        Wish("user", "create", {"username": "ann", "email": "ann@example.com"}),
        Wish("product", "create", {"name": "lamp", "price": "9.99", "stock_quantity": 9}),
        Wish("product", "create", {"name": "desk", "price": "250", "stock_quantity": 4}),
    ],
    [
        Wish("order", "create", {"user_id": 0, "items": [{"product_id": 0, "quantity": 3}]}),
        Wish("order", "create", {"user_id": 0, "items": [{"product_id": 1, "quantity": 1}]}),
    ],
]

# Orders, where most of the rules are, come more often than the rest.
wishes: st.SearchStrategy[Wish] = st.one_of(
    *[_create_order, *_change_order] * 3,
    _wishes("user", "create", {"username": _names, "email": _emails}, _user),
    _wishes("user", "update", {"id": _numbers}, {"email": _emails, **_user, **_revision}),
    _wishes("user", "get", {"id": _numbers}),
    _wishes("product", "create", {"name": _names, "price": _prices, "stock_quantity": _stock}),
    _wishes(
        "product",
        "update",
        {"id": _numbers},
        {"price": _prices, "stock_quantity": _stock, **_revision},
    ),
    _wishes("product", "mark_out_of_stock", {"id": _numbers}, _revision),
    _wishes("product", "adjust_stock", {"id": _numbers, "delta": st.integers(-5, 5)}, _revision),
    _wishes("product", "get", {"id": _numbers}),
    _wishes("order", "get", {"id": _order_numbers}),
)
spoilt: st.SearchStrategy[tuple[bytes, str]] = st.sampled_from(SPOILT)
queues = st.sampled_from(["user", "product", "order"])
