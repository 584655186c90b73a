"""Headers and properties on the wire: exact both ways, and unreadable ones do no harm."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.wire.field_reader import DEPTH_MAX, Epoch, read_table
from orderd.amqp.wire.field_writer import write_table
from orderd.amqp.wire.properties import (
    HEADER_UNREADABLE,
    WireProperties,
    check,
    decode,
    encode,
    prepare,
)

FRAME_MAX = 131_072
HEADERS_FLAG = struct.pack(">H", 1 << 13)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
moments = st.integers(0, 253_402_300_799).map(lambda s: datetime.fromtimestamp(s, UTC))
decimals = st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 255)).map(
    lambda parts: Decimal(parts[0]).scaleb(-parts[1])
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    moments,
    decimals,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
tables = st.dictionaries(names, values, max_size=6)


def nested(depth: int) -> bytes:
    table = struct.pack(">I", 0)
    for _ in range(depth):
        entry = b"\x01aF" + table
        table = struct.pack(">I", len(entry)) + entry
    return table


@given(tables)
def test_a_table_comes_back_as_it_was_written(table: dict[str, Any]) -> None:
    encoded = write_table(table)

    assert read_table(encoded, 0) == (table, len(encoded))


# pika 1.3 reads time stamps in a way that Python 3.12 deprecates.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
@given(tables)
def test_pika_itself_reads_what_is_written(table: dict[str, Any]) -> None:
    found = BasicProperties()

    found.decode(encode(Properties(headers=table)))

    assert set(found.headers) == set(table)


def test_types_survive_and_not_only_values() -> None:
    table = {"half": 0.5, "yes": True, "one": 1, "raw": b"\xff", "price": Decimal("1.50")}

    found, _ = read_table(write_table(table), 0)

    assert [type(found[key]) for key in table] == [float, bool, int, bytes, Decimal]
    assert str(found["price"]) == "1.50"


def test_timestamps_are_aware_and_in_utc() -> None:
    berlin = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))

    found, _ = read_table(write_table({"at": berlin}), 0)

    assert found["at"] == berlin
    assert found["at"].tzinfo is UTC


def test_a_timestamp_that_no_datetime_holds_stays_what_it_is() -> None:
    milliseconds = write_table({"at": Epoch(1_763_777_777_000)})

    found, _ = read_table(milliseconds, 0)

    assert found == {"at": 1_763_777_777_000}
    assert write_table(found) == milliseconds


class Colour(StrEnum):
    RED = "red"


def test_an_enum_travels_as_its_value() -> None:
    assert write_table({"colour": Colour.RED}) == write_table({"colour": "red"})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (Decimal(2**31), "out of range"),
        (Decimal(-(2**31) - 1), "out of range"),
        (Decimal("1E+1000000"), "out of range"),
        (Decimal("1E-256"), "out of range"),
        (Decimal("NaN"), "cannot be encoded as a number"),
        (float("nan"), "cannot be encoded as a number"),
        (float("-inf"), "cannot be encoded as a number"),
        (datetime(1969, 12, 31, tzinfo=UTC), "before 1970"),
        ("\ud800", "UTF-8"),
        (object(), "cannot carry a object"),
        ({1: "x"}, "must be a string"),
        ({"k" * 256: "x"}, "256 bytes"),
        ([{"deep": {2**63: 1}}], "must be a string"),
    ],
)
def test_what_amqp_cannot_carry_is_refused_by_name(value: Any, why: str) -> None:
    with pytest.raises(Unpublishable, match=rf"headers: 'outer'.*{why}"):
        encode(Properties(headers={"outer": value}))


def test_endless_nesting_is_refused() -> None:
    table: dict[str, Any] = {}
    table["self"] = table

    with pytest.raises(Unpublishable, match="nested over"):
        write_table(table)


full = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
            for name in (
                *("content_type", "content_encoding", "correlation_id", "reply_to"),
                *("message_id", "type", "user_id", "app_id", "cluster_id"),
            )
        },
        "expiration": st.integers(0, 2**32).map(str),
        "headers": tables,
        "delivery_mode": st.integers(0, 255),
        "priority": st.integers(0, 255),
        "timestamp": st.integers(0, 2**64 - 1),
    },
)


@given(full)
def test_properties_come_back_as_they_were_written(fields: dict[str, Any]) -> None:
    properties = Properties(**fields)

    assert decode(encode(properties)) == properties


@given(full.map(lambda fields: {**fields, "headers": None}))
def test_without_headers_the_bytes_are_those_of_pika(fields: dict[str, Any]) -> None:
    properties = Properties(**fields)

    assert encode(properties) == b"".join(BasicProperties(**fields).encode())


@given(st.binary(max_size=200))
def test_reading_never_fails_whatever_comes(raw: bytes) -> None:
    for encoded in (raw, HEADERS_FLAG + raw, HEADERS_FLAG + struct.pack(">I", len(raw)) + raw):
        WireProperties().decode(encoded)


def test_unreadable_headers_are_kept_raw_and_the_rest_is_read() -> None:
    table = b"\x01aq1234"
    encoded = (
        struct.pack(">H", 1 << 13 | 1 << 7) + struct.pack(">I", len(table)) + table + b"\x02id"
    )

    found = WireProperties().decode(encoded).decoded

    assert found == Properties(headers={HEADER_UNREADABLE: table}, message_id="id")


def test_headers_nested_too_deeply_are_kept_raw() -> None:
    readable = decode(HEADERS_FLAG + nested(DEPTH_MAX))
    found = decode(HEADERS_FLAG + nested(20_000))

    assert readable.headers is not None
    assert "a" in readable.headers
    assert found.headers == {HEADER_UNREADABLE: nested(20_000)[4:]}


def test_text_that_is_not_utf8_goes_out_as_it_came() -> None:
    encoded = struct.pack(">H", 1 << 7) + b"\x03a\xff\xfe"

    found = decode(encoded)

    assert found.message_id == "a\udcff\udcfe"
    assert encode(found) == encoded


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"message_id": "é" * 128}, "message_id: 256 bytes"),
        ({"reply_to": "\ud800"}, "reply_to: not encodable"),
        ({"correlation_id": b"raw"}, "correlation_id: must be a string, not bytes"),
        ({"expiration": "soon"}, "expiration: 'soon' is not a whole number"),
        ({"priority": 256}, "priority: 256 is not in"),
        ({"timestamp": -1}, "timestamp: -1 is not"),
        ({"user_id": "somebody"}, "user_id: 'somebody' is not the user"),
        ({"headers": {"x": "y" * FRAME_MAX}}, "headers: properties of .* do not fit"),
    ],
)
def test_unpublishable_properties_are_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(Unpublishable, match=why):
        check(Properties(**fields), FRAME_MAX, "guest")


def test_the_users_own_name_may_be_given() -> None:
    assert check(Properties(user_id="guest"), FRAME_MAX, "guest")


@pytest.mark.parametrize("routing_key", ["k" * 256, "ü" * 128, "\ud800"])
def test_an_unpublishable_routing_key_is_named(routing_key: str) -> None:
    message = OutgoingMessage("", routing_key, b"", Properties(), mandatory=False)

    with pytest.raises(Unpublishable, match="routing_key"):
        prepare(message, FRAME_MAX, None)


def test_other_users_of_pika_find_its_attributes() -> None:
    found = WireProperties().decode(encode(Properties(type="order.created", delivery_mode=2)))

    assert (found.type, found.delivery_mode, found.headers) == ("order.created", 2, None)
    with pytest.raises(AttributeError):
        _ = found.no_such_property
