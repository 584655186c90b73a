"""Random requests over few users, products and orders, so that they meet each other often."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, cycle, pairwise, takewhile
from typing import Any

from hypothesis import strategies as st

from orderd.amqp.message import Delivery
from tests.support.commands import again, delivery, request

CURSED = "cursed"

# Most of these are there from the beginning; the last ones appear on the way, or never.
_ids = st.sampled_from([1, 2, 3, 4])
_user_ids = st.sampled_from([1, 2, 1, 3])
_names = st.sampled_from(["desk", "lamp", " lamp ", "Ünïcode ☃"])
_prices = st.sampled_from(["0", "0.1", "149.99", "79.99"])
_usernames = st.sampled_from(["ann", "bob", "zoe"])
_emails = st.sampled_from(["ann@x.org", "bob@x.org", "bob@X.ORG", "zoe@x.org", "yan@x.org"])
_statuses = st.sampled_from(["pending", "processing", "shipped", "delivered", "cancelled"])
_priorities = st.sampled_from(["low", "normal", "high"])
_items = st.lists(
    st.fixed_dictionaries({"product_id": _ids, "quantity": st.integers(1, 4)}),
    min_size=1,
    max_size=3,
)
_product = {"name": _names, "price": _prices, "stock_quantity": st.integers(0, 20)}
_condition = {"if_revision": st.integers(1, 4)}
_page = {"limit": st.integers(1, 3), "after": st.integers(0, 3)}
_request_ids = st.none() | st.integers(1, 30).map("r{}".format)

Arguments = st.SearchStrategy[Mapping[str, Any]]


def _some(required: Mapping[str, Any], optional: Mapping[str, Any]) -> Arguments:
    """Arguments with at least one of the optional ones, sometimes for one revision only."""
    return st.one_of(
        [
            st.fixed_dictionaries(
                {**required, name: optional[name]}, optional=_without(optional, name)
            )
            for name in optional
        ]
    ).flatmap(_sometimes_conditional)


def _sometimes_conditional(arguments: Mapping[str, Any]) -> Arguments:
    fixed = {name: st.just(value) for name, value in arguments.items()}
    always: Arguments = st.fixed_dictionaries(fixed)
    return st.one_of(always, always, st.fixed_dictionaries({**fixed, **_condition}))


def _without(optional: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {other: optional[other] for other in optional if other != name}


_ACTIONS: dict[str, dict[str, Arguments]] = {
    "order": {
        "update": _some(
            {"order_id": _ids}, {"items": _items, "status": _statuses, "priority": _priorities}
        ),
        "create": st.fixed_dictionaries(
            {"user_id": _user_ids, "items": _items}, optional={"priority": _priorities}
        ),
        "update_status": st.fixed_dictionaries({"order_id": _ids, "status": _statuses}).flatmap(
            _sometimes_conditional
        ),
        "get": st.fixed_dictionaries({"order_id": _ids}),
        "list": st.fixed_dictionaries(
            {}, optional=_page | {"status": _statuses, "user_id": _user_ids}
        ),
    },
    "product": {
        "update": _some({"id": _ids}, _product),
        "adjust_stock": st.fixed_dictionaries(
            {"id": _ids, "delta": st.integers(-9, 9)}, optional=_condition
        ),
        "create": st.fixed_dictionaries(_product),
        "mark_out_of_stock": st.fixed_dictionaries({"id": _ids}, optional=_condition),
        "get": st.fixed_dictionaries({"id": _ids}),
        "list": st.fixed_dictionaries({}, optional=_page | {"in_stock": st.booleans()}),
    },
    "user": {
        "update": _some(
            {"id": _ids},
            {"email": _emails, "full_name": st.none() | _names, "is_active": st.booleans()},
        ),
        "create": st.fixed_dictionaries(
            {"username": _usernames, "email": _emails},
            optional={"full_name": st.none() | _names, "is_active": st.booleans()},
        ),
        "get": st.fixed_dictionaries({"id": _ids}),
        "list": st.fixed_dictionaries({}, optional=_page),
        "health_check": st.just({}),
    },
}
# What is done most often in a shop is also where one command hangs on another.
_WEIGHTS = {"update": 4, "create": 3, "update_status": 3, "get": 2}
_SPOILT = [
    b"",
    b"{",
    b'{"action":"create","data":{},"data":{}}',
    b'{"action":"explode"}',
    b'{"action":"get","data":{"id":0}}',
    b'{"action":"update","id":"r1","data":{"id":1}}',
]


def requests(queues: Sequence[str] = tuple(_ACTIONS)) -> st.SearchStrategy[Delivery]:
    """One delivery to one of *queues*: mostly a command, sometimes nothing that could be one."""
    kinds = [
        (queue, action)
        for queue in queues
        for action in _ACTIONS[queue]
        for _ in range(_WEIGHTS.get(action, 1))
    ]
    spoilt = st.builds(delivery, st.sampled_from(queues), st.sampled_from(_SPOILT))
    return st.one_of(*[st.sampled_from(kinds).flatmap(_request)] * 9, spoilt)


@st.composite
def _request(draw: st.DrawFn, kind: tuple[str, str]) -> Delivery:
    queue, action = kind
    arguments = draw(_ACTIONS[queue][action])
    needs_v2 = action == "adjust_stock" or "priority" in arguments
    version = "v2" if needs_v2 else draw(st.sampled_from([None, "v1", "v2"]))
    request_id = draw(_request_ids)
    named = draw(st.sampled_from(["request_id", "message_id"]))
    attempt = draw(st.sampled_from([0, 0, 0, 1, 3]))
    more: dict[str, Any] = {"attempt": attempt, named: request_id}
    return request(queue, action, arguments, version=version, **more)


@st.composite
def sequences(draw: st.DrawFn, queues: Sequence[str] = tuple(_ACTIONS)) -> list[Delivery]:
    """Requests one after another, some of which are delivered again later."""
    sequence: list[Delivery] = []
    for one in draw(st.lists(requests(queues), min_size=8, max_size=30)):
        sequence.append(one)
        if draw(st.integers(0, 4)) == 0:
            sequence.append(again(draw(st.sampled_from(sequence))))
    return sequence


@st.composite
def cursed_sequences(draw: st.DrawFn) -> list[Delivery]:
    """Requests of which some have an id that the test's ledger refuses."""
    sequence = draw(sequences())
    for place in draw(st.lists(st.integers(0, len(sequence) - 1), min_size=1, max_size=3)):
        properties = replace(sequence[place].properties, message_id=CURSED)
        sequence[place] = replace(sequence[place], properties=properties)
    return sequence


