import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.contract.commands import MODELS
from orderd.contract.envelope import Command, Invalid, decode
from orderd.contract.names import Queue
from tests.harness.commands import BODY_BYTES_MAX, decoded_from, delivery

TOKEN = "s3cret-token"
CREATE: dict[str, Any] = {
    "action": "create",
    "data": {"name": "lamp", "price": 1, "stock_quantity": 1},
}
ACTIONS = {
    "product": ["create", "update", "mark_out_of_stock", "get", "list", "health_check"],
    "user": ["create", "update", "get", "list", "health_check"],
    "order": ["create", "update_status", "update", "get", "list", "health_check"],
}


def read(body: object, queue: str = "product", message_id: Any = None) -> Command | Invalid:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(queue, raw, message_id, 0, BODY_BYTES_MAX)


def command(body: object, queue: str = "product", message_id: Any = None) -> Command:
    one = read(body, queue, message_id)
    assert isinstance(one, Command), one
    return one


def invalid(body: object, queue: str = "product", message_id: Any = None) -> Invalid:
    one = read(body, queue, message_id)
    assert isinstance(one, Invalid), one
    assert one.message.isascii()
    assert "\n" not in one.message
    return one


@pytest.mark.parametrize("body", ["x", 1, 1.5, None, True, [], [CREATE], "{}"])
def test_only_an_object_is_a_command(body: object) -> None:
    one = invalid(body)

    assert one.code == "malformed"
    assert one.message.startswith("body: should be a JSON object, is ")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"action":NaN}', b'{"id":"r","id":"r"}'])
def test_what_is_not_strict_json_is_malformed(body: bytes) -> None:
    one = invalid(body)

    assert one.code == "malformed"
    assert one.message.startswith("body: ")


def test_a_body_of_the_size_allowed_is_read_and_one_byte_more_is_too_large() -> None:
    body = json.dumps(CREATE).encode()

    assert isinstance(decode("product", body, None, 0, len(body)), Command)
    one = decode("product", body, "r", 0, len(body) - 1)
    assert isinstance(one, Invalid)
    assert one.code == "too_large"
    assert one.message == f"body: has {len(body)} bytes, at most {len(body) - 1} are allowed"


@pytest.mark.parametrize("action", [None, 1, True, [], {}])
def test_an_action_is_a_string(action: object) -> None:
    one = invalid({"action": action})

    assert one.code == "malformed"
    assert one.message.startswith("action: should be a string, is ")


def test_an_action_is_required() -> None:
    assert invalid({}) == Invalid("malformed", "action: is missing")  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ["", "Create", "create ", "adjust_stock", "explode", "\ud800"])
def test_an_unknown_action_is_named(action: str) -> None:
    one = invalid({"action": action})

    assert one.code == "unknown_action"
    assert one.message == f"action: queue product has no {action!a} in v1"


@pytest.mark.parametrize("version", ["", "v0", "v3", "V1", "1", 1, 2, None, True, ["v1"], {}])
def test_another_version_is_unsupported(version: object) -> None:
    one = invalid(CREATE | {"version": version})

    assert one.code == "unsupported_version"
    assert one.message.startswith("version: should be v1 or v2, is ")


def test_v1_is_the_version_where_none_is_named() -> None:
    assert command(CREATE).version == "v1"
    assert command(CREATE | {"version": "v2"}).version == "v2"


@pytest.mark.parametrize("queue", list(Queue))
def test_each_queue_has_its_actions_in_each_version(queue: Queue) -> None:
    found = {
        version: {action for one, action in models if one == queue}
        for version, models in MODELS.items()
    }

    only_v2 = {"adjust_stock"} if queue == "product" else set()
    assert found == {"v1": set(ACTIONS[queue]), "v2": set(ACTIONS[queue]) | only_v2}


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
        "data.priority: is not a field of this action",
    )
    command(body | {"version": "v2"}, "order")


def test_unknown_fields_beside_data_are_ignored() -> None:
    assert command(CREATE | {"trace": {"a": [1]}, "Action": "x"}).content == command(CREATE).content


def test_unknown_fields_in_data_are_an_error_that_names_them() -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | {"colour": "red", "Name": 1}})

    assert one.code == "invalid_data"
    assert one.message == (
        "data.colour: is not a field of this action; data.Name: is not a field of this action"
    )


