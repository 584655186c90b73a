"""Every limit of the fields, at its edges."""

import json
from decimal import Decimal
from typing import Any

import pytest

from orderd.contract.envelope import Command, Invalid
from tests.harness.commands import decoded_from, delivery

PRODUCT = {"name": "lamp", "price": 1, "stock_quantity": 1}
USER = {"username": "ann", "email": "ann@x.org"}
ORDER = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
BIGINT_MAX = 2**63 - 1


def decoded(queue: str, action: str, arguments: Any, version: str = "v2") -> Command | Invalid:
    """Return what a body with these arguments is; numbers go in as a `Raw` has them."""
    text = json.dumps({"action": action, "version": version, "data": arguments})
    for raw in RAW.values():
        text = text.replace(f'"{raw.key}"', raw.text)
    return decoded_from(delivery(queue, text.encode()))


class Raw(str):
    """Stands in `data` for JSON text that json.dumps would not write."""

    __slots__ = ("key", "text")
    key: str
    text: str


RAW: dict[str, Raw] = {}


def raw(text: str) -> Raw:
    one = Raw(f"raw {text}")
    one.key, one.text = str(one), text
    return RAW.setdefault(text, one)


def taken(queue: str, action: str, arguments: Any, name: str) -> Any:
    """Return the value of the field *name* of a command that must be valid."""
    command = decoded(queue, action, arguments)
    assert isinstance(command, Command), command
    return getattr(command.content, name)


def refused(queue: str, action: str, arguments: Any) -> str:
    """Return why a command is invalid, as it must be."""
    invalid = decoded(queue, action, arguments)
    assert isinstance(invalid, Invalid), invalid
    assert invalid.code == "invalid_data"
    assert invalid.message.isascii()
    return invalid.message


def price(value: object) -> dict[str, object]:
    return PRODUCT | {"price": value}


def ordered(quantity: object) -> dict[str, object]:
    return {"user_id": 1, "items": [{"product_id": 1, "quantity": quantity}]}


@pytest.mark.parametrize(
    ("value", "cents"),
    [
        (0, "0.00"),
        (raw("0.0"), "0.00"),
        (raw("-0"), "0.00"),
        (raw("-0.00"), "0.00"),
        ("-0", "0.00"),
        (raw("0.01"), "0.01"),
        (raw("1.10"), "1.10"),
        (raw("1.100"), "1.10"),
        (raw("149.99"), "149.99"),
        ("149.99", "149.99"),
        ("7", "7.00"),
        ("1e2", "100.00"),
        (raw("1E2"), "100.00"),
        (raw("1234e-2"), "12.34"),
        (raw("9999999999.99"), "9999999999.99"),
        ("9999999999.99", "9999999999.99"),
        ("0." + "0" * 90, "0.00"),
    ],
)
def test_money_has_two_places_and_is_exact(value: object, cents: str) -> None:
    amount = taken("product", "create", price(value), "price")

    assert isinstance(amount, Decimal)
    assert str(amount) == cents


@pytest.mark.parametrize(
    "value",
    [
        *(raw("0.001"), raw("1.999"), "0.001", raw("1e-3"), raw("1e-999"), raw("0.10000000001")),
        *(raw("-0.01"), -1, "-1", raw("10000000000"), raw("1e10"), "10000000000", raw("1e999999")),
        *(" 1", "1 ", "1\n", "", "１", "1_0", "1,0", "+1", ".5", "5.", "0x1", "1e", "01"),
        *("NaN", "nan", "Infinity", "-Infinity", "inf", "1e99999", "1" * 101, "0." + "0" * 99),
        *(True, False, None, [], {}, [1]),
    ],
)
def test_other_money_is_invalid(value: object) -> None:
    assert refused("product", "create", price(value)).startswith("data.price: should ")


@pytest.mark.parametrize("quantity", [1, 2, 10**6])
def test_quantities_reach_from_1_to_a_million(quantity: int) -> None:
    (item,) = taken("order", "create", ordered(quantity), "items")

    assert item.quantity == quantity


NO_INTEGERS = [
    *(True, False, "1", " 1", "", None, [], [1], {}, raw("1.0"), raw("1e0"), raw("1.5")),
    *(raw("1e400"), raw("1e999999999"), raw("9" * 4000), raw("-" + "9" * 4000)),
]


@pytest.mark.parametrize("quantity", [0, -1, 10**6 + 1, 2**63, 2**64, *NO_INTEGERS])
def test_other_quantities_are_invalid(quantity: object) -> None:
    reason = refused("order", "create", ordered(quantity))

    assert reason.startswith("data.items[0].quantity: ")
    assert len(reason) < 300


@pytest.mark.parametrize("stock", [0, 1, 10**9])
def test_stock_reaches_from_0_to_a_milliard(stock: int) -> None:
    assert taken("product", "create", PRODUCT | {"stock_quantity": stock}, "stock_quantity") == stock


@pytest.mark.parametrize("stock", [-1, 10**9 + 1, 2**63, *NO_INTEGERS])
def test_other_stock_is_invalid(stock: object) -> None:
    reason = refused("product", "create", PRODUCT | {"stock_quantity": stock})

    assert reason.startswith("data.stock_quantity: ")


@pytest.mark.parametrize("delta", [-(10**9), -1, 0, 1, 10**9])
def test_stock_may_be_adjusted_by_a_milliard(delta: int) -> None:
    assert taken("product", "adjust_stock", {"id": 1, "delta": delta}, "delta") == delta


@pytest.mark.parametrize("delta", [10**9 + 1, -(10**9) - 1, *NO_INTEGERS])
def test_other_adjustments_are_invalid(delta: object) -> None:
    reason = refused("product", "adjust_stock", {"id": 1, "delta": delta})

    assert reason.startswith("data.delta: ")


