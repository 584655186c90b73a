"""Tables whose types were widened: the work goes on, and rows come back as they were told."""

from decimal import Decimal

import pytest

from orderd.contract.strict_json import loads
from orderd.domain.outcomes import Answered, Applied
from tests.integration.batch.shop import Shop
from tests.support.commands import request


@pytest.mark.parametrize(
    "change",
    [
        "products ALTER price TYPE numeric",
        "products ALTER price TYPE numeric(20,4)",
        "products ALTER stock_quantity TYPE integer",
        "products ALTER stock_quantity TYPE numeric(12)",
        "products ALTER name TYPE varchar(200)",
        "products ALTER revision TYPE integer",
        "orders ALTER total_amount TYPE numeric",
        "orders ALTER status TYPE varchar(12)",
        "orders ALTER id TYPE integer",
        "order_items ALTER quantity TYPE numeric(10)",
        "outbox ALTER claimed_at TYPE timestamptz(0)",
    ],
)
def test_a_wider_type_gives_back_what_was_told(shop: Shop, change: str) -> None:
    shop.query(f"ALTER TABLE {change}")
    items = [{"product_id": 2, "quantity": 4}]
    product = {"id": 2, "price": "12.30", "name": "Lampe"}

    changed, ordered, updated, cancelled = (
        result.outcome
        for result in shop.process(
            [
                request("product", "update", product, request_id="p"),
                request("order", "create", {"user_id": 1, "items": items}, request_id="o"),
                request("order", "update", {"order_id": 1, "items": items}, request_id="q"),
                request("order", "update_status", {"order_id": 3, "status": "cancelled"}),
            ]
        )
    )
    shown = [
        result.outcome
        for result in shop.process(
            [
                request("product", "get", {"id": 2}),
                *(request("order", "get", {"id": n}) for n in (4, 1, 3)),
            ]
        )
    ]

    assert isinstance(changed, Applied)
    for told, row in zip((ordered, updated, cancelled), shown[1:], strict=True):
        assert isinstance(told, Applied)
        assert isinstance(row, Answered)
        assert loads(row.data.encode()) == loads(told.row.json().encode())
    assert isinstance(shown[0], Answered)
    stored = loads(shown[0].data.encode())
    assert (stored["price"], stored["name"]) == (Decimal("12.30"), "Lampe")
    assert shop.broken_promises() == []