def test_an_unknown_field_of_an_item_is_named_with_its_place() -> None:
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 1, "price": 0}]

    one = invalid({"action": "create", "data": {"user_id": 1, "items": items}}, "order")

    assert one.message == "data.items[1].price: is not a field of this action"


def test_every_fault_is_told_with_its_field_and_value() -> None:
    one = invalid({"action": "create", "data": {"price": -1, "stock_quantity": "5"}})

    assert one.message == (
        "data.name: is missing; data.price: should be at least 0 and less than 10^10, is -1; "
        "data.stock_quantity: should be a valid integer, is '5'"
    )


def test_a_long_list_of_faults_and_long_values_are_cut() -> None:
    items = [{"product_id": "x" * 1000, "quantity": 1}] * 50

    one = invalid({"action": "create", "data": {"user_id": 1, "items": items}}, "order")

    assert one.message.endswith("...; and 40 more")
    assert len(one.message) < 3000


@pytest.mark.parametrize("name", ["☃", "\ud800☃"])
def test_a_hostile_field_name_is_cut_and_plain(name: str) -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | {name * 5000: 1}})

    assert one.code == "invalid_data"
    assert "\\u2603" * 2 in one.message or "\\ud800\\u2603" * 2 in one.message
    assert len(one.message) < 1000


@pytest.mark.parametrize("data", [None, [], "x", 1, False])
def test_data_is_an_object(data: object) -> None:
    one = invalid({"action": "create", "data": data})

    assert one.code == "invalid_data"
    assert one.message.startswith("data: should be an object, is ")


def test_data_may_be_left_out_where_nothing_is_required() -> None:
    command({"action": "health_check"})
    command({"action": "list"})
    assert invalid({"action": "create"}).message.startswith("data.name: is missing; ")


@pytest.mark.parametrize(
    ("queue", "arguments", "names"),
    [
        ("product", {"id": 1}, "name, price, stock_quantity"),
        ("user", {"id": 1}, "email, full_name, is_active"),
        ("order", {"order_id": 1}, "status, items"),
    ],
)
def test_an_update_needs_something_to_change(
    queue: str, arguments: dict[str, Any], names: str
) -> None:
    one = invalid({"action": "update", "data": arguments}, queue)

    assert one.message == f"data: should have at least one of {names}"


def test_an_order_is_got_by_id_or_order_id() -> None:
    command({"action": "get", "data": {"id": 1}}, "order")
    command({"action": "get", "data": {"order_id": 1}}, "order")
    for arguments in ({}, {"id": 1, "order_id": 1}):
        one = invalid({"action": "get", "data": arguments}, "order")
        assert one.message == "data: should have either id or order_id"


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}"])
def test_a_token_is_read_and_never_shown(token: str) -> None:
    one = command(CREATE | {"auth": token})

    assert one.token == token
    assert TOKEN not in repr(one)


@pytest.mark.parametrize("auth", [[TOKEN], {"t": TOKEN}, 12345678, True, None])
def test_what_is_no_token_is_refused_without_showing_it(auth: object) -> None:
    one = invalid(CREATE | {"auth": auth})

    assert one.code == "malformed"
    assert one.message.startswith("auth: should be a string, is a ")
    assert TOKEN not in one.message
    assert "12345678" not in one.message


@pytest.mark.parametrize("spoilt", [{"data": 1}, {"version": "v9"}, {"action": "x"}, {"id": 1}])
def test_no_other_fault_shows_the_token(spoilt: dict[str, Any]) -> None:
    assert TOKEN not in repr(invalid(CREATE | {"auth": TOKEN} | spoilt))


@given(st.binary(max_size=300), st.sampled_from(list(Queue)))
def test_any_body_is_a_command_or_invalid(body: bytes, queue: Queue) -> None:
    decoded_from(delivery(queue, body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields = st.sampled_from(
    "id name price stock_quantity delta username email full_name is_active user_id items order_id "
    "status priority limit after in_stock".split()
)


@given(
    queue=st.sampled_from(list(Queue)),
    action=st.sampled_from(sorted({action for models in MODELS.values() for _, action in models})),
    arguments=st.dictionaries(fields, json_values),
)
def test_any_arguments_are_a_command_or_invalid(
    queue: Queue, action: str, arguments: dict[str, Any]
) -> None:
    one = read({"action": action, "version": "v2", "data": arguments}, queue)

    assert isinstance(one, Command) or one.code in {"invalid_data", "unknown_action"}
