"""Whatever properties a message comes with, its dead letter keeps them, to the value."""

from typing import Any

from hypothesis import given

from orderd.amqp.message import Properties
from orderd.amqp.wire.properties import check, decode, encode
from orderd.pipeline.outbound import Purpose
from tests.support.any_properties import found_in_the_copy, of_the_copy, properties
from tests.support.raw_amqp import write_properties
from tests.unit.pipeline.results import DEFERRED, only, result, spoilt

FRAME_BYTES_MAX = 131_072
KEY = b"k" * 32


def as_keywords(wire: dict[str, Any]) -> dict[str, Any]:
    decoded = decode(write_properties(wire))
    return {name: getattr(decoded, name) for name in Properties.__dataclass_fields__}


@given(properties)
def test_a_dead_letter_keeps_whatever_properties_its_message_had(wire: dict[str, Any]) -> None:
    letter = only(Purpose.DEAD_LETTER, spoilt(b"{", **as_keywords(wire)), key=KEY)

    assert found_in_the_copy(encode(letter.properties)) == of_the_copy(wire)
    check(letter.properties, FRAME_BYTES_MAX, "guest")


@given(properties)
def test_a_deferred_message_is_published_again_whatever_its_properties(
    wire: dict[str, Any],
) -> None:
    its = as_keywords(wire)
    its["headers"] = {
        name: value
        for name, value in (its["headers"] or {}).items()
        if name not in ("orderd-attempt", "orderd-failed-at")
    }

    retry = only(Purpose.RETRY, result(DEFERRED, None, **its), key=KEY)

    check(retry.properties, FRAME_BYTES_MAX, "guest")
