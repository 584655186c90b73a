import json
from dataclasses import replace
from typing import Any

import pytest

from orderd import __version__
from orderd.protocol.envelope import Command
from orderd.protocol.names import InvalidCode, Queue
from orderd.protocol.replies import Response
from orderd.shop.outcomes import Answered, Deferred, Duplicate, Invalid, Outcome
from orderd.shop.products import PRODUCTS
from orderd.shop.world import LedgerEntry, World
from tests.support.commands import command, decoded_from, delivery
from tests.unit.shop.worlds import (
    ATTEMPTS_MAX,
    applied,
    decided,
    do,
    events,
    items,
    refused,
    world_of,
)

SOFA = {"name": "sofa", "price": 1, "stock_quantity": 1}
NOBODYS: dict[str, Any] = {"user_id": 99, "items": items(desk=1)}
NOTHINGS: dict[str, Any] = {"user_id": 1, "items": items(desk=1, other=1)}
BOTH = frozenset({Queue.USER, Queue.PRODUCT})


def test_a_second_delivery_is_told_the_same_and_changes_nothing() -> None:
    world = world_of()

    first = do(world, "product", "create", SOFA, request_id="r")
    second = do(world, "product", "create", SOFA, request_id="r")

    assert first.response is not None
    assert second.outcome == Duplicate(first.response)
    assert second.response == first.response
    assert second.events == ()
    assert not second.is_recorded
    assert world.fresh_ids.used["products"] == 1


def test_a_second_delivery_of_a_refused_command_is_refused_though_it_would_work_now() -> None:
    world = world_of()
    wanted = {"user_id": 1, "items": items(shelf=1)}

    first = do(world, "order", "create", wanted, request_id="r")
    applied(do(world, "product", "adjust_stock", {"id": 3, "delta": 5}))
    second = do(world, "order", "create", wanted, request_id="r")

    refused(first, "insufficient_stock")
    assert first.is_recorded
    assert second.outcome == Duplicate(Response.failed(
        "insufficient_stock", "Insufficient stock: product 3 has 0, 1 ordered"
    ))  # fmt: skip
    assert second.events == ()


def test_what_the_database_remembers_counts_too() -> None:
    world = world_of()
    told = Response.ok('{"id":5}')
    fingerprint = command("product", "create", SOFA, version="v2").fingerprint
    world.ledger["r"] = LedgerEntry(fingerprint, told)

    assert do(world, "product", "create", SOFA, request_id="r").outcome == Duplicate(told)


@pytest.mark.parametrize(
    ("queue", "action", "arguments", "version"),
    [
        ("product", "create", SOFA | {"price": 2}, "v2"),
        ("product", "create", SOFA, "v1"),
        ("product", "mark_out_of_stock", {"id": 1}, "v2"),
        ("user", "update", {"id": 1, "is_active": False}, "v2"),
    ],
)
def test_an_id_used_for_another_request_is_a_conflict(
    queue: str, action: str, arguments: dict[str, Any], version: str
) -> None:
    world = world_of()
    do(world, "product", "create", SOFA, request_id="r☃")

    conflict = do(world, queue, action, arguments, request_id="r☃", version=version)

    assert conflict.outcome == Invalid(
        InvalidCode.ID_CONFLICT, "id: 'r\\u2603' was used before, for another request", "r☃"
    )
    assert conflict.response == Response.failed(
        "id_conflict", "id: 'r\\u2603' was used before, for another request"
    )
    assert conflict.events == ()
    assert not conflict.is_recorded
    assert do(world, "product", "create", SOFA, request_id="r☃").outcome != conflict.outcome


def test_queries_are_no_part_of_the_ledger() -> None:
    world = world_of()
    do(world, "product", "create", SOFA, request_id="r")

    query = do(world, "product", "get", {"id": 1}, request_id="r")
    before = do(world, "product", "get", {"id": 1}, request_id="q")
    change = do(world, "product", "mark_out_of_stock", {"id": 1}, request_id="q")

    assert isinstance(query.outcome, Answered)
    assert isinstance(before.outcome, Answered)
    applied(change)


def test_commands_without_id_are_applied_each_time() -> None:
    world = world_of()

    for _ in range(2):
        decision = do(world, "product", "adjust_stock", {"id": 1, "delta": -5})
        assert not decision.is_recorded

    assert world.rows[PRODUCTS][1].stock_quantity == 0


def deferred(outcome: Outcome) -> str:
    assert isinstance(outcome, Deferred), outcome
    assert outcome.code == "missing_reference"
    return outcome.message