def sizes() -> st.SearchStrategy[list[int]]:
    """Sizes of batches, to be gone through again and again."""
    return st.lists(st.sampled_from([10, 4, 25, 1, 2]), min_size=1, max_size=6)


def cut(sequence: Sequence[Delivery], batch_sizes: Sequence[int]) -> list[list[Delivery]]:
    """Return *sequence* in batches of these sizes, the last one as it comes out."""
    ends = takewhile(lambda end: end < len(sequence), accumulate(cycle(batch_sizes)))
    return [list(sequence[start:end]) for start, end in pairwise([0, *ends, len(sequence)])]


def stocked_shop() -> list[Delivery]:
    """The requests that open a shop in which something can happen."""
    return [
        *(
            request("user", "create", {"username": name, "email": f"{name}@x.org"})
            for name in ("zoe", "yan")
        ),
        *(
            request("product", "create", {"name": "shelf", "price": price, "stock_quantity": stock})
            for price, stock in (("149.99", 9), ("0.1", 30), ("9999999999.99", 20))
        ),
        *(
            request("order", "create", {"user_id": user_id, "items": items})
            for user_id, items in (
                (1, [{"product_id": 1, "quantity": 2}]),
                (2, [{"product_id": 2, "quantity": 3}, {"product_id": 1, "quantity": 1}]),
                (1, [{"product_id": 3, "quantity": 1}]),
            )
        ),
    ]
