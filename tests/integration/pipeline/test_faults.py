"""One command's trouble stays with it: its neighbours are done, and it is tried again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from orderd.amqp.message import Delivery
from orderd.protocol.names import DeferralCode, Queue
from orderd.shop import products
from orderd.shop.outcomes import Applied, Deferred, Duplicate, Refused
from tests.integration.pipeline.shop import ATTEMPTS_MAX, Connection, Shop
from tests.support.commands import again, request


def create_product(name: str, request_id: str | None = None) -> Delivery:
    arguments = {"name": name, "price": 1, "stock_quantity": 1}
    return request("product", "create", arguments, request_id=request_id)


def order(product_id: int, quantity: int = 1, request_id: str | None = None) -> Delivery:
    items = [{"product_id": product_id, "quantity": quantity}]
    return request("order", "create", {"user_id": 1, "items": items}, request_id=request_id)


@pytest.mark.parametrize("place", range(7))
def test_a_row_that_the_database_refuses_leaves_its_neighbours_applied(
    shop: Shop, place: int
) -> None:
    shop.query("ALTER TABLE products ADD CHECK (name <> 'cursed')")
    batch = [create_product(f"lamp {n}", f"r{n}") for n in range(7)]
    batch[place] = create_product("cursed", "r-cursed")

    results = shop.process(batch)

    culprit = results.pop(place)
    assert isinstance(culprit.outcome, Deferred)
    assert culprit.outcome.code == DeferralCode.UNEXPECTED
    assert "products_name_check" in culprit.outcome.message
    assert "RowFault" in culprit.outcome.error
    assert culprit.response is None
    assert culprit.events == ()
    assert {type(result.outcome) for result in results} == {Applied}
    assert shop.query("SELECT id, name FROM products WHERE id > 3 ORDER BY id") == [
        (4 + index, f"lamp {n}") for index, n in enumerate(n for n in range(7) if n != place)
    ]
    assert shop.query("SELECT count(*) FROM processed_requests WHERE id = 'r-cursed'") == [(0,)]


def test_a_rule_that_fails_defers_its_own_command_only(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(products, "_changed", broken)

    first, second, third = shop.process(
        [order(1), request("product", "update", {"id": 2, "price": 2}, request_id="p"), order(2)]
    )

    assert isinstance(first.outcome, Applied)
    assert isinstance(second.outcome, Deferred)
    assert second.outcome.message == "RuntimeError: a fault of ours"
    assert isinstance(third.outcome, Applied)
    assert shop.count("processed_requests") == 0


def test_a_locked_row_defers_only_the_commands_that_need_it(
    shop: Shop, session: Connection
) -> None:
    shop.set(lock_timeout="50ms")
    before = shop.stock_of(2)
    batch = [order(1, request_id="a"), order(2, request_id="b"), order(3, request_id="c")]
    with session, session.cursor() as cursor:
        cursor.execute("SELECT FROM products WHERE id = 2 FOR UPDATE")
        first, locked_out, third = shop.process(batch)

    assert isinstance(first.outcome, Applied)
    assert isinstance(third.outcome, Applied)
    assert isinstance(locked_out.outcome, Deferred)
    assert locked_out.outcome.code == DeferralCode.TRANSIENT
    assert locked_out.outcome.message.startswith("row 2 of table products is locked by pid ")
    assert shop.stock_of(2) == before
    (later,) = shop.process([again(batch[1])])
    assert isinstance(later.outcome, Applied)
    assert shop.stock_of(2) == before - 1


def test_a_lock_that_is_released_in_time_costs_nothing_but_time(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("UPDATE products SET stock_quantity = 1 WHERE id = 2")
        waiting = threads.submit(shop.process, [order(2, 1), order(2, 1)])
        shop.wait_until_blocked()
    first, second = waiting.result()

    assert isinstance(first.outcome, Applied)
    assert isinstance(second.outcome, Refused)
    assert shop.stock_of(2) == 0


def test_a_deadlock_with_somebody_else_is_redone(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    shop.set(deadlock_timeout="500ms")
    breaths: list[int] = []
    before = shop.stock_of(2)
    items = [{"product_id": 2, "quantity": 1}]
    update = request("order", "update", {"order_id": 2, "items": items})
    with session, session.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '20s'")
        cursor.execute("SELECT FROM products WHERE id = 2 FOR UPDATE")
        waiting = threads.submit(
            shop.process, [order(1), update], keep_alive=lambda: breaths.append(1)
        )
        shop.wait_until_blocked()
        # The committer holds order 2: now each waits for the other.
        cursor.execute("SELECT FROM orders WHERE id = 2 FOR UPDATE")
    first, second = waiting.result()

    assert isinstance(first.outcome, Applied)
    assert isinstance(second.outcome, Applied)
    assert breaths == [1]
    assert shop.stock_of(2) == before + 2
    assert shop.broken_promises() == []


def test_a_missing_reference_is_deferred_while_it_may_arrive_and_then_applied(shop: Shop) -> None:
    too_early = order(4, request_id="early")

    (deferred,) = shop.process([too_early], frozenset({Queue.PRODUCT}))
    shop.process([create_product("late", "p")])
    (applied,) = shop.process([again(too_early)])
    (duplicate,) = shop.process([again(too_early)])

    assert isinstance(deferred.outcome, Deferred)
    assert deferred.outcome.code == DeferralCode.MISSING_REFERENCE
    assert isinstance(applied.outcome, Applied)
    assert isinstance(duplicate.outcome, Duplicate)


def test_the_broker_is_asked_for_arrivals_only_where_something_is_missing(shop: Shop) -> None:
    def unexpected() -> frozenset[Queue]:
        raise AssertionError("nobody had to ask")

    last_try = request(
        "order",
        "create",
        {"user_id": 99, "items": [{"product_id": 1, "quantity": 1}]},
        attempt=ATTEMPTS_MAX,
    )
    unknown = request("product", "mark_out_of_stock", {"id": 99})

    results = shop.process([order(1), last_try, unknown], ask=unexpected)

    assert [type(result.outcome) for result in results] == [Applied, Refused, Refused]
