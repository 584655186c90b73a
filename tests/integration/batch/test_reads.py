"""What queries answer: rows that fit together, pages of bounded size, totals of bounded cost."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from orderd.db.queries import load_queries
from orderd.db.transaction import Transaction
from tests.integration.batch.shop import Connection, Shop
from tests.support.commands import request

BIG_BYTES = 20_000
ORDER = "SELECT id FROM orders ORDER BY id LIMIT 1"


def answer(shop: Shop, queue: str, action: str, arguments: dict[str, Any] | None = None) -> Any:
    """Return what a query's caller is told."""
    (result,) = shop.process([request(queue, action, arguments or {}, version="v2")])
    assert result.response is not None
    return json.loads(result.response.reply("asked"), parse_float=Decimal)


@pytest.fixture
def restless_order(
    session: Connection, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Somebody changes the items of the orders, with their totals, before each statement."""
    assert shop.database.is_connected
    rows = Transaction.rows

    def rows_after_a_change(tx: Transaction, name: str, /, **wanted: object) -> list[Any]:
        with session, session.cursor() as cursor:
            cursor.execute("UPDATE order_items SET quantity = quantity + 1")
            cursor.execute(
                "UPDATE orders SET total_amount = (SELECT sum(quantity * unit_price) "
                "FROM order_items WHERE order_id = orders.id)"
            )
        return rows(tx, name, **wanted)

    monkeypatch.setattr(Transaction, "rows", rows_after_a_change)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("restless_order")
def test_an_order_is_got_with_the_items_of_its_total(shop: Shop) -> None:
    for _ in range(3):
        assert_total_fits(answer(shop, "order", "get", {"order_id": 2})["data"])


@pytest.mark.usefixtures("restless_order")
def test_orders_are_listed_with_the_items_of_their_totals(shop: Shop) -> None:
    for _ in range(3):
        orders = answer(shop, "order", "list")["data"]["items"]
        assert len(orders) == 3
        for order in orders:
            assert_total_fits(order)


def assert_total_fits(order: Any) -> None:
    assert order["items"]
    lines = [item["quantity"] * item["unit_price"] for item in order["items"]]
    assert order["total_amount"] == sum(lines)


def fill(shop: Shop, count: int, name_bytes: int = 4) -> None:
    """Put so many more products into the table, with names of this length."""
    shop.query(
        "INSERT INTO products (name, price, stock_quantity) "
        "SELECT repeat('x', %s), 1, 1 FROM generate_series(1, %s)",
        name_bytes,
        count,
    )


def pages_of(shop: Shop, queue: str, arguments: dict[str, Any]) -> list[Any]:
    """Return all pages, each asked for with the `next` of the one before."""
    pages = [answer(shop, queue, "list", arguments)["data"]]
    while pages[-1]["next"] is not None:
        following = arguments | {"after": pages[-1]["next"]}
        pages.append(answer(shop, queue, "list", following)["data"])
    return pages


@pytest.mark.parametrize("limit", [1, 7, 49, 50, 51, 130, 200, 500])
def test_a_page_is_the_same_in_however_many_pieces_it_is_read(shop: Shop, limit: int) -> None:
    fill(shop, 127)

    pages = pages_of(shop, "product", {"limit": limit})

    assert [row["id"] for page in pages for row in page["items"]] == [*range(1, 131)]
    assert {len(page["items"]) for page in pages[:-1]} <= {limit}
    assert {page["total"] for page in pages} == {130}


def test_a_page_ends_before_its_reply_is_too_large(shop: Shop) -> None:
    shop.limit_replies(4 * BIG_BYTES)
    fill(shop, 10, BIG_BYTES)

    pages = pages_of(shop, "product", {"limit": 500})

    assert [row["id"] for page in pages for row in page["items"]] == [*range(1, 14)]
    assert [len(page["items"]) for page in pages] == [6, 3, 3, 1]
    assert [page["next"] for page in pages] == [6, 9, 12, None]
    assert {page["total"] for page in pages} == {13}


def test_no_reply_to_a_list_is_larger_than_allowed(shop: Shop) -> None:
    shop.limit_replies(5_000)
    fill(shop, 200, 90)

    after: int | None = 0
    while after is not None:
        asked = request("product", "list", {"limit": 500, "after": after})
        (result,) = shop.process([asked])
        assert result.response is not None
        reply = result.response.reply("\x00" * 255)
        assert len(reply) <= 5_000
        after = json.loads(reply)["data"]["next"]


def test_a_row_that_no_reply_can_hold_is_named_and_can_be_passed_over(shop: Shop) -> None:
    shop.limit_replies(BIG_BYTES)
    fill(shop, 1, BIG_BYTES)
    fill(shop, 2)

    first, second, third = (
        answer(shop, "product", "list", {"after": after}) for after in (0, 3, 4)
    )
    got = answer(shop, "product", "get", {"id": 4})

    assert [row["id"] for row in first["data"]["items"]] == [1, 2, 3]
    assert first["data"]["next"] == 3
    for refused in (second, got):
        assert (refused["status"], refused["code"]) == ("error", "reply_too_large")
        assert refused["error"].startswith("Product 4 does not fit into a reply: it has 20")
        assert refused["error"].endswith(f"bytes, and a reply has room for {BIG_BYTES - 2048}")
    assert [row["id"] for row in third["data"]["items"]] == [5, 6]


def test_an_order_with_more_items_than_a_reply_holds_is_too_large(shop: Shop) -> None:
    shop.query(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price) "
        "SELECT 2, 1, 1, 1 FROM generate_series(1, 20000)"
    )

    got = answer(shop, "order", "get", {"order_id": 2})
    listed = answer(shop, "order", "list", {"after": 1})
    others = answer(shop, "order", "list", {"after": 2})["data"]["items"]

    assert got["code"] == listed["code"] == "reply_too_large"
    assert got["error"].startswith("Order 2 does not fit into a reply: ")
    assert [order["id"] for order in others] == [3]


def test_a_query_that_is_too_large_costs_its_neighbours_nothing(shop: Shop) -> None:
    shop.limit_replies(BIG_BYTES)
    fill(shop, 1, BIG_BYTES)

    get, change = shop.process(
        [
            request("product", "get", {"id": 4}, request_id="query"),
            request("product", "update", {"id": 4, "price": 7}, request_id="change"),
        ]
    )

    assert [type(one.outcome).__name__ for one in (get, change)] == ["Unavailable", "Applied"]
    assert get.events == ()
    assert shop.query("SELECT id FROM processed_requests WHERE id = 'query'") == []


@pytest.mark.parametrize(("count", "total"), [(9_999, 9_999), (10_000, 10_000), (10_001, None)])
def test_a_total_is_counted_to_ten_thousand(shop: Shop, count: int, total: int | None) -> None:
    fill(shop, count - shop.count("products"))

    pages = [answer(shop, "product", "list", {"limit": 2, "after": n})["data"] for n in (0, 9_000)]

    assert [page["total"] for page in pages] == [total, total]
    assert answer(shop, "product", "list", {"in_stock": False})["data"]["total"] == 0


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("count_users", {}),
        ("count_products", {"in_stock": None}),
        ("count_products", {"in_stock": True}),
        ("count_orders", {"status": None, "user_id": None}),
        ("count_orders", {"status": "pending", "user_id": None}),
        ("count_orders", {"status": None, "user_id": 1}),
    ],
)
def test_counting_reads_no_more_of_a_filled_table(
    shop: Shop, session: Connection, name: str, more: dict[str, Any]
) -> None:
    shop.query(
        "INSERT INTO users (username, email) SELECT i, i FROM generate_series(1, 30000) i;"
        "INSERT INTO orders (user_id, status, total_amount) "
        "SELECT 1, 'pending', 0 FROM generate_series(1, 30000); ANALYZE users, orders"
    )
    fill(shop, 30_000)
    shop.query("ANALYZE products")

    with session.cursor() as cursor:
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {load_queries()[name]}"
        cursor.execute(explained, {"rows_max": 10_001, **more})
        ((((plan,),),),) = [cursor.fetchall()]

    assert rows_read(plan["Plan"]) <= 10_010


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows the plan took out of tables and indexes."""
    own = 0
    if "Scan" in plan["Node Type"]:
        own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(own) + sum(map(rows_read, plan.get("Plans", ())))
