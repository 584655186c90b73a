import json
from typing import Any

import pytest

from orderd.protocol.envelope import Command, Invalid, decode
from orderd.shop.registry import SHOP
from tests.support.commands import BODY_BYTES_MAX, let_in

BODY = {"action": "mark_out_of_stock", "data": {"id": 1}}


def read(body: dict[str, Any], message_id: Any = None) -> Command | Invalid:
    return decode(
        "product",
        json.dumps(body).encode(),
        message_id,
        0,
        BODY_BYTES_MAX,
        models=SHOP.models,
        permit=let_in,
    )


def identified(body: dict[str, Any], message_id: Any = None) -> str | None:
    command = read(body, message_id)
    assert isinstance(command, Command), command
    return command.request_id


def test_the_id_of_the_body_goes_before_the_message_id() -> None:
    assert identified(BODY | {"id": "body"}, "property") == "body"
    assert identified(BODY, "property") == "property"
    assert identified(BODY | {"id": "body"}) == "body"
    assert identified(BODY) is None


@pytest.mark.parametrize("value", ["x", "x" * 255, "☃" * 255, " x ", "\n", "😀"])
def test_an_id_has_1_to_255_characters_and_is_kept_as_it_is(value: str) -> None:
    assert identified(BODY | {"id": value}) == value
    assert identified(BODY, value) == value


@pytest.mark.parametrize(
    "value", ["", "x" * 256, "a\x00b", "\ud800", "a\udfff", 1, 1.5, None, True, [], {}, ["r"]]
)
def test_another_id_is_malformed(value: object) -> None:
    invalid = read(BODY | {"id": value}, "property")

    assert isinstance(invalid, Invalid)
    assert invalid.code == "malformed"
    assert invalid.message.startswith("id must ")
    assert invalid.message.isascii()
    assert len(invalid.message) < 250
    assert invalid.request_id is None


@pytest.mark.parametrize("value", ["", "x" * 256, "a\x00b", "\ud800", b"raw", b"", 5])
def test_another_message_id_is_malformed_where_it_would_be_the_id(value: object) -> None:
    invalid = read(BODY, value)

    assert isinstance(invalid, Invalid)
    assert invalid.code == "malformed"
    assert invalid.message.startswith("message_id must ")
    assert identified(BODY | {"id": "body"}, value) == "body"


@pytest.mark.parametrize(
    "spoilt", [{"action": "x"}, {"version": "v9"}, {"data": {}}, {"auth": 1}, {"action": None}]
)
def test_an_invalid_message_keeps_its_id_where_that_can_be_read(spoilt: dict[str, Any]) -> None:
    invalid = read(BODY | {"id": "r"} | spoilt)

    assert isinstance(invalid, Invalid)
    assert invalid.request_id == "r"


@pytest.mark.parametrize(
    ("action", "arguments", "is_recorded"),
    [
        ("mark_out_of_stock", {"id": 1}, True),
        ("get", {"id": 1}, False),
        ("list", {}, False),
        ("health_check", {}, False),
    ],
)
def test_only_changes_with_an_id_are_recorded(
    action: str, arguments: dict[str, Any], *, is_recorded: bool
) -> None:
    body = {"action": action, "data": arguments}

    with_id, without = read(body | {"id": "r"}), read(body)

    assert isinstance(with_id, Command)
    assert isinstance(without, Command)
    assert with_id.is_recorded is is_recorded
    assert not without.is_recorded
