"""An exported dead letter comes back to the byte, and what is none is refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery, Properties
from orderd.amqp.wire.properties import decode, encode
from orderd.ctl.dlq.archive import NotALetter, fingerprint, line_of, message_of, stored_properties
from orderd.protocol.names import QUEUES, dead_letter_queue
from tests.integration.amqp.headers import HEADERS
from tests.support.any_properties import properties as any_properties
from tests.support.raw_amqp import write_properties

DEAD_LETTER_QUEUES = ", ".join(dead_letter_queue(queue) for queue in QUEUES)
ODD_BODY = bytes(range(256)) + "ü\u2028\x00".encode()


def delivery(body: bytes, properties: Properties, queue: str = "order.dlq") -> Delivery:
    return Delivery(queue, body, properties, 1, 0, redelivered=True)


def line(**changes: Any) -> bytes:
    """Return an exported line with these members changed; None: left out."""
    written = line_of(delivery(b"{}", Properties(delivery_mode=2, headers={"n": 1})))
    document = json.loads(written) | changes
    return json.dumps({name: each for name, each in document.items() if each is not None}).encode()


@given(st.binary() | st.text().map(str.encode), any_properties)
def test_any_message_comes_back_to_the_byte(body: bytes, given_properties: dict[str, Any]) -> None:
    properties = decode(write_properties(given_properties))
    stored = stored_properties(delivery(body, properties))
    try:
        encoded = encode(stored)
    except Unpublishable:
        # Read but not writable: it is reported, and not exported.
        with pytest.raises(Unpublishable):
            line_of(delivery(body, properties))
        return
    if {"CC", "BCC"} & (stored.headers or {}).keys():
        return

    written = line_of(delivery(body, properties))
    message = message_of(written.encode(errors="backslashreplace"))

    assert "\n" not in written
    assert (message.routing_key, message.exchange, message.mandatory) == ("order.dlq", "", True)
    assert message.body == body
    assert encode(message.properties) == encoded


def test_headers_of_every_type_come_back() -> None:
    properties = Properties(
        headers=HEADERS, priority=7, timestamp=5, expiration="9", delivery_mode=1
    )

    message = message_of(line_of(delivery(ODD_BODY, properties)).encode())

    assert (message.body, message.properties) == (ODD_BODY, properties)


def test_what_the_broker_notes_at_a_delivery_is_no_part_of_the_message() -> None:
    noted = {"x-delivery-count": 3, "x-acquired-count": 4}
    one = delivery(b"", Properties(headers=noted | {"own": 1}))

    assert message_of(line_of(one).encode()).properties.headers == {"own": 1}
    assert stored_properties(delivery(b"", Properties(headers=noted))).headers is None


def test_people_can_read_body_and_properties() -> None:
    document = json.loads(line_of(delivery("ü".encode(), Properties(priority=3))))

    assert document["queue"] == "order.dlq"
    assert document["body"] == "ü"
    assert document["properties"] == {"priority": 3}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"", "is not JSON"),
        (b"[1]\n", "must be a JSON object; got a list"),
        (line()[:-9], "is not JSON"),
        (line(queue="order"), f"queue must be one of {DEAD_LETTER_QUEUES}; got 'order'"),
        (line(queue=None), f"queue must be one of {DEAD_LETTER_QUEUES}; got null"),
        (line(body=7), "body must be a string; got 7"),
        (line(body="\ud800"), "body must not contain lone surrogates"),
        (line(body=None), "must have one of body and body_base64"),
        (line(body_base64="AA=="), "must have one of body and body_base64"),
        (line(body=None, body_base64="A"), "body_base64 must be base64; got 'A'"),
        (line(properties_base64=None), "properties_base64 must be a string; got null"),
        (line(properties_base64="AAA="), "properties differ from properties_base64"),
        (line(properties_base64="/w=="), "properties_base64 is not the encoding of AMQP"),
        (line(properties={"priority": 1}), "properties differ from properties_base64"),
        (line(extra=1), "'extra' is not a field"),
    ],
)
def test_what_is_no_exported_letter_is_refused_with_the_field(wrong: bytes, why: str) -> None:
    with pytest.raises(NotALetter) as refused:
        message_of(wrong)

    assert why in str(refused.value)


@pytest.mark.parametrize("name", ["CC", "BCC"])
def test_a_letter_that_would_fan_out_is_refused(name: str) -> None:
    written = line_of(delivery(b"", Properties(headers={name: ["elsewhere"]})))

    with pytest.raises(NotALetter, match=f"header {name} would send further copies"):
        message_of(written.encode())


def test_trailing_bytes_of_properties_are_refused() -> None:
    encoded = encode(Properties(priority=1)) + b"more"
    changed = line(properties=None, properties_base64=base64.b64encode(encoded).decode())

    with pytest.raises(NotALetter, match="is not the encoding of AMQP"):
        message_of(changed)


def test_fingerprints_tell_messages_apart() -> None:
    found = {
        fingerprint(queue, body, properties)
        for queue in ("user.dlq", "order.dlq")
        for body in (b"", b"a")
        for properties in (Properties(), Properties(priority=1), Properties(headers={"a": 1}))
    }

    assert len(found) == 12
