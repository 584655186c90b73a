"""How many commands share a transaction: as many as a batch has, unless they are big."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from orderd.pipeline.requests import PORTION_BYTES_MAX, Request, portions
from orderd.pipeline.results import in_portions
from orderd.protocol.envelope import Command
from tests.support.commands import decoded_from, request
from tests.unit.pipeline.results import spoilt

LINES = [{"product_id": n, "quantity": 1_000_000} for n in range(100_000_000_000, 100_000_000_100)]


def requests(
    queue: str, action: str, arguments: Mapping[str, Any] | None, count: int = 1
) -> list[Request]:
    found = []
    for _ in range(count):
        one = request(queue, action, arguments)
        command = decoded_from(one)
        assert isinstance(command, Command), command
        found.append(Request(one, command))
    return found


def sizes(batch: list[Request]) -> list[int]:
    """Return the sizes of the portions, which together are the batch in its order."""
    cut = list(portions(batch))
    assert list(chain(*cut)) == batch
    return [len(portion) for portion in cut]


def test_an_ordinary_batch_is_one_portion() -> None:
    order = {"user_id": 1, "items": LINES[:5]}
    batch = requests("product", "mark_out_of_stock", {"id": 1}, 100)
    batch += requests("order", "create", order, 50)
    batch += requests("order", "update_status", {"order_id": 1, "status": "shipped"}, 50)
    batch += requests("order", "get", {"order_id": 1}, 50)

    assert sizes(batch) == [250]


def test_an_empty_batch_has_no_portion() -> None:
    assert sizes([]) == []


def test_each_list_is_a_portion_of_its_own() -> None:
    get, page = requests("user", "get", {"id": 1}), requests("user", "list", {}, 2)

    assert sizes([*get, *page, *get, *get, *page]) == [1, 1, 1, 2, 1, 1]


def test_big_orders_are_cut_into_portions_of_some_megabytes() -> None:
    batch = requests("order", "create", {"user_id": 1, "items": LINES}, 400)

    first, *others = sizes(batch)

    assert others
    assert first * len(batch[0].delivery.body) < PORTION_BYTES_MAX
    assert first > 50


def test_orders_that_are_read_may_be_full_ones() -> None:
    first, *others = sizes(requests("order", "get", {"order_id": 1}, 1000))

    assert others
    assert 200 <= first <= 300


def test_one_command_is_never_too_big_for_a_portion() -> None:
    (one,) = requests("user", "health_check", None)
    padded = replace(one.delivery, body=one.delivery.body + b" " * PORTION_BYTES_MAX)
    huge = Request(padded, one.command)

    assert sizes([huge, huge]) == [1, 1]


def test_results_of_big_invalid_messages_are_settled_in_portions() -> None:
    results = [spoilt(b"x" * 900_000) for _ in range(12)]

    assert [len(portion) for portion in in_portions(results)] == [5, 5, 2]
    assert list(in_portions([])) == []
    assert list(in_portions(results[:1])) == [results[:1]]
