"""One row that nobody can tell costs what is asked of it, and nothing else."""

import json
from typing import Any

import pytest

from orderd.protocol.names import RefusalCode
from orderd.shop.outcomes import Answered, Applied, Refused
from tests.integration.pipeline.shop import Shop
from tests.support.commands import request

DATES = ["infinity", "-infinity", "12000-01-01", "0044-03-15 BC", "294276-12-31"]


def spoil(shop: Shop, change: str) -> None:
    """Change a row as it could be before the constraints were there."""
    table = change.partition(" ")[0]
    shop.query(f"ALTER TABLE {table} DROP CONSTRAINT {table}_can_be_told")
    shop.query(f"UPDATE {change}")


def add_constraint(shop: Shop, table: str) -> None:
    shop.query(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_can_be_told "
        "CHECK (created_at < '10000-01-01' AND price <> 'NaN') NOT VALID"
    )


def answer(outcome: object) -> Any:
    assert isinstance(outcome, Answered), outcome
    return json.loads(outcome.data, parse_constant=pytest.fail)


def test_a_price_that_is_no_number_costs_its_product_alone(shop: Shop) -> None:
    spoil(shop, "products SET price = 'NaN' WHERE id = 2")
    add_constraint(shop, "products")
    items = [{"product_id": 2, "quantity": 1}]

    results = shop.process(
        [
            request("product", "update", {"id": 1, "price": 5}, request_id="1"),
            request("product", "update", {"id": 2, "price": 5}, request_id="2"),
            request("product", "get", {"id": 2}),
            request("product", "mark_out_of_stock", {"id": 2}),
            request("order", "create", {"user_id": 1, "items": items}),
            request("order", "update", {"order_id": 1, "items": items}),
            request("order", "update_status", {"order_id": 2, "status": "cancelled"}),
            request("order", "update_status", {"order_id": 1, "status": "cancelled"}),
        ]
    )

    said = "Product 2 cannot be read: price is NaN; correct the row"
    refused = Refused(RefusalCode.UNREADABLE_ROW, said)
    outcomes = [result.outcome for result in results]
    assert isinstance(outcomes[0], Applied)
    assert outcomes[1:7] == [refused] * 6
    assert isinstance(outcomes[7], Applied)
    assert shop.query("SELECT id, code FROM processed_requests WHERE id IN ('1', '2')") == [
        ("1", None),
        ("2", "unreadable_row"),
    ]
    assert shop.broken_promises() == []


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("table", ["users", "products", "orders"])
def test_a_date_that_cannot_be_told_costs_its_row_alone(shop: Shop, table: str, date: str) -> None:
    spoil(shop, f"{table} SET created_at = '{date}' WHERE id = 2")
    queue = table.removesuffix("s")

    bad, good, page, last = (
        result.outcome
        for result in shop.process(
            [
                request(queue, "get", {"id": 2}),
                request(queue, "get", {"id": 1}),
                request(queue, "list", {"limit": 2}),
                request(queue, "list", {"after": 2}),
            ]
        )
    )

    why = "created_at is not a timestamp between years 1 and 9999"
    told = f"{queue.capitalize()} 2 cannot be read: {why}"
    assert bad == Refused(RefusalCode.UNREADABLE_ROW, f"{told}; correct the row")
    assert answer(good)["id"] == 1
    found = answer(page)
    assert [row["id"] for row in found["items"]] == [1]
    assert (found["next"], found["unreadable"]) == (2, [2])
    assert found["total"] == shop.count(table)
    assert "unreadable" not in answer(last)


@pytest.mark.parametrize("date", DATES)
def test_a_change_of_a_row_with_such_a_date_is_refused(shop: Shop, date: str) -> None:
    spoil(shop, f"users SET updated_at = '{date}' WHERE id = 2")

    changed, other, order = shop.process(
        [
            request("user", "update", {"id": 2, "is_active": True, "full_name": "Yan"}),
            request("user", "update", {"id": 1, "full_name": "Zoe"}),
            request("order", "update_status", {"order_id": 2, "status": "processing"}),
        ]
    )

    assert isinstance(changed.outcome, Refused)
    assert "User 2 cannot be read: updated_at" in changed.outcome.message
    assert isinstance(other.outcome, Applied)
    assert isinstance(order.outcome, Applied)


def test_an_item_whose_price_is_no_number_costs_its_order_alone(shop: Shop) -> None:
    spoil(shop, "order_items SET unit_price = 'NaN' WHERE order_id = 1")

    bad, page = shop.process(
        [request("order", "get", {"order_id": 1}), request("order", "list", {})]
    )

    assert isinstance(bad.outcome, Refused)
    assert "Order 1 cannot be read: the item 1 " in bad.outcome.message
    found = answer(page.outcome)
    assert ([row["id"] for row in found["items"]], found["unreadable"]) == ([2, 3], [1])


def test_a_name_that_is_null_costs_its_row_alone(shop: Shop) -> None:
    shop.query("ALTER TABLE products ALTER name DROP NOT NULL")
    shop.query("UPDATE products SET name = NULL WHERE id = 1")

    bad, page = shop.process([request("product", "get", {"id": 1}), request("product", "list", {})])

    assert isinstance(bad.outcome, Refused)
    assert bad.outcome.message == "Product 1 cannot be read: name is null; correct the row"
    assert [row["id"] for row in answer(page.outcome)["items"]] == [2, 3]


def test_the_first_and_the_last_date_that_can_be_told_are(shop: Shop) -> None:
    shop.query(
        "UPDATE products SET created_at = '0001-01-01 00:00:00+00', "
        "updated_at = '9999-12-31 23:59:59.999999+00' WHERE id = 1"
    )

    (result,) = shop.process([request("product", "get", {"id": 1})])

    row = answer(result.outcome)
    assert row["created_at"] == "0001-01-01T00:00:00.000000Z"
    assert row["updated_at"] == "9999-12-31T23:59:59.999999Z"
