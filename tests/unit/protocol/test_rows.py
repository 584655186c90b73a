"""The exact JSON of rows, replies and events."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.cloud_events import CONTENT_TYPE, CloudEvent, EventContext
from orderd.protocol.replies import Response
from orderd.protocol.rows import Row, rfc3339
from orderd.protocol.strict_json import dumps, loads
from orderd.shop.order_rows import Order, OrderItem
from orderd.shop.products import Product
from orderd.shop.registry import SHOP
from orderd.shop.users import User

NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
LATER = datetime(2024, 2, 29, 12, 0, 0, 123400, tzinfo=UTC)
USER = User(1, "ann", "ann@x.org", None, True, NOON, LATER, 1)
PRODUCT = Product(5, 'Lamp "☃"\n', Decimal("1199.90"), 2, NOON, LATER, 12)
ORDER = Order(
    7,
    1,
    "pending",
    "normal",
    Decimal("299.98"),
    (OrderItem(1, 5, 2, Decimal("149.99")), OrderItem(2, 6, 1, Decimal("0.00"))),
    NOON,
    LATER,
    3,
)
TIMES = '"created_at":"2024-02-29T12:00:00.000000Z","updated_at":"2024-02-29T12:00:00.123400Z"'
JSON: list[tuple[Row, str]] = [
    (
        USER,
        '{"id":1,"username":"ann","email":"ann@x.org","full_name":null,"is_active":true,'
        + TIMES
        + ',"revision":1}',
    ),
    (
        PRODUCT,
        '{"id":5,"name":"Lamp \\"☃\\"\\n","price":1199.90,"stock_quantity":2,'
        + TIMES
        + ',"revision":12}',
    ),
    (
        ORDER,
        '{"id":7,"user_id":1,"status":"pending","priority":"normal","total_amount":299.98,'
        '"items":[{"id":1,"product_id":5,"quantity":2,"unit_price":149.99},'
        '{"id":2,"product_id":6,"quantity":1,"unit_price":0.00}],' + TIMES + ',"revision":3}',
    ),
]
REFUSAL = Response.failed(
    "insufficient_stock", "Insufficient stock: product 5 has 2, 100 ordered"
)  # fmt: skip


@pytest.mark.parametrize(("row", "text"), JSON, ids=["user", "product", "order"])
def test_a_row_is_written_exactly_so(row: Row, text: str) -> None:
    assert row.json() == text
    assert json.loads(text)["id"] == row.id


def test_an_order_without_items_and_a_user_who_left_are_written_too() -> None:
    assert '"items":[]' in replace(ORDER, items=()).json()
    gone = replace(USER, full_name='A"n\\n', is_active=False)
    assert '"full_name":"A\\"n\\\\n","is_active":false' in gone.json()


@pytest.mark.parametrize(
    ("moment", "text"),
    [(NOON, "2024-02-29T12:00:00.000000Z"), (LATER, "2024-02-29T12:00:00.123400Z")],
)
def test_a_time_is_rfc_3339_in_utc_with_six_digits(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert datetime.fromisoformat(text) == moment


def test_a_reply_is_written_exactly_so() -> None:
    assert Response.ok('{"id":1}').reply("c-1") == (
        b'{"correlation_id":"c-1","status":"ok","data":{"id":1},"error":null}'
    )
    assert REFUSAL.reply(None) == (
        b'{"correlation_id":null,"status":"error","data":null,'
        b'"error":"Insufficient stock: product 5 has 2, 100 ordered","code":"insufficient_stock"}'
    )
    assert Response.ok("null").reply('"☃\n') == (
        '{"correlation_id":"\\"☃\\n","status":"ok","data":null,"error":null}'.encode()
    )


def as_jsonb(text: str) -> str:
    """Return *text* as PostgreSQL gives jsonb back: shorter keys first, all digits kept."""
    return dumps(_shorter_keys_first(loads(text.encode())))


def _shorter_keys_first(value: Any) -> Any:
    match value:
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return {key: _shorter_keys_first(value[key]) for key in keys}
        case list():
            return [_shorter_keys_first(member) for member in value]
        case _:
            return value


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
ids = st.integers(1, 2**63 - 1)
money = st.decimals(0, 9999999999, places=2)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
items = st.builds(OrderItem, ids, ids, st.integers(1, 10**6), money)
rows = st.one_of(
    st.builds(User, ids, texts, texts, st.none() | texts, st.booleans(), moments, moments, ids),
    st.builds(Product, ids, texts, money, st.integers(0, 10**9), moments, moments, ids),
    st.builds(
        Order,
        ids,
        ids,
        st.just("pending"),
        st.just("low"),
        money,
        st.lists(items, max_size=3).map(tuple),
        moments,
        moments,
        ids,
    ),
)
responses = st.one_of(
    rows.map(lambda row: Response.ok(row.json())),
    st.builds(Response.failed, st.just("product_not_found"), texts.filter(bool)),
)


@given(responses, st.none() | texts)
def test_a_stored_response_is_replied_again_to_the_byte(
    response: Response, correlation_id: str | None
) -> None:
    again = Response.from_stored(as_jsonb(response.stored()), SHOP.row_fields)

    assert again == response
    assert again.reply(correlation_id) == response.reply(correlation_id)


@given(rows)
def test_a_stored_row_of_a_version_without_revisions_is_replied_again_to_the_byte(row: Row) -> None:
    before = row.json().rpartition(',"revision":')[0] + "}"

    again = Response.from_stored(as_jsonb(Response.ok(before).stored()), SHOP.row_fields)

    assert again.reply("c") == Response.ok(before).reply("c")


@given(rows)
def test_any_row_is_strict_json_on_one_line(row: Row) -> None:
    text = row.json()

    assert loads(text.encode())["id"] == row.id
    assert "\n" not in text


@given(
    data=rows.map(lambda row: row.json()),
    source=texts,
    related=st.none() | texts,
    actor=st.none() | texts,
    sequence=st.none() | ids,
)
def test_an_event_is_a_cloud_event(
    data: str, source: str, related: str | None, actor: str | None, sequence: int | None
) -> None:
    event = CloudEvent("order.created", "order/7", data, sequence)

    body = json.loads(event.body("e-1", EventContext(source, LATER, related, actor)))

    wanted = {
        "specversion": "1.0",
        "id": "e-1",
        "source": source,
        "type": "order.created",
        "subject": "order/7",
        "time": "2024-02-29T12:00:00.123400Z",
        "datacontenttype": "application/json",
        "data": json.loads(data),
    }
    wanted |= {} if related is None else {"correlationid": related}
    wanted |= {} if actor is None else {"actor": actor}
    wanted |= {} if sequence is None else {"sequence": str(sequence)}
    assert body == wanted


def test_an_event_is_written_exactly_so() -> None:
    context = EventContext("/orderd", NOON, "c-1", "shop")
    body = CloudEvent("user.created", "user/1", '{"id":1}', 12).body("e-1", context)

    assert CONTENT_TYPE == "application/cloudevents+json"
    assert body == (
        '{"specversion":"1.0","id":"e-1","source":"/orderd","type":"user.created",'
        '"subject":"user/1","time":"2024-02-29T12:00:00.000000Z","correlationid":"c-1","actor":"shop",'
        '"sequence":"12","datacontenttype":"application/json","data":{"id":1}}'
    )
