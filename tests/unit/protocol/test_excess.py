"""Too much of anything is told with the first few and the number of the rest, and costs little."""

import json
import tracemalloc
from typing import Any

import pytest

from orderd.protocol.envelope import Invalid, decode
from orderd.shop.registry import SHOP
from tests.support.commands import let_in
from tests.unit.protocol.bodies import CREATE, invalid

MIB = 1 << 20
# A quarter of what is allowed: tracing its memory takes that much less time.
BODY_BYTES = MIB // 4
ITEM = {"product_id": 1, "quantity": 1}


def unknown(count: int) -> dict[str, int]:
    return {f"unknown{number}": number for number in range(count)}


def ordered(*items: Any) -> dict[str, Any]:
    return {"action": "create", "data": {"user_id": 1, "items": items}}


@pytest.mark.parametrize(
    ("count", "tail"), [(10, ""), (11, "; and 1 more"), (999, "; and 989 more")]
)
def test_the_first_unknown_fields_are_named_and_the_rest_is_counted(count: int, tail: str) -> None:
    one = invalid(CREATE | {"data": CREATE["data"] | unknown(count)})

    faults = [f"data.unknown{number} is not a field of this action" for number in range(10)]
    assert one.message == "; ".join(faults) + tail


def test_what_is_missing_is_named_besides() -> None:
    one = invalid({"action": "create", "data": unknown(5)})

    assert one.message.startswith("data.name is missing; data.price is missing; ")
    assert one.message.endswith("data.unknown4 is not a field of this action")


def test_unknown_fields_of_items_are_counted_too() -> None:
    one = invalid(ordered(ITEM | unknown(8), ITEM | unknown(1_000)), "order")

    assert "; data.items[1].unknown1 is not a field of this action; and 998 more" in one.message


@pytest.mark.parametrize("count", [101, 30_000])
def test_too_many_items_are_one_fault(count: int) -> None:
    one = invalid(ordered(*[ITEM] * count), "order")

    assert one.message == "data.items must contain at most 100 items; got more"


def keys(value: str, size: int = BODY_BYTES) -> str:
    """Return as many members of an object as there is room for."""
    found, length, number = [], 0, 0
    while length < size - 100:
        found.append(f'"{number:x}":{value}')
        length += len(found[-1]) + 1
        number += 1
    return ",".join(found)


def many(member: str, size: int = BODY_BYTES) -> str:
    return ",".join([member] * ((size - 200) // (len(member) + 1)))


ITEMS = '{"action":"create","data":{"user_id":1,"items":['
WORST = {
    "unknown fields": '{"action":"create","data":{' + keys("1") + "}}",
    "unknown objects": '{"action":"create","data":{' + keys("{}") + "}}",
    "unknown fields of an item": ITEMS + "{" + keys("1") + "}]}}",
    "unknown fields of the envelope": '{"action":"create",' + keys("1") + "}",
    "items": ITEMS + many(json.dumps(ITEM)) + "]}}",
    "items without anything": ITEMS + many("{}") + "]}}",
    "items with unknown fields": ITEMS + many("{" + keys("1", 10_000) + "}") + "]}}",
    "nested lists": '{"data":[' + many("[" * 29 + "]" * 29) + "]}",
    "nested objects": '{"data":[' + many('{"":' * 28 + "1" + "}" * 28) + "]}",
    "objects": '{"data":[' + many('{"":0}') + "]}",
    "numbers": '{"data":[' + many("0.1") + "]}",
    "a huge name": '{"action":"create","data":{"name":"'
    + "x" * (BODY_BYTES - 200)
    + "\U0001f600"
    + '"}}',
    "a huge action": '{"action":"' + "\u2603" * (BODY_BYTES // 3 - 200) + '"}',
    "a huge field": '{"action":"create","data":{"' + "\u2603" * (BODY_BYTES // 3 - 200) + '":1}}',
    "a huge number": '{"action":"create","data":{"price":0.' + "1" * (BODY_BYTES - 200) + "}}",
    "a repeated field": '{"action":"create","data":{' + keys("1") + ',"0":1}}',
}
# Parsed, JSON takes up to fifty times its size; what is made of that must not be as much again.
PEAK_BYTES_MAX = 56 * BODY_BYTES


@pytest.mark.parametrize("name", WORST)
def test_no_large_body_costs_more_than_its_parsing(name: str) -> None:
    body = WORST[name].encode()
    queue = "order" if body.startswith(ITEMS.encode()) else "product"
    assert BODY_BYTES // 2 < len(body) <= BODY_BYTES

    tracemalloc.start()
    try:
        one = decode(queue, body, None, 0, MIB, models=SHOP.models, permit=let_in)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(one, Invalid)
    assert len(one.message) < 5_000
    assert peak_bytes < PEAK_BYTES_MAX
