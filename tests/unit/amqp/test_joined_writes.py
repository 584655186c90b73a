"""What is written for messages is what pika writes, in few pieces."""

from typing import Any

import pytest
from pika import frame, spec
from pika.adapters import select_connection

from orderd.amqp.joined_writes import WRITE_BYTES, joined, publish, watched_services
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.wire.properties import WireProperties, encode

FRAME_MAX = 4096
BODY_MAX = FRAME_MAX - 8
TYPICAL = Properties(content_type="text/plain", delivery_mode=2, message_id="7", headers={"a": 1})


def message(body: bytes, key: str = "user", properties: Properties = TYPICAL) -> OutgoingMessage:
    return OutgoingMessage("", key, body, properties, mandatory=True)


def as_pika_writes(one: OutgoingMessage) -> bytes:
    key = one.routing_key.encode(errors="surrogateescape")
    method = spec.Basic.Publish(exchange=one.exchange, routing_key=key, mandatory=one.mandatory)
    parts = [one.body[at : at + BODY_MAX] for at in range(0, len(one.body), BODY_MAX)]
    frames = [
        frame.Method(1, method),
        frame.Header(1, len(one.body), WireProperties(one.properties)),
        *(frame.Body(1, part) for part in parts),
    ]
    return b"".join(each.marshal() for each in frames)


def written(messages: list[OutgoingMessage]) -> list[bytes]:
    return [*joined(1, FRAME_MAX, [(one, encode(one.properties)) for one in messages])]


class Channel:
    """What `publish` uses of a channel of pika's, which notes what it is given."""

    channel_number = 1

    def __init__(self) -> None:
        self.is_open = True
        self.published: list[tuple[Any, ...]] = []

    def basic_publish(self, *arguments: Any) -> None:
        self.published.append(arguments)


@pytest.mark.parametrize(
    "size", [0, 1, BODY_MAX - 1, BODY_MAX, BODY_MAX + 1, 2 * BODY_MAX, 5 * BODY_MAX + 7]
)
def test_a_message_is_written_as_pika_writes_it(size: int) -> None:
    one = message(bytes(number % 251 for number in range(size)))

    assert b"".join(written([one])) == as_pika_writes(one)


@pytest.mark.parametrize(
    "properties", [Properties(), TYPICAL, Properties(headers={"é": "ü" * 500})]
)
@pytest.mark.parametrize("key", ["user", "é", "not \udcff UTF-8", "k" * 255])
def test_names_and_properties_are_written_as_pika_writes_them(
    key: str, properties: Properties
) -> None:
    one = message(b"x", key, properties)

    assert b"".join(written([one])) == as_pika_writes(one)


def test_each_message_has_its_own_target() -> None:
    messages = [
        message(b"1", "a"),
        message(b"2", "b"),
        OutgoingMessage("events", "a", b"3", TYPICAL, mandatory=True),
        OutgoingMessage("", "a", b"4", TYPICAL, mandatory=False),
        message(b"5", "a"),
    ]

    assert b"".join(written(messages)) == b"".join(map(as_pika_writes, messages))


def test_a_batch_is_one_piece() -> None:
    assert len(written([message(b"x" * 600) for _ in range(200)])) == 1


def test_no_messages_are_no_piece() -> None:
    assert written([]) == []


def test_pieces_are_bounded_and_lose_nothing() -> None:
    messages = [message(b"x" * WRITE_BYTES), *(message(b"y" * 999) for _ in range(900))]

    pieces = written(messages)

    assert b"".join(pieces) == b"".join(map(as_pika_writes, messages))
    assert max(map(len, pieces)) < WRITE_BYTES + 2 * FRAME_MAX
    assert len(pieces) < 2 + sum(map(len, pieces)) / WRITE_BYTES


def test_pika_publishes_where_its_interface_is_not_as_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(select_connection, "IOLoop")
    channel = Channel()

    publish(channel, watched_services(), [(message(b"x"), b"\0\0")])

    assert [arguments[:3] for arguments in channel.published] == [("", b"user", b"x")]


def test_pika_publishes_where_no_transport_has_been_seen() -> None:
    services = watched_services()
    assert services is not None
    channel = Channel()

    publish(channel, services, [(message(b"x"), b"\0\0")])

    assert len(channel.published) == 1
    services.get_native_ioloop().close()


def test_pika_says_what_is_wrong_with_a_channel_that_is_not_open() -> None:
    services = watched_services()
    assert services is not None
    services.transport = object()
    channel = Channel()
    channel.is_open = False

    publish(channel, services, [(message(b"x"), b"\0\0")])

    assert len(channel.published) == 1
    services.get_native_ioloop().close()
