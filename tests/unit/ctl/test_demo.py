from typing import Any

from orderd.ctl.client import Reply
from orderd.ctl.commands.demo import differences, fault, outcome
from orderd.ctl.demo_scenario import END_ORDERS, END_PRODUCTS, STEPS
from orderd.protocol.strict_json import dumps, loads
from orderd.shop.registry import SHOP

PRODUCT: dict[str, Any] = {"id": 1, "name": "Laptop", "price": 1, "stock_quantity": 2}


def done(row: dict[str, Any]) -> Reply:
    return Reply({"status": "ok", "data": row, "error": None})


def failed(code: str) -> Reply:
    return Reply({"status": "error", "data": None, "error": "No.", "code": code})


def test_every_step_is_a_command_of_the_contract() -> None:
    for step in STEPS:
        content = loads(dumps(step.content).encode())
        model = SHOP.models["v1"][step.queue, step.action]
        assert not model.model_validate(content).is_query


def test_each_step_ends_either_in_a_row_or_in_a_refusal() -> None:
    assert all((step.row_id is None) != (step.refusal is None) for step in STEPS)
    assert STEPS[-1].refusal == "insufficient_stock"


def test_the_totals_of_the_end_are_those_of_their_items() -> None:
    for order in END_ORDERS:
        total = sum(item["quantity"] * item["unit_price"] for item in order["items"])
        assert order["total_amount"] == total


def test_a_step_that_comes_out_as_it_should_has_no_fault() -> None:
    assert fault(STEPS[1], done(PRODUCT)) is None
    assert fault(STEPS[-1], failed("insufficient_stock")) is None


def test_a_step_that_comes_out_otherwise_has_a_fault_that_says_how() -> None:
    assert fault(STEPS[1], done(PRODUCT | {"id": 9})) == "expected id 1; got 9"
    assert fault(STEPS[1], failed("x")) == "expected ok; got x: No."
    refused = "expected a refusal with insufficient_stock; got "
    assert fault(STEPS[-1], done({"id": 4})) == f"{refused}ok"
    assert fault(STEPS[-1], failed("x")) == f"{refused}x: No."


def test_an_outcome_is_one_line_with_the_numbers() -> None:
    assert outcome(STEPS[1], done(PRODUCT)) == "product 1 Laptop: 1, 2 in stock"
    assert outcome(STEPS[-1], failed("insufficient_stock")) == "refused: insufficient_stock: No."


def test_rows_with_more_fields_than_expected_do_not_differ() -> None:
    rows = [product | {"created_at": "now"} for product in END_PRODUCTS]

    assert differences("product", END_PRODUCTS, rows) == []


def test_every_difference_of_the_end_is_named() -> None:
    rows = loads(dumps(END_ORDERS).encode())
    rows[0]["total_amount"] = 1
    rows[2]["items"][1]["quantity"] = 3

    found = differences("order", END_ORDERS, rows)

    assert found[0] == "order 1: total_amount: expected 1459.97; got 1"
    assert found[1].startswith("order 3: items: expected [")
    assert len(found) == 2


def test_missing_rows_are_a_difference() -> None:
    assert differences("product", END_PRODUCTS, END_PRODUCTS[:4]) == [
        "products: expected 5, with ids from 1"
    ]