@pytest.mark.parametrize("identity", [1, BIGINT_MAX])
def test_ids_are_those_that_the_database_has(identity: int) -> None:
    assert taken("product", "get", {"id": identity}, "id") == identity


@pytest.mark.parametrize("identity", [0, -1, BIGINT_MAX + 1, *NO_INTEGERS])
@pytest.mark.parametrize("action", ["get", "mark_out_of_stock"])
def test_other_ids_are_invalid(action: str, identity: object) -> None:
    assert refused("product", action, {"id": identity}).startswith("data.id: ")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("x", "x"),
        (" \t x y \n", "x y"),
        ("x" * 200, "x" * 200),
        ("  " + "x" * 200 + "  ", "x" * 200),
        ("☃" * 200, "☃" * 200),
        ("\x01\x7f", "\x01\x7f"),
        ("a\nb", "a\nb"),
        ("Robert'); DROP TABLE products;--", "Robert'); DROP TABLE products;--"),
    ],
)
def test_names_are_trimmed_and_reach_to_200_characters(name: str, kept: str) -> None:
    assert taken("product", "create", PRODUCT | {"name": name}, "name") == kept


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", " \t\n", "x" * 201, "☃" * 201, "a\x00b", "\x00", "\ud800", "a\udfffb"),
        *(1, True, None, [], ["x"], {}, raw("1.5")),
    ],
)
def test_other_names_are_invalid(name: object) -> None:
    assert refused("product", "create", PRODUCT | {"name": name}).startswith("data.name: ")


@pytest.mark.parametrize(
    ("email", "kept"),
    [
        ("a@x.org", "a@x.org"),
        (" a@x.org ", "a@x.org"),
        ("Ann.B+tag@X.ORG", "Ann.B+tag@x.org"),
        ("Ann <a@x.org>", "a@x.org"),
        ("ü@bücher.example.org", "ü@bücher.example.org"),
    ],
)
def test_an_email_is_kept_as_pydantic_normalises_it(email: str, kept: str) -> None:
    assert taken("user", "create", USER | {"email": email}, "email") == kept


@pytest.mark.parametrize(
    "email",
    [
        *("", " ", "x", "@x.org", "a@", "a@x", "a b@x.org", "a@x..org", "a@@x.org"),
        *("a\x00@x.org", "a@x.org\x00", "\ud800@x.org", "a@" + "x" * 250),
        *(f"{'a' * 60}@{'x' * 60}.{'y' * 60}.{'z' * 20}.org", 1, True, None, [], {}),
    ],
)
def test_other_emails_are_invalid(email: object) -> None:
    assert refused("user", "create", USER | {"email": email}).startswith("data.email: ")


@pytest.mark.parametrize("active", [0, 1, "true", "", None, [], raw("1.0")])
def test_only_true_and_false_are_truth_values(active: object) -> None:
    reason = refused("user", "create", USER | {"is_active": active})

    assert reason.startswith("data.is_active: ")


@pytest.mark.parametrize(("count", "is_valid"), [(0, False), (1, True), (100, True), (101, False)])
@pytest.mark.parametrize("action", ["create", "update"])
def test_an_order_has_1_to_100_items(action: str, count: int, *, is_valid: bool) -> None:
    items = [{"product_id": 1, "quantity": 1}] * count
    whose = {"user_id": 1} if action == "create" else {"order_id": 1}

    result = decoded("order", action, whose | {"items": items})

    assert isinstance(result, Command) is is_valid


@pytest.mark.parametrize("items", [None, {}, "x", 1, [None], [1], ["x"], [[]], [{}]])
def test_items_are_a_list_of_objects(items: object) -> None:
    assert refused("order", "create", ORDER | {"items": items}).startswith("data.items")


@pytest.mark.parametrize("limit", [1, 500])
def test_a_page_has_1_to_500_rows(limit: int) -> None:
    assert taken("product", "list", {"limit": limit}, "limit") == limit
    assert taken("product", "list", {}, "limit") == 50


@pytest.mark.parametrize("limit", [0, -1, 501, *NO_INTEGERS])
def test_other_pages_are_invalid(limit: object) -> None:
    assert refused("product", "list", {"limit": limit}).startswith("data.limit: ")


@pytest.mark.parametrize("after", [0, 1, BIGINT_MAX, 2**70])
def test_a_page_may_begin_after_any_id(after: int) -> None:
    assert taken("order", "list", {"after": after}, "after") == after


@pytest.mark.parametrize("after", [-1, *NO_INTEGERS[:5]])
def test_a_page_does_not_begin_anywhere_else(after: object) -> None:
    assert refused("order", "list", {"after": after}).startswith("data.after: ")


@pytest.mark.parametrize("status", ["", "Pending", " pending", "lost", 1, True, [], None])
def test_a_status_is_one_of_five(status: object) -> None:
    reason = refused("order", "update_status", {"order_id": 1, "status": status})

    assert reason.startswith("data.status: should be 'pending', 'processing', ")


@pytest.mark.parametrize("priority", ["low", "normal", "high"])
def test_an_order_of_v2_has_a_priority(priority: str) -> None:
    assert taken("order", "create", ORDER | {"priority": priority}, "priority") == priority
    assert taken("order", "create", ORDER, "priority") == "normal"


@pytest.mark.parametrize("priority", ["", "urgent", "HIGH", 1, None])
def test_other_priorities_are_invalid(priority: object) -> None:
    reason = refused("order", "create", ORDER | {"priority": priority})

    assert reason.startswith("data.priority: ")
