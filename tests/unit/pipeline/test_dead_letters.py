from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.wire.properties import check, decode, encode
from orderd.pipeline.dead_letters import (
    HEADERS_BYTES_MAX,
    Verdict,
    dead_letter,
    without_original_headers,
)
from orderd.pipeline.outbound import Purpose
from orderd.protocol.envelope import Invalid
from orderd.protocol.names import InvalidCode
from tests.unit.pipeline.results import DEFERRED, NOON, only, result, spoilt

FRAME_BYTES_MAX = 131_072
TRACE = "Traceback (most recent call last):\n" + '  File "x.py", line 1 ☃\n' * 10_000 + "LastError"
OURS = {
    "orderd-reason": "because",
    "orderd-code": "malformed",
    "orderd-failed-at": "2024-02-29T12:00:00.000000Z",
    "orderd-queue": "order",
    "orderd-attempt": 0,
}


def letter(error: str = "", reason: str = "because", **properties: Any) -> OutgoingMessage:
    return dead_letter(spoilt(**properties), Verdict("malformed", reason, error), NOON, {})


def headers(message: OutgoingMessage) -> dict[str, Any]:
    return dict(message.properties.headers or {})


def test_a_dead_letter_says_what_was_wrong_and_is_to_stay() -> None:
    message = letter(error="Error: so")

    assert (message.exchange, message.routing_key) == ("", "order.dlq")
    assert message.mandatory
    assert headers(message) == OURS | {"orderd-error": "Error: so"}
    assert message.properties == Properties(headers=headers(message), delivery_mode=2)


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 1000, b'{"a":1}\n', b"x" * 2**20])
def test_the_body_is_the_original_byte_for_byte(body: bytes) -> None:
    assert only(Purpose.DEAD_LETTER, spoilt(body)).body == body


def test_the_original_properties_are_kept() -> None:
    original: dict[str, Any] = {
        "content_type": "text/plain",
        "content_encoding": "gzip",
        "priority": 5,
        "correlation_id": "c",
        "reply_to": "r",
        "message_id": "m",
        "timestamp": 1700000000,
        "type": "t",
        "app_id": "a",
        "cluster_id": "cl",
    }

    kept = letter(headers={"trace": "1", "n": [1, {"x": None}]}, **original).properties

    assert {name: getattr(kept, name) for name in original} == original
    assert kept.headers == {"trace": "1", "n": [1, {"x": None}], **OURS}


def test_what_would_send_it_elsewhere_or_let_it_vanish_is_left_out() -> None:
    message = letter(
        headers={"CC": ["a"], "BCC": ["b"], "x-death": [{"count": 9}], "x-delivery-count": 3,
                 "x-first-death-queue": "q", "x-last-death-queue": "q", "x-mine": 1},
        expiration="1000",
        user_id="producer",
        delivery_mode=1,
    )  # fmt: skip

    assert headers(message) == OURS | {
        "x-mine": 1,
        "orderd-expiration": "1000",
        "orderd-user-id": "producer",
    }
    properties = message.properties
    assert (properties.expiration, properties.user_id, properties.delivery_mode) == (None, None, 2)


def test_what_an_earlier_death_left_is_replaced() -> None:
    stale = dict.fromkeys([*OURS, "orderd-error"], "stale")

    assert headers(letter(headers=stale)) == OURS


def test_a_reason_is_cut_to_1000_characters() -> None:
    message = letter(reason="☃" * 5000)

    assert headers(message)["orderd-reason"] == "☃" * 1000


@pytest.mark.parametrize("error", [TRACE, "☃" * 50_000, "\ud800" * 50_000, "x" * 10**6])
@pytest.mark.parametrize("original", [{}, {"mine": "x" * 9_000}, {f"h{n}": n for n in range(500)}])
def test_all_headers_stay_under_16_kib_whatever_the_trace(
    error: str, original: dict[str, Any]
) -> None:
    message = letter(error=error, reason="r" * 1000, headers=original)

    assert len(encode(message.properties)) <= HEADERS_BYTES_MAX == 16 * 1024
    assert original.items() <= headers(message).items()
    assert error.encode(errors="replace").decode().endswith(headers(message)["orderd-error"][2:])
    assert len(headers(message)["orderd-error"]) > 1000


def test_the_end_of_a_trace_is_what_is_kept() -> None:
    assert headers(letter(error=TRACE))["orderd-error"].endswith("LastError")


def test_original_headers_that_leave_no_room_cost_the_trace() -> None:
    message = letter(error=TRACE, headers={"mine": "x" * 20_000})

    assert headers(message) == OURS | {"mine": "x" * 20_000}
    check(message.properties, FRAME_BYTES_MAX)


