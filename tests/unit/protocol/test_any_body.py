"""Whatever the bytes, they are a command, or invalid with a reason that anyone can be sent."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.envelope import Command, Invalid, decode
from orderd.protocol.names import InvalidCode, Queue
from orderd.shop.registry import SHOP
from tests.support.commands import BODY_BYTES_MAX, let_in
from tests.support.wrong_fields import ACTIONS, FIELDS, ITEM

CODES = {
    *(InvalidCode.MALFORMED, InvalidCode.UNKNOWN_ACTION, InvalidCode.UNSUPPORTED_VERSION),
    *(InvalidCode.INVALID_DATA, InvalidCode.TOO_LARGE),
}
queues = st.sampled_from(list(Queue))
# Lone surrogates too: JSON can spell them, and nothing behind it can carry them.
texts = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud800", "\x00", "x" * 300])
numbers = st.integers() | st.floats() | st.sampled_from([2**63, 10**400, 1e308, -0.0])
names = st.sampled_from([*FIELDS, *ITEM, "data", "action", "id", "version", "auth"]) | texts
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
actions = st.sampled_from(sorted({action for _, action in ACTIONS}))
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "action": actions | values,
        "data": st.dictionaries(names, values, max_size=5) | values,
        "id": values,
        "version": st.sampled_from(list(SHOP.models)) | values,
        "auth": values,
    },
)


def right(queue: str, action: str) -> bytes:
    """Return a command that is as it should be."""
    required, _ = ACTIONS[queue, action]
    data = {name: FIELDS[name][0] for name in required}
    return json.dumps({"action": action, "version": "v2", "id": "r-1", "data": data}).encode()


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return a queue and a command for it with some bytes replaced, added, doubled or cut off."""
    queue, action = draw(st.sampled_from(sorted(ACTIONS)))
    body = right(queue, action)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 12)))
        piece = draw(
            st.binary(max_size=6)
            | st.sampled_from([b"", b'"', b"\\", b"[", b"}", b",", b"1e999", b"\xff", b"\\ud800"])
            | st.just(body[start:end] * 2)
        )
        body = body[:start] + piece + body[end:]
    return queue, body


def assert_command_or_invalid(queue: str, body: bytes, message_id: str | None = None) -> None:
    one = decode(queue, body, message_id, 0, BODY_BYTES_MAX, models=SHOP.models, permit=let_in)

    if isinstance(one, Command):
        assert (queue, one.action) in SHOP.models[one.version]
        assert (
            decode(queue, body, message_id, 0, BODY_BYTES_MAX, models=SHOP.models, permit=let_in)
            == one
        )
        return
    assert isinstance(one, Invalid)
    assert one.code in CODES
    assert one.message.isprintable()
    assert len(one.message) < 5_000
    (one.request_id or "").encode()


@given(queues, st.binary(max_size=300), st.none() | texts)
def test_any_bytes(queue: str, body: bytes, message_id: str | None) -> None:
    assert_command_or_invalid(queue, body, message_id)


@given(queues, envelopes, st.none() | texts)
def test_any_envelope(queue: str, envelope: dict[str, Any], message_id: str | None) -> None:
    assert_command_or_invalid(queue, json.dumps(envelope).encode(), message_id)


@given(queues, values)
def test_any_json(queue: str, value: Any) -> None:
    assert_command_or_invalid(queue, json.dumps(value, ensure_ascii=True).encode())


@given(mutated())
def test_any_change_of_a_right_command(changed: tuple[str, bytes]) -> None:
    assert_command_or_invalid(*changed)
