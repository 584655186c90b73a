"""A token for the rows of one user names no others, whatever way is taken to them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from orderd.amqp.message import Delivery, Properties
from orderd.pipeline.results import Result
from orderd.protocol.names import HEADER_EXPIRES_AT
from orderd.shop.authorize import Scope, TurnedAway
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import delivery

ALICE, BOB = "alice.jwt.x", "bob.jwt.x"
ALL = "all.jwt.x"


class Verifier:
    """Knows a token of each of two users, and one for all rows."""

    def __init__(self, users: Mapping[str, int]) -> None:
        self.users = users

    def verify(self, token: str, now_s: float, received_s: float) -> Scope:
        assert now_s
        assert received_s
        if token == ALL:
            return Scope(("*",))
        if token not in self.users:
            raise TurnedAway("has a wrong signature")
        return Scope((), ("*",), self.users[token])


def order(action: str, token: str, data: Any, request_id: str | None = None) -> Delivery:
    return command("order", action, token, data, request_id)


def command(
    queue: str, action: str, token: str, data: Any, request_id: str | None = None
) -> Delivery:
    body = {"action": action, "auth": token, "data": data}
    if request_id is not None:
        body["id"] = request_id
    return delivery(queue, json.dumps(body).encode())


def code(result: Result) -> str | None:
    assert result.response is not None
    return result.response.code


def answer(result: Result) -> Any:
    assert result.response is not None
    assert result.response.data is not None, result.response
    return json.loads(result.response.data)


@pytest.fixture
def users(shop: Shop) -> tuple[int, int]:
    """Two users, each with an order; the ids of the users."""
    shop.policy.grants = {}
    shop.policy.verifier = Verifier({})
    made = [
        answer(result)["id"]
        for name in ("alice", "bob")
        for result in shop.process(
            [command("user", "create", ALL, {"username": name, "email": f"{name}@x.org"})]
        )
    ]
    alice, bob = made
    shop.policy.verifier = Verifier({ALICE: alice, BOB: bob})
    return alice, bob


@pytest.fixture
def orders(shop: Shop, users: tuple[int, int]) -> tuple[int, int]:
    """The ids of the users' orders."""
    alice, bob = users
    first, second = shop.process(
        [order("create", ALICE, new(alice), "a-1"), order("create", BOB, new(bob), "b-1")]
    )
    return answer(first)["id"], answer(second)["id"]


def new(user_id: int) -> dict[str, Any]:
    return {"user_id": user_id, "items": [{"product_id": 1, "quantity": 1}]}


def test_an_order_is_made_for_oneself_alone(shop: Shop, users: tuple[int, int]) -> None:
    alice, bob = users

    own, other, nowhere = shop.process(
        [order("create", ALICE, new(each)) for each in (alice, bob, 10_000)]
    )

    assert code(own) is None
    assert code(other) == code(nowhere) == "forbidden"
    assert other.events == ()
    assert value(shop, "SELECT count(*) FROM orders WHERE user_id = %s", bob) == 0


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("update_status", {"status": "processing"}),
        ("update_status", {"status": "cancelled"}),
        ("update", {"items": [{"product_id": 1, "quantity": 2}]}),
        ("get", {}),
    ],
)
def test_orders_of_others_are_like_orders_that_do_not_exist(
    shop: Shop, orders: tuple[int, int], action: str, data: dict[str, Any]
) -> None:
    mine, other = orders

    results = shop.process(
        [order(action, ALICE, data | {"order_id": each}) for each in (other, 10_000, mine)]
    )

    assert [code(each) for each in results] == ["forbidden", "forbidden", None]
    messages = {each.response.error for each in results[:2] if each.response}
    assert len(messages) == 1
    assert value(shop, "SELECT revision FROM orders WHERE id = %s", other) == 1


def test_data_is_looked_at_before_the_owner(shop: Shop, orders: tuple[int, int]) -> None:
    _, other = orders

    (one,) = shop.process([order("update_status", ALICE, {"order_id": other, "status": "x"})])

    assert code(one) == "invalid_data"


def test_what_others_were_answered_is_not_told_by_their_id(
    shop: Shop, orders: tuple[int, int], users: tuple[int, int]
) -> None:
    _, other = orders
    _, bob = users
    change = {"order_id": other, "status": "processing"}
    (done,) = shop.process([order("update_status", BOB, change, "b-2")])

    changed, made = shop.process(
        [order("update_status", ALICE, change, "b-2"), order("create", ALICE, new(bob), "b-1")]
    )
    (own,) = shop.process([order("update_status", BOB, change, "b-2")])

    assert code(changed) == code(made) == "forbidden"
    assert own.outcome.name == "duplicate"
    assert own.response == done.response


def test_what_was_applied_is_known_again_after_its_expiration(
    shop: Shop, orders: tuple[int, int]
) -> None:
    mine, other = orders
    done = {"order_id": mine, "status": "processing"}
    shop.process([order("update_status", ALICE, done, "a-2")])

    own, others = shop.process(
        [
            expired(order("update_status", ALICE, done, "a-2")),
            expired(order("update_status", ALICE, done | {"order_id": other}, "a-3")),
        ]
    )

    assert own.outcome.name == "duplicate"
    assert code(others) == "forbidden"


def test_an_order_in_a_line_is_of_its_owner_as_well(
    shop: Shop, session: Connection, orders: tuple[int, int]
) -> None:
    _, other = orders
    change = {"order_id": other, "status": "processing"}
    shop.set(lock_timeout="100ms")
    with session.cursor() as cursor:
        cursor.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", [other])
        shop.process([order("update_status", BOB, change, "b-2")])
        session.rollback()

    # The first batch finds that places are kept, the second one knows it beforehand.
    for number in (1, 2):
        results = shop.process(
            [order("update_status", each, change, f"{each}-{number}") for each in (ALICE, BOB)]
        )
        assert [each.outcome.name for each in results] == ["invalid", "deferred"]


def test_a_list_has_own_orders_alone(
    shop: Shop, users: tuple[int, int], orders: tuple[int, int]
) -> None:
    alice, bob = users

    every, named, other = shop.process(
        [order("list", ALICE, data) for data in ({}, {"user_id": alice}, {"user_id": bob})]
    )

    assert [each["id"] for each in answer(every)["items"]] == [orders[0]]
    assert answer(every) == answer(named)
    assert answer(every)["total"] == 1
    assert code(other) == "forbidden"


def test_a_user_sees_and_changes_itself_alone(shop: Shop, users: tuple[int, int]) -> None:
    def codes(queue: str, action: str, **data: Any) -> list[str | None]:
        key = {"list": "after"}.get(action, "id")
        results = shop.process(
            [command(queue, action, ALICE, {key: each} | data) for each in users]
        )
        return [code(each) for each in results]

    assert codes("user", "get") == [None, "forbidden"]
    assert codes("user", "update", full_name="A") == [None, "forbidden"]
    assert codes("user", "list") == ["forbidden", "forbidden"]
    assert codes("product", "get") == ["forbidden", "forbidden"]
    assert value(shop, "SELECT count(*) FROM users WHERE full_name = 'A'") == 1


def expired(one: Delivery) -> Delivery:
    """Return the same delivery, of which the time is over."""
    return replace(one, properties=Properties(headers={HEADER_EXPIRES_AT: 1}))


def value(shop: Shop, statement: str, *parameters: object) -> Any:
    return shop.query(statement, *parameters)[0][0]