def test_without_its_original_headers_a_letter_still_says_what_was_wrong() -> None:
    message = letter(error="so", headers={"mine": "x" * 130_000, "other": 1}, expiration="5")

    small = without_original_headers(message)

    assert headers(small) == OURS | {"orderd-expiration": "5"}
    assert small.body == message.body
    check(small.properties, FRAME_BYTES_MAX)


def test_a_deferred_message_out_of_attempts_tells_all_that_is_known() -> None:
    message = only(Purpose.DEAD_LETTER, result(DEFERRED, None, attempt=3))

    said = headers(message)
    assert said["orderd-code"] == "retries_exhausted"
    assert said["orderd-reason"] == "transient: lock timeout"
    assert said["orderd-error"] == DEFERRED.error
    assert (said["orderd-attempt"], said["orderd-queue"]) == (3, "user")
    assert datetime.fromisoformat(said["orderd-failed-at"]).tzinfo is not None


def test_subscribers_are_told_of_a_dead_letter_but_not_its_content() -> None:
    invalid = Invalid(InvalidCode.INVALID_DATA, "data.x: wrong", "r-1")
    notice = only(Purpose.NOTICE, spoilt(b'{"password":"s3cret"}', invalid))

    assert notice.routing_key == "system.dead_lettered"
    assert not notice.mandatory
    assert b"s3cret" not in notice.body
    assert b'"request_id":"r-1"' in notice.body


def wire(flags: int, *fields: bytes) -> Properties:
    """Return properties as they come from the wire, whatever the client put there."""
    return decode(flags.to_bytes(2, "big") + b"".join(fields))


def table(*entries: bytes) -> bytes:
    encoded = b"".join(entries)
    return len(encoded).to_bytes(4, "big") + encoded


def short(raw: bytes) -> bytes:
    return bytes((len(raw),)) + raw


HEADERS, CORRELATION_ID, REPLY_TO, MESSAGE_ID, TYPE = 1 << 13, 1 << 10, 1 << 9, 1 << 7, 1 << 5
HOSTILE = {
    "a long header name in Latin-1": wire(HEADERS, table(short(b"\xe9" * 100) + b"t\1")),
    "a long header name of ours in Latin-1": wire(
        HEADERS, table(short(b"orderd-" + b"\xe9" * 100) + b"t\1")
    ),
    "a header in our name of a whole frame": Properties(headers={"orderd-x": "x" * 131_000}),
    "the least decimal that there is": wire(HEADERS, table(short(b"a") + b"D\0\x80\0\0\0")),
    "the least decimal in a name of ours": wire(
        HEADERS, table(short(b"orderd-user-id") + b"D\0\x80\0\0\0")
    ),
    "a number that is none": wire(HEADERS, table(short(b"a") + b"d\x7f\xf8\0\0\0\0\0\0")),
    "a number that is none in a name of ours": wire(
        HEADERS, table(short(b"orderd-expiration") + b"d\x7f\xf8\0\0\0\0\0\0")
    ),
    "headers that cannot be read": wire(HEADERS, table(b"\xff\xff")),
    "a long correlation id in Latin-1": wire(CORRELATION_ID, short(b"\xe9" * 200)),
    "a long message id in Latin-1": wire(MESSAGE_ID, short(b"\xe9" * 200)),
    "a long type in Latin-1": wire(TYPE, short(b"\xe9" * 200)),
    "a long reply_to in Latin-1": wire(REPLY_TO, short(b"\xe9" * 200)),
}


@pytest.mark.parametrize("original", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("purpose", [Purpose.DEAD_LETTER, Purpose.RETRY])
def test_properties_that_only_others_can_write_stop_nothing(
    purpose: Purpose, original: Properties
) -> None:
    its = {name: getattr(original, name) for name in Properties.__dataclass_fields__}
    one = spoilt(**its) if purpose is Purpose.DEAD_LETTER else result(DEFERRED, None, **its)

    message = only(purpose, one)

    # What cannot be published as it is goes out without its producer's headers.
    least = without_original_headers(message)
    check(least.properties, FRAME_BYTES_MAX)
    assert least.body == message.body
    assert "orderd-attempt" in headers(least)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50)
    | st.binary(max_size=50)
    | st.sampled_from([Decimal("1.5"), NOON]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(headers=st.dictionaries(st.text(min_size=1, max_size=80), values, max_size=5))
def test_any_headers_make_a_letter_that_can_be_published(headers: dict[str, Any]) -> None:
    message = letter(error=TRACE, headers=headers)

    check(without_original_headers(message).properties, FRAME_BYTES_MAX)