@pytest.mark.parametrize(
    ("arguments", "arriving", "message"),
    [
        (NOBODYS, frozenset({Queue.USER}), "User 99 does not exist yet"),
        (NOTHINGS, frozenset({Queue.PRODUCT}), "Product 99 does not exist yet"),
        (NOBODYS, BOTH, "User 99 does not exist yet"),
    ],
)
def test_a_missing_reference_is_deferred_while_it_may_arrive(
    arguments: dict[str, Any], arriving: frozenset[Queue], message: str
) -> None:
    world = world_of(arriving=arriving)

    decision = do(world, "order", "create", arguments, request_id="r")

    assert deferred(decision.outcome) == message
    assert decision.response is None
    assert decision.events == ()
    assert not decision.is_recorded
    assert world.ledger == {}
    assert world.rows[PRODUCTS][1].stock_quantity == 10


@pytest.mark.parametrize(
    ("arguments", "arriving", "code"),
    [
        (NOBODYS, frozenset(), "user_not_found"),
        (NOBODYS, frozenset({Queue.PRODUCT}), "user_not_found"),
        (NOTHINGS, frozenset({Queue.USER}), "product_not_found"),
        (NOTHINGS, frozenset({Queue.ORDER}), "product_not_found"),
    ],
)
def test_a_missing_reference_is_refused_where_it_cannot_arrive(
    arguments: dict[str, Any], arriving: frozenset[Queue], code: str
) -> None:
    world = world_of(arriving=arriving)

    decision = do(world, "order", "create", arguments, request_id="r")

    refused(decision, code)
    assert decision.is_recorded


@pytest.mark.parametrize(("attempt", "is_last"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_missing_reference_is_refused_after_the_last_attempt(
    attempt: int, *, is_last: bool
) -> None:
    decision = do(world_of(arriving=BOTH), "order", "create", NOBODYS)
    assert deferred(decision.outcome)

    one = replace(command("order", "create", NOBODYS), attempt=attempt)
    decision = decided(world_of(arriving=BOTH), one)

    if is_last:
        refused(decision, "user_not_found")
    else:
        deferred(decision.outcome)


def test_the_broker_must_be_asked_before_a_missing_reference_is_judged() -> None:
    world = world_of(arriving=None)
    do(world, "order", "create", NOBODYS)
    assert world.has_asked_for_arrivals

    # After the last attempt the answer would not matter.
    last = replace(command("order", "create", NOBODYS), attempt=ATTEMPTS_MAX)
    refused(decided(world_of(arriving=None), last), "user_not_found")


def test_other_refusals_do_not_wait_for_arrivals() -> None:
    world = world_of(arriving=BOTH)

    refused(do(world, "order", "create", {"user_id": 2, "items": items(desk=1)}), "user_inactive")
    refused(do(world, "order", "update_status", {"order_id": 9, "status": "shipped"}),
            "order_not_found")  # fmt: skip
    refused(do(world, "product", "update", {"id": 99, "price": 1}), "product_not_found")
    refused(do(world, "user", "update", {"id": 99, "is_active": True}), "user_not_found")


def test_a_refusal_tells_what_was_asked_and_never_the_token() -> None:
    wanted = {"user_id": 1, "items": items(shelf=2)}
    body = {"action": "create", "id": "r", "auth": "s3cret", "data": wanted}
    one = decoded_from(delivery("order", json.dumps(body).encode()))
    assert isinstance(one, Command)

    decision = decided(world_of(), one)

    (event,) = decision.events
    assert (event.type, event.subject) == ("order.refused", "order")
    assert json.loads(event.data) == {
        "action": "create",
        "code": "insufficient_stock",
        "error": "Insufficient stock: product 3 has 0, 2 ordered",
        "request": {
            "id": "r",
            "version": "v1",
            "action": "create",
            "data": {"user_id": 1, "items": [{"product_id": 3, "quantity": 2}]},
        },
    }
    assert "s3cret" not in repr(decision)


def test_the_event_of_an_applied_command_holds_the_row_of_its_reply() -> None:
    decision = do(world_of(), "product", "create", SOFA)

    (event,) = decision.events
    assert decision.response is not None
    assert event.data == decision.response.data == applied(decision).row.json()


@pytest.mark.parametrize("queue", list(Queue))
def test_health_is_told_by_whoever_gets_to_tell_it(queue: Queue) -> None:
    decision = do(world_of(), queue, "health_check", request_id="r")

    assert decision.response is not None
    assert json.loads(decision.response.data) == {
        "status": "ok",
        "version": __version__,
        "database": "ok",
    }
    assert events(decision) == []


def test_the_world_is_not_touched_by_whoever_only_asks() -> None:
    world: World = world_of()

    do(world, "product", "get", {"id": 1})
    do(world, "user", "get", {"id": 99})

    assert world.changed_rows(PRODUCTS) == []
    assert set(world.fresh_ids.used.values()) == {0}
