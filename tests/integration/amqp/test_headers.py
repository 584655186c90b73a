"""Headers of other people's messages, as a real broker hands them on."""

import struct
from typing import Any

import pytest
from pika import BasicProperties

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.wire.properties import HEADER_UNREADABLE
from tests.integration.amqp.headers import HEADERS
from tests.integration.amqp.steps import bodies, receive, send, to_queue

HEADERS_FLAG = struct.pack(">H", 1 << 13)


class RawProperties(BasicProperties):
    """Sends the bytes that it was given, as a client in another language may."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self._encoded = encoded

    def encode(self) -> list[bytes]:
        return [self._encoded]


def nested(depth: int) -> bytes:
    table = struct.pack(">I", 0)
    for _ in range(depth):
        entry = b"\x01aF" + table
        table = struct.pack(">I", len(entry)) + entry
    return table


def test_headers_of_every_type_come_back_as_they_were_sent(
    consumer: Consumer, publisher: Publisher
) -> None:
    consumer.connect()

    send(publisher, [to_queue("user", b"", Properties(headers=HEADERS))])

    [taken] = receive(consumer, 1)
    assert taken.properties.headers == HEADERS


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(write + b"", id=name)
        for name, write in {
            "milliseconds for a timestamp": struct.pack(">I", 11)
            + b"\x01aT"
            + struct.pack(">Q", 1_763_777_777_000),
            "nested 2000 deep": nested(2000),
            "text that is not UTF-8": struct.pack(">I", 9) + b"\x01aS\0\0\0\x02\xff\xfe",
        }.items()
    ],
)
def test_headers_that_pika_stumbles_over_do_not_stop_the_queue(
    consumer: Consumer, publisher: Publisher, outside: Any, table: bytes
) -> None:
    consumer.connect()
    outside.confirm_delivery()
    outside.basic_publish("", "user", b"odd", RawProperties(HEADERS_FLAG + table))
    outside.basic_publish("", "user", b"next")

    odd, following = receive(consumer, 2)
    send(publisher, [to_queue("user", odd.body, odd.properties)])
    consumer.ack([odd, following])

    assert bodies([odd, following]) == [b"odd", b"next"]
    [copy] = receive(consumer, 1)
    assert copy.properties == odd.properties


def test_unreadable_headers_are_found_under_a_name_of_our_own(
    consumer: Consumer, outside: Any
) -> None:
    consumer.connect()
    outside.basic_publish("", "user", b"odd", RawProperties(HEADERS_FLAG + nested(500)))

    [odd] = receive(consumer, 1)

    assert odd.properties == Properties(headers={HEADER_UNREADABLE: nested(500)[4:]})
