"""Queries: one row, pages of rows, and how the daemon is."""

import pytest

from tests.acceptance.shop import Shop, order, product
from tests.conftest import StartDaemon


def test_get_returns_the_row_and_an_order_with_its_items(shop: Shop, daemon: StartDaemon) -> None:
    daemon()
    shop.open_with(stock=10, products=2)
    created = shop.call(
        "order",
        "create",
        {
            "user_id": 1,
            "items": [{"product_id": 2, "quantity": 1}, {"product_id": 1, "quantity": 2}],
            "priority": "high",
        },
        version="v2",
        id="order",
    )

    by_id = shop.call("order", "get", {"id": 1})
    by_order_id = shop.call("order", "get", {"order_id": 1})
    user = shop.call("user", "get", {"id": 1})
    missing = shop.call("product", "get", {"id": 99})

    assert by_id["data"] == by_order_id["data"] == created["data"]
    assert (by_id["data"]["priority"], by_id["data"]["total_amount"]) == ("high", 30.0)
    assert [(item["product_id"], item["quantity"]) for item in by_id["data"]["items"]] == [
        (2, 1),
        (1, 2),
    ]
    assert (user["data"]["username"], user["data"]["is_active"]) == ("user1", True)
    assert (missing["status"], missing["code"]) == ("error", "product_not_found")


def test_a_list_is_read_page_by_page(shop: Shop, daemon: StartDaemon) -> None:
    daemon()
    shop.open_with(stock=1, products=25)

    pages = [shop.call("product", "list", {"limit": 10})["data"]]
    while pages[-1]["next"] is not None:
        pages.append(
            shop.call("product", "list", {"limit": 10, "after": pages[-1]["next"]})["data"]
        )

    assert [len(page["items"]) for page in pages] == [10, 10, 5]
    assert [row["id"] for page in pages for row in page["items"]] == [*range(1, 26)]
    assert [page["total"] for page in pages] == [25, 25, 25]


def test_a_list_without_limit_has_50_rows(shop: Shop, daemon: StartDaemon) -> None:
    daemon()
    shop.open_with(users=60)

    page = shop.call("user", "list")["data"]

    assert (len(page["items"]), page["next"], page["total"]) == (50, 50, 60)


@pytest.mark.parametrize(
    ("queue", "wanted", "ids"),
    [
        ("product", {"in_stock": True}, [1]),
        ("product", {"in_stock": False}, [2]),
        ("order", {"status": "shipped"}, [2]),
        ("order", {"user_id": 2}, [2, 3]),
        ("order", {"user_id": 2, "status": "pending"}, [3]),
        ("order", {"status": "delivered"}, []),
        ("order", {}, [1, 2, 3]),
    ],
)
def test_a_list_can_be_filtered(
    shop: Shop, daemon: StartDaemon, queue: str, wanted: dict[str, object], ids: list[int]
) -> None:
    daemon()
    shop.open_with(users=2, stock=10, products=2)
    shop.send_all([order({1: 1}, user_id, id=f"o{n}") for n, user_id in enumerate((1, 2, 2))])
    shop.wait_for("o0", "o1", "o2")
    shop.call("order", "update_status", {"order_id": 2, "status": "shipped"})
    shop.call("product", "mark_out_of_stock", {"id": 2})

    page = shop.call(queue, "list", wanted)["data"]

    assert [row["id"] for row in page["items"]] == ids
    assert (page["next"], page["total"]) == (None, len(ids))


def test_a_list_sees_what_was_sent_before_it(shop: Shop, daemon: StartDaemon) -> None:
    shop.send_all([product(id=f"p{n}") for n in range(30)])
    daemon()

    shop.wait_for("p29")

    assert shop.call("product", "list", {"limit": 500})["data"]["total"] == 30


@pytest.mark.parametrize("queue", ["product", "order", "user"])
def test_health_check_answers_on_every_queue(shop: Shop, daemon: StartDaemon, queue: str) -> None:
    daemon()

    data = shop.call(queue, "health_check")["data"]

    assert (data["status"], data["database"]) == ("ok", "ok")
    assert data["version"]
