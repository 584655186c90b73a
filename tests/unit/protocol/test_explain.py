"""What a producer is told of each kind of fault: the field, what it must be, and what it was."""

import gzip
import zlib
from typing import Any

import pytest

from tests.unit.protocol.bodies import CREATE, invalid
from tests.unit.protocol.fields import ORDER, PRODUCT, USER, raw, refused

ITEM = {"product_id": 1, "quantity": 1}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": ""}, "data.name must not be empty or blank; got ''"),
        ({"name": 5}, "data.name must be a string; got 5"),
        ({"name": {}}, "data.name must be a string; got an object"),
        ({"name": "\ud800"}, "data.name must not contain lone surrogates; got '\\ud800'"),
        ({"price": raw("1.234")}, "data.price must have at most 2 decimal places; got 1.234"),
        ({"stock_quantity": -1}, "data.stock_quantity must be at least 0; got -1"),
        ({"stock_quantity": None}, "data.stock_quantity must be an integer; got null"),
        (
            {"stock_quantity": 10**10},
            "data.stock_quantity must be at most 1000000000; got 10000000000",
        ),
    ],
)
def test_a_fault_of_a_product_names_field_and_value(fields: dict[str, Any], told: str) -> None:
    assert refused("product", "create", PRODUCT | fields) == told


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("x@test", "the domain has no period"),
        ("x", "it has no @-sign"),
        ("@x.org", "nothing precedes the @-sign"),
        ("a@", "nothing follows the @-sign"),
        ("a@x..org", "it must not have two periods in a row"),
        ("a b@x.org", "it contains invalid characters before the @-sign: SPACE"),
    ],
)
def test_an_email_address_is_told_with_what_is_wrong_with_it(email: str, reason: str) -> None:
    told = refused("user", "create", USER | {"email": email})

    assert told == f"data.email '{email}' is not a valid e-mail address: {reason}"


def test_a_long_email_address_is_told_in_characters() -> None:
    email = f"{'a' * 60}@{'x' * 60}.{'y' * 60}.{'z' * 20}.org"

    assert refused("user", "create", USER | {"email": email}) == (
        "data.email must contain at most 200 characters; got more"
    )


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], "data.items must contain at least 1 item; got none"),
        ([ITEM] * 101, "data.items must contain at most 100 items; got more"),
        ("x", "data.items must be a list; got 'x'"),
        ([1], "data.items[0] must be an object; got 1"),
        ([ITEM, ITEM | {"quantity": 0}], "data.items[1].quantity must be at least 1; got 0"),
    ],
)
def test_a_fault_of_items_names_their_number_or_place(items: object, told: str) -> None:
    assert refused("order", "create", ORDER | {"items": items}) == told


def test_an_unknown_action_is_told_with_those_of_the_queue() -> None:
    one = invalid({"action": "creat"}, "order")

    assert one.message == (
        "unknown action 'creat' for queue order (v1); "
        "known: create, update_status, update, get, list, health_check"
    )


def test_an_action_of_another_version_is_told_with_that_version() -> None:
    one = invalid({"action": "adjust_stock"})

    assert one.message.endswith(", health_check; set version to v2 to use it")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "body is empty; send the command as a JSON object"),
        (b" \n", "body is empty; send the command as a JSON object"),
        (gzip.compress(b"{}", mtime=0), "body is compressed (gzip); send it uncompressed"),
        (zlib.compress(b"{}"), "body is compressed (deflate); send it uncompressed"),
        (b"\x28\xb5\x2f\xfd", "body is compressed (zstd); send it uncompressed"),
    ],
)
def test_a_body_with_a_known_mistake_is_told_what_to_send(body: bytes, told: str) -> None:
    one = invalid(body)

    assert (one.code, one.message) == ("malformed", told)


def test_fields_beside_data_are_told_to_be_ignored_where_the_command_is_invalid() -> None:
    one = invalid({"action": "get", "payload": {"id": 1}})

    assert one.message == (
        "data.id is missing; ignored fields: payload (put the action's arguments into data)"
    )


def test_the_fields_of_a_flat_command_are_told_to_be_ignored() -> None:
    one = invalid({"user_id": 1, "items": [], "auth": "t"})

    assert one.message == (
        "action is missing; ignored fields: user_id, items (put the action's arguments into data)"
    )


def test_many_ignored_fields_are_cut_and_counted() -> None:
    others = {f"a{number}": 1 for number in range(8)} | {"x" * 1000: 1}

    one = invalid(CREATE | {"data": {}} | others)

    assert "; ignored fields: a0, a1, a2, a3, a4 and 4 more (" in one.message
