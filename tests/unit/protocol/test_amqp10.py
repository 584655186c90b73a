from typing import Any

import pytest

from orderd.protocol.amqp10 import is_address, message_id_of
from orderd.protocol.envelope import Invalid, decode
from orderd.shop.registry import SHOP
from tests.support.commands import let_in


@pytest.mark.parametrize(
    ("message_id", "headers", "found"),
    [
        ("m-1", {"x-message-id": b"a"}, "m-1"),
        (None, {"x-message-id": b"\x00\xff"}, "0x00ff"),
        (None, {"x-message-id": "\u2603" * 86}, "\u2603" * 86),
        # RabbitMQ would have put it into the property: so it is the producer's own.
        (None, {"x-message-id": "short"}, None),
        (None, {"x-message-id": 7}, None),
        (None, {"other": b"a"}, None),
        (None, None, None),
    ],
)
def test_ids_that_the_property_cannot_hold_come_in_a_header(
    message_id: str | None, headers: dict[str, Any] | None, found: str | None
) -> None:
    assert message_id_of(message_id, headers) == found


@pytest.mark.parametrize("name", ["/queues/a", "/exchanges/e/key", "/amq/queue/a"])
def test_addresses_are_known_by_their_beginning(name: str) -> None:
    assert is_address(name)
    assert not is_address(name[1:])


def test_a_body_that_is_no_data_section_is_told_as_such() -> None:
    one = decode(
        "product",
        b"\x00\x53\x77\x40",
        None,
        0,
        99,
        models=SHOP.models,
        permit=let_in,
        is_encoded=True,
    )

    assert isinstance(one, Invalid)
    assert one.code == "malformed"
    assert "send the JSON as a data section" in one.message
