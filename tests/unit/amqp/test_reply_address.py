"""Which reply addresses the broker can be given without ending the connection."""

import base64

import pytest

from orderd.amqp.reply_address import REPLY_TO, is_exact, is_safe


@pytest.mark.parametrize(
    "routing_key",
    [
        "",
        "replies-of-a-client",
        "amq.rabbitmq.reply-to",
        "amq.rabbitmq.reply-to.g1h2AA5yZXBseUAxMTY1Njc4OAAACHIAAAAAawJQwA==.C41l5w+Xi5MSGOBQ8Sb6OA==",
        "amq.rabbitmq.reply-to.g1hkAA5yYWJiaXRAc29tZWlwAAAjhQAAAABh6Z8U.s3Zz0iK1EQ4QYlSsVwJY2A==",
    ],
)
def test_queues_and_addresses_of_the_broker_are_safe(routing_key: str) -> None:
    assert is_safe(routing_key)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ".",
        "garbage",
        "gar.bage",
        "AAAA.AAAA",
        "g2EF.key",
        "not base64!.key",
        "g1h2AA5yZXBseUAxMTY1Njc4OAAACHIAAAAAawJQwA==",
        "g1h2AA5yZXBseUAxMTY1Njc4OAAACHIAAAAAawJQwA==.",
        "ü.key",
    ],
)
def test_what_the_broker_cannot_decode_is_not(address: str) -> None:
    assert not is_safe(f"amq.rabbitmq.reply-to.{address}")


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (b"\x83Xv\x00\x0ereply@11656788" + bytes(12), True),
        (b"\x83Xd\x00\x0erabbit@somepip" + bytes(12), True),
        (b"\x83gw\x0ereply@11656788" + bytes(9), True),
        (b"\x83Xv\x00\x0ereply@11656788" + bytes(11), False),
        (b"\x83Xv\x00\x0freply@11656788" + bytes(12), False),
        (b"\x83gv\x00\x0ereply@11656788" + bytes(12), False),
        (b"\x83Xv\x00\x0ereply@1165@788" + bytes(12), False),
        (b"\x83", False),
        (b"", False),
    ],
)
def test_an_address_is_exact_when_every_byte_is_in_its_place(
    process: bytes, *, expected: bool
) -> None:
    address = f"{REPLY_TO}.{base64.b64encode(process).decode()}.key"

    assert is_exact(address) is expected
