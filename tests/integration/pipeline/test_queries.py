"""Queries are answered now, with an error if need be; large answers are made one at a time."""

import tracemalloc
from dataclasses import replace

import pytest

from orderd.protocol.names import UnavailableCode
from orderd.shop.outcomes import Answered, Applied, Deferred, Unavailable
from orderd.shop.products import ProductGet
from orderd.shop.registry import SHOP
from orderd.shop.world import World
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import request

NEW = {"name": "lamp", "price": 1, "stock_quantity": 1}
LIST = ("product", "list", {"limit": 500})


def test_a_query_that_fails_is_answered_with_an_error_and_not_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_world: World, _content: ProductGet) -> Answered:
        raise RuntimeError("a fault of ours")

    actions = dict(SHOP.actions)
    actions[ProductGet] = replace(actions[ProductGet], rule=broken)
    monkeypatch.setattr(SHOP, "actions", actions)

    (result,) = shop.process([request("product", "get", {"id": 1})])

    assert isinstance(result.outcome, Unavailable)
    assert result.outcome.code == UnavailableCode.UNAVAILABLE
    assert result.response is not None
    assert (result.response.status, result.response.code) == ("error", "unavailable")
    assert "a fault of ours" in str(result.response.error)
    assert result.events == ()


def test_a_query_waits_for_no_row_lock(shop: Shop, session: Connection) -> None:
    shop.set(lock_timeout="200ms")
    with session, session.cursor() as cursor:
        cursor.execute("SELECT FROM products, users, orders FOR UPDATE")
        results = shop.process(
            [
                request("product", "update", {"id": 1, "price": 7}),
                *(request("product", "get", {"id": 1}) for _ in range(3)),
                request("user", "get", {"id": 1}),
                request("order", "get", {"order_id": 1}),
                request("product", "list", {}),
                request("user", "list", {}),
                request("order", "list", {}),
            ]
        )

    assert isinstance(results[0].outcome, Deferred)
    assert {type(result.outcome) for result in results[1:]} == {Answered}


def test_lists_are_answered_one_at_a_time_with_a_breath_between_them(shop: Shop) -> None:
    breaths: list[int] = []
    batch = [
        request("product", "create", NEW),
        request("product", "get", {"id": 1}),
        *(request(*LIST) for _ in range(3)),
        request("product", "create", NEW),
    ]
    parts = shop.groups(batch, keep_alive=lambda: breaths.append(1))

    seen = [([result.delivery.tag for result in part], len(breaths)) for part in parts]

    tags = [one.tag for one in batch]
    assert seen == [
        (tags[:2], 0),
        (tags[2:3], 1),
        (tags[3:4], 2),
        (tags[4:5], 3),
        (tags[5:], 4),
    ]
    assert shop.count("products") == 5


def test_large_answers_are_not_in_memory_together(shop: Shop) -> None:
    shop.query(
        "INSERT INTO products (name, price, stock_quantity) "
        "SELECT repeat('x', 200), 1, 1 FROM generate_series(1, 500)"
    )
    batch = [request(*LIST) for _ in range(30)]
    answered_bytes = 0

    tracemalloc.start()
    try:
        for part in shop.groups(batch):
            for result in part:
                assert isinstance(result.outcome, Answered)
                answered_bytes += len(result.outcome.data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answered_bytes > 5_000_000
    assert peak_bytes < answered_bytes / 3


def test_what_a_batch_made_is_in_the_list_that_follows(shop: Shop) -> None:
    created, listed = shop.process([request("product", "create", NEW), request(*LIST)])

    assert isinstance(created.outcome, Applied)
    assert isinstance(listed.outcome, Answered)
    assert created.outcome.row.json() in listed.outcome.data
