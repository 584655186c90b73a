"""Messages with any properties that a broker takes, through a real one: bytes in, bytes out."""

import json
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pika import spec

from tests.acceptance.shop import COMMAND_QUEUES, Message, Shop
from tests.conftest import StartDaemon
from tests.support.any_properties import found_in_the_copy, of_the_copy, properties
from tests.support.raw_amqp import RawProperties, read_properties, write_properties, write_short

FRAME_MAX = 131_072
# What a frame is besides the properties: its own head and end, and that of the content.
ROOM_BYTES = FRAME_MAX - 8 - 12
HEADERS_FLAG = struct.pack(">H", 1 << 13)

bodies = st.sampled_from([b"", b"no command", b"\xff", b'{"action":"create"}'])
several = st.lists(st.tuples(bodies, properties), min_size=1, max_size=15)


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Shop:
    """The shop, which takes properties as bytes from now on."""
    monkeypatch.setitem(spec.props, spec.BasicProperties.INDEX, RawProperties)
    return shop


def test_any_properties_are_kept_by_the_dead_letter(raw: Shop, daemon: StartDaemon) -> None:
    orderd = daemon()

    @settings(max_examples=settings().max_examples // 2, suppress_health_check=list(HealthCheck))
    @given(sent=several, queue=st.sampled_from(COMMAND_QUEUES))
    def check(sent: list[tuple[bytes, dict[str, Any]]], queue: str) -> None:
        raw.send_all(
            [Message(queue, body, RawProperties(write_properties(its))) for body, its in sent]
        )
        letters = raw.take(f"{queue}.dlq", len(sent))
        assert [letter.body for letter in letters] == [body for body, _ in sent]
        for letter, (_, its) in zip(letters, sent, strict=True):
            assert found_in_the_copy(letter.properties.encoded) == of_the_copy(its)

    check()

    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0


def text(size_bytes: int) -> bytes:
    return struct.pack(">cI", b"S", size_bytes) + b"x" * size_bytes


def filled(size_bytes: int) -> bytes:
    """Return headers that take so many bytes with their flags."""
    return table(write_short(b"huge") + text(size_bytes - 2 - 4 - 5 - 5))


def table(entries: bytes) -> bytes:
    return HEADERS_FLAG + struct.pack(">I", len(entries)) + entries


def nested(kind: bytes, depth: int) -> bytes:
    entries = b""
    for _ in range(depth):
        name = write_short(b"a") if kind == b"F" else b""
        entries = name + kind + struct.pack(">I", len(entries)) + entries
    return table(entries if kind == b"F" else write_short(b"a") + entries)


ODD = {
    "as big as a frame": (filled(ROOM_BYTES), False),
    "a byte smaller": (filled(ROOM_BYTES - 1), False),
    "of 120,000 bytes": (filled(120_000), True),
    "a table of 10,000 entries": (
        table(b"".join(write_short(b"%d" % n) + b"t\1" for n in range(10_000))),
        True,
    ),
    "numbers that grow when they are written again": (
        table(write_short(b"a") + b"A" + struct.pack(">I", 100_000) + b"b\1" * 50_000),
        False,
    ),
    "tables in tables": (nested(b"F", 60), True),
    "lists in lists": (nested(b"A", 60), True),
    "the least decimal": (table(write_short(b"a") + b"D\0\x80\0\0\0"), True),
}


@pytest.mark.parametrize(("encoded", "is_kept"), ODD.values(), ids=ODD.keys())
def test_odd_headers_stop_nothing(
    raw: Shop, daemon: StartDaemon, encoded: bytes, *, is_kept: bool
) -> None:
    orderd = daemon()

    raw.send_all([Message("order", b"odd", RawProperties(encoded))])
    raw.send_all([Message("order", b"next", RawProperties(write_properties({})))])

    odd, following = raw.take("order.dlq", 2)
    assert (odd.body, following.body) == (b"odd", b"next")
    found = read_properties(odd.properties.encoded)["headers"]
    assert found[b"orderd-code"] == b"malformed"
    assert (found.items() >= read_properties(encoded)["headers"].items()) is is_kept
    assert orderd.events("broker.disconnected") == []


def test_a_header_that_is_there_twice_stops_nothing_and_is_kept_once(
    raw: Shop, daemon: StartDaemon
) -> None:
    daemon()
    encoded = table(write_short(b"a") + b"t\0" + write_short(b"a") + b"t\1")

    raw.send_all([Message("order", b"odd", RawProperties(encoded))])

    (letter,) = raw.take("order.dlq")
    found = read_properties(letter.properties.encoded)["headers"]
    # RabbitMQ 4 hands the first one over, RabbitMQ 3 both.
    assert found[b"a"] in {False, True}


@pytest.mark.parametrize("kind", [b"F", b"A"])
def test_headers_too_deep_to_be_read_are_kept_as_their_bytes(
    raw: Shop, daemon: StartDaemon, kind: bytes
) -> None:
    daemon()
    encoded = nested(kind, 2_000)

    raw.send_all([Message("user", b"deep", RawProperties(encoded))])

    (letter,) = raw.take("user.dlq")
    headers = read_properties(letter.properties.encoded)["headers"]
    assert letter.body == b"deep"
    assert headers[b"orderd-unreadable"] == encoded[6:]


def test_a_command_with_any_properties_is_applied(raw: Shop, daemon: StartDaemon) -> None:
    raw.open_with(stock=10_000)
    daemon()
    content = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
    count = 0

    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(several)
    def check(sent: list[tuple[bytes, dict[str, Any]]]) -> None:
        nonlocal count
        ids = [f"order-{count + number}" for number in range(len(sent))]
        count += len(sent)
        body = {"action": "create", "data": content}
        raw.send_all(
            [
                Message(
                    "order",
                    json.dumps(body | {"id": one}).encode(),
                    RawProperties(write_properties(its)),
                )
                for one, (_, its) in zip(ids, sent, strict=True)
            ]
        )
        raw.wait_for(*ids)

    check()

    assert set(raw.outcomes().values()) == {"applied"}
    assert raw.value("SELECT stock_quantity FROM products") == 10_000 - count
