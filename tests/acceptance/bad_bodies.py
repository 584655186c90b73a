"""A thousand ways to send what is not a command, each with the code it is to be told."""

import json
from collections.abc import Iterator
from typing import Any

PRODUCT = {"name": "Lamp", "price": 10, "stock_quantity": 1}
BODY_BYTES_MAX = 1 << 20

MALFORMED = [
    b"",
    b" ",
    b"{",
    b"}",
    b"null",
    b"true",
    b"17",
    b'"create"',
    b"[]",
    b'[{"action":"create"}]',
    b"not json",
    b"{'action':'create'}",
    b'{"action":"create",}',
    b'{"action":"create"}{}',
    b'{"action":"create"} trailing',
    b'{"action":"create","action":"update"}',
    b'{"action":"create","data":{"name":"a","name":"b"}}',
    b'{"action":"create","data":{"price":NaN}}',
    b'{"action":"create","data":{"price":Infinity}}',
    b'{"action":"create","data":{"price":-Infinity}}',
    b'{"action":"create","data":{"price":01}}',
    b'{"action":"create","data":{"price":1.}}',
    b'{"action":"create","data":{"price":.5}}',
    b'{"action":"create","data":{"price":+1}}',
    b'{"action":"create","data":{"price":0x10}}',
    b'{"action":"cre\x01ate"}',
    b'{"action":"cre\\xate"}',
    b'{"action":"\xff\xfe"}',
    b"\xff\xfe\x00\x00",
    b"\x00" * 50,
    b'{"action":"\xc3\x28"}',
    b'{"action":"\xed\xa0\x80"}',
    '{"action":"create"}'.encode("utf-16"),
    '{"action":"create"}'.encode("utf-32"),
    b"<command>create</command>",
    b"action=create&name=Lamp",
    b"{" * 100,
    b"[" * 10_000,
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"action":"create","data":' + b"[" * 40 + b"]" * 40 + b"}",
    b"{}",
    b'{"data":{}}',
    b'{"action":null}',
    b'{"action":5}',
    b'{"action":["create"]}',
    b'{"action":"health_check","id":5}',
    b'{"action":"health_check","id":""}',
    b'{"action":"health_check","id":null}',
    b'{"action":"health_check","id":"' + b"x" * 256 + b'"}',
    b'{"action":"health_check","id":"a\\u0000b"}',
    b'{"action":"health_check","id":"\\ud800"}',
    b'{"action":"health_check","auth":5}',
]
UNKNOWN_ACTIONS = ["", "delete", "CREATE", "create ", "update_status", "drop table", "\x00", "é"]
UNSUPPORTED_VERSIONS: list[Any] = ["v3", "", "V1", "1", 1, 2.0, None, [], {"v": 1}, True]
WRONG_FIELDS: dict[str, list[Any]] = {
    "name": ["", "  ", "x" * 201, "a\x00b", "\ud800", None, 5, True, [], {}, ["a"]],
    "price": [
        *(-1, -0.01, 0.001, "1.234", 10**10, "10000000000", 1e308, "1e3000", "NaN", "Infinity"),
        *("", "ten", "1,5", None, True, [], {}, [1]),
    ],
    "stock_quantity": [-1, 10**9 + 1, 1.5, "5.5", "many", "", None, True, [], {}, 10**30],
    "colour": ["red", None, 1, {}],
    "id": [1, None, "x"],
}
WRONG_DATA: list[Any] = [
    None,
    [],
    "text",
    5,
    True,
    {},
    {"name": "Lamp"},
    {"price": 1, "stock_quantity": 1},
]


def bad_bodies(count: int) -> Iterator[tuple[bytes, str]]:
    """Return so many pairs of body and code, all for the queue `product`, no two bodies alike."""
    kinds = list(_kinds())
    for number in range(count):
        if number < len(kinds):
            yield kinds[number]
        else:
            yield _variation(number, *kinds[number % len(kinds)])


def _kinds() -> Iterator[tuple[bytes, str]]:
    for body in MALFORMED:
        yield body, "malformed"
    for action in UNKNOWN_ACTIONS:
        yield _json({"action": action}), "unknown_action"
    for version in UNSUPPORTED_VERSIONS:
        yield _json({"action": "health_check", "version": version}), "unsupported_version"
    for name, values in WRONG_FIELDS.items():
        for value in values:
            yield _json({"action": "create", "data": PRODUCT | {name: value}}), "invalid_data"
    for content in WRONG_DATA:
        yield _json({"action": "create", "data": content}), "invalid_data"
    yield b'{"action":"create","pad":"' + b"x" * BODY_BYTES_MAX + b'"}', "too_large"


def _variation(number: int, body: bytes, code: str) -> tuple[bytes, str]:
    """Return the same fault in other bytes: blanks before it change nothing else."""
    if code == "too_large":
        return b"x%d" % number, "malformed"
    # Read as digits to the base of four, each number has blanks of its own.
    digits = f"{number:020b}"
    pairs = [int(digits[at : at + 2], 2) for at in range(0, len(digits), 2)]
    return bytes(b" \t\n\r"[digit] for digit in pairs) + body, code


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
