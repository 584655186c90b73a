"""The limits of numbers, at their edges."""

from decimal import Decimal

import pytest

from tests.unit.protocol.fields import BIGINT_MAX, NO_INTEGERS, PRODUCT, raw, refused, taken


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
        *(" 1", "1 ", "1\n", "", "\uff11", "1_0", "1,0", "+1", ".5", "5.", "0x1", "1e", "01"),
        *("NaN", "nan", "Infinity", "-Infinity", "inf", "1e99999", "1" * 101, "0." + "0" * 99),
        *(True, False, None, [], {}, [1]),
    ],
)
def test_other_money_is_invalid(value: object) -> None:
    assert refused("product", "create", price(value)).startswith("data.price must ")


@pytest.mark.parametrize("quantity", [1, 2, 10**6])
def test_quantities_reach_from_1_to_a_million(quantity: int) -> None:
    (item,) = taken("order", "create", ordered(quantity), "items")

    assert item.quantity == quantity


@pytest.mark.parametrize("quantity", [0, -1, 10**6 + 1, 2**63, 2**64, *NO_INTEGERS])
def test_other_quantities_are_invalid(quantity: object) -> None:
    reason = refused("order", "create", ordered(quantity))

    assert reason.startswith("data.items[0].quantity ")
    assert len(reason) < 300


@pytest.mark.parametrize("stock", [0, 1, 10**9])
def test_stock_reaches_from_0_to_a_milliard(stock: int) -> None:
    assert (
        taken("product", "create", PRODUCT | {"stock_quantity": stock}, "stock_quantity") == stock
    )


@pytest.mark.parametrize("stock", [-1, 10**9 + 1, 2**63, *NO_INTEGERS])
def test_other_stock_is_invalid(stock: object) -> None:
    reason = refused("product", "create", PRODUCT | {"stock_quantity": stock})

    assert reason.startswith("data.stock_quantity ")


@pytest.mark.parametrize("delta", [-(10**9), -1, 0, 1, 10**9])
def test_stock_may_be_adjusted_by_a_milliard(delta: int) -> None:
    assert taken("product", "adjust_stock", {"id": 1, "delta": delta}, "delta") == delta


@pytest.mark.parametrize("delta", [10**9 + 1, -(10**9) - 1, *NO_INTEGERS])
def test_other_adjustments_are_invalid(delta: object) -> None:
    reason = refused("product", "adjust_stock", {"id": 1, "delta": delta})

    assert reason.startswith("data.delta ")


@pytest.mark.parametrize("identity", [1, BIGINT_MAX])
def test_ids_are_those_that_the_database_has(identity: int) -> None:
    assert taken("product", "get", {"id": identity}, "id") == identity


@pytest.mark.parametrize("identity", [0, -1, BIGINT_MAX + 1, *NO_INTEGERS])
@pytest.mark.parametrize("action", ["get", "mark_out_of_stock"])
def test_other_ids_are_invalid(action: str, identity: object) -> None:
    assert refused("product", action, {"id": identity}).startswith("data.id ")


CONDITIONAL: list[tuple[str, str, dict[str, object]]] = [
    ("user", "update", {"id": 1, "is_active": True}),
    ("product", "update", {"id": 1, "price": 1}),
    ("product", "mark_out_of_stock", {"id": 1}),
    ("product", "adjust_stock", {"id": 1, "delta": 1}),
    ("order", "update_status", {"order_id": 1, "status": "shipped"}),
    ("order", "update", {"order_id": 1, "status": "shipped"}),
]


@pytest.mark.parametrize(("queue", "action", "arguments"), CONDITIONAL)
def test_every_change_of_a_row_may_name_its_revision(
    queue: str, action: str, arguments: dict[str, object]
) -> None:
    for revision in (1, BIGINT_MAX):
        given = arguments | {"if_revision": revision}
        assert taken(queue, action, given, "if_revision") == revision
    for other in (0, -1, BIGINT_MAX + 1, None, *NO_INTEGERS):
        reason = refused(queue, action, arguments | {"if_revision": other})
        assert reason.startswith("data.if_revision ")
