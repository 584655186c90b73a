import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.envelope import Claim, Command, Invalid, decode
from orderd.protocol.names import InvalidCode, Queue
from orderd.shop.registry import SHOP
from tests.support.commands import BODY_BYTES_MAX, decoded_from, delivery, let_in
from tests.unit.protocol.bodies import CREATE, command, invalid

TOKEN = "s3cret-token"
COMMON = ["get", "list", "health_check"]
ACTIONS = {
    "product": ["create", "update", "mark_out_of_stock", *COMMON],
    "user": ["create", "update", *COMMON],
    "order": ["create", "update_status", "update", *COMMON],
}


@pytest.mark.parametrize("body", ["x", 1, 1.5, None, True, [], [CREATE], "{}"])
def test_only_an_object_is_a_command(body: object) -> None:
    one = invalid(body)

    assert one.code == "malformed"
    assert one.message.startswith("body must be a JSON object; got ")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"action":NaN}', b'{"id":"r","id":"r"}'])
def test_what_is_not_strict_json_is_malformed(body: bytes) -> None:
    one = invalid(body)

    assert one.code == "malformed"
    assert one.message.startswith("body ")


def test_a_body_of_the_size_allowed_is_read_and_one_byte_more_is_too_large() -> None:
    body = json.dumps(CREATE).encode()

    assert isinstance(
        decode("product", body, None, 0, len(body), models=SHOP.models, permit=let_in), Command
    )
    one = decode("product", body, "r", 0, len(body) - 1, models=SHOP.models, permit=let_in)
    assert isinstance(one, Invalid)
    assert one.code == "too_large"
    assert one.message == f"body has {len(body)} bytes; at most {len(body) - 1} are allowed"


@pytest.mark.parametrize("action", [None, 1, True, [], {}])
def test_an_action_is_a_string(action: object) -> None:
    one = invalid({"action": action})

    assert one.code == "malformed"
    assert one.message.startswith("action must be a string; got ")


def test_an_action_is_required() -> None:
    assert invalid({}) == Invalid("malformed", "action is missing")  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ["", "Create", "create ", "adjust_stock", "explode", "\ud800"])
def test_an_unknown_action_is_named(action: str) -> None:
    one = invalid({"action": action})

    assert one.code == "unknown_action"
    assert one.message.startswith(
        f"unknown action {action!a} for queue product (v1); known: create, "
    )


@pytest.mark.parametrize("version", ["", "v0", "v3", "V1", "1", 1, 2, None, True, ["v1"], {}])
def test_another_version_is_unsupported(version: object) -> None:
    one = invalid(CREATE | {"version": version})

    assert one.code == "unsupported_version"
    assert one.message.startswith("version must be v1 or v2; got ")


def test_v1_is_the_version_where_none_is_named() -> None:
    assert command(CREATE).version == "v1"
    assert command(CREATE | {"version": "v2"}).version == "v2"


@pytest.mark.parametrize("queue", list(Queue))
def test_each_queue_has_its_actions_in_each_version(queue: Queue) -> None:
    found = {
        version: {action for one, action in models if one == queue}
        for version, models in SHOP.models.items()
    }

    # Others may come, but none of these may go.
    assert found["v1"] >= set(ACTIONS.get(queue, COMMON))
    assert found["v2"] >= found["v1"]


def test_adjust_stock_is_of_v2_only() -> None:
    body = {"action": "adjust_stock", "data": {"id": 1, "delta": -1}}

    assert invalid(body).code == "unknown_action"
    assert invalid(body | {"version": "v2"}, "order").code == "unknown_action"
    assert command(body | {"version": "v2"}).action == "adjust_stock"


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("create", {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}),
        ("update", {"order_id": 1, "status": "shipped"}),
    ],
)
def test_a_priority_is_of_v2_only(action: str, arguments: dict[str, Any]) -> None:
    body = {"action": action, "data": arguments | {"priority": "high"}}

    one = invalid(body, "order")
    assert (one.code, one.message) == (
        "invalid_data",
        "data.priority is not a field of this action",
    )
    command(body | {"version": "v2"}, "order")


def test_unknown_fields_beside_data_are_ignored() -> None:
    assert command(CREATE | {"trace": {"a": [1]}, "Action": "x"}).content == command(CREATE).content


def turned_away(claim: Claim) -> Invalid:
    """Turn everybody away, with what was claimed."""
    reason = f"{claim.queue}.{claim.action} by {claim.token}"
    return Invalid(InvalidCode.FORBIDDEN, reason)


def denied(body: object) -> Command | Invalid:
    return decode(
        "product",
        json.dumps(body).encode(),
        "m-1",
        0,
        BODY_BYTES_MAX,
        models=SHOP.models,
        permit=turned_away,
    )


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", None])
def test_who_asks_for_what_is_claimed_before_anything_is_known_to_be_right(
    token: str | None,
) -> None:
    auth = {} if token is None else {"auth": token}

    assert denied(CREATE | auth) == Invalid(
        InvalidCode.FORBIDDEN, f"product.create by {token}", "m-1"
    )
    assert TOKEN not in repr(Claim("product", "create", token))


@pytest.mark.parametrize(
    "spoilt", [{"action": "explode"}, {"version": "v9"}, {"data": 1}, {"data": {"x": 1}}, {}]
)
def test_who_is_turned_away_learns_nothing_of_what_would_be_right(spoilt: dict[str, Any]) -> None:
    one = denied({"action": "create", "data": {}, "id": "r-1"} | spoilt)

    assert isinstance(one, Invalid)
    assert (one.code, one.request_id) == ("forbidden", "r-1")


@pytest.mark.parametrize("spoilt", [{"action": 1}, {"auth": 1}, {"id": 1}])
def test_what_has_the_wrong_form_is_malformed_whoever_asks(spoilt: dict[str, Any]) -> None:
    one = denied({"action": "create"} | spoilt)

    assert isinstance(one, Invalid)
    assert one.code == "malformed"


@pytest.mark.parametrize("auth", [[TOKEN], {"t": TOKEN}, 12345678, True, None])
def test_what_is_no_token_is_refused_without_showing_it(auth: object) -> None:
    one = invalid(CREATE | {"auth": auth})

    assert one.code == "malformed"
    assert one.message == "auth must be a string"


@pytest.mark.parametrize("spoilt", [{"data": 1}, {"version": "v9"}, {"action": "x"}, {"id": 1}])
def test_no_other_fault_shows_the_token(spoilt: dict[str, Any]) -> None:
    assert TOKEN not in repr(invalid(CREATE | {"auth": TOKEN} | spoilt))


@given(st.binary(max_size=300), st.sampled_from(list(Queue)))
def test_any_body_is_a_command_or_invalid(body: bytes, queue: Queue) -> None:
    decoded_from(delivery(queue, body))
