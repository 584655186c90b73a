"""The lines of rows: who is first, who may get a turn in a batch, and who keeps a place."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orderd.contract.envelope import Command
from orderd.domain.turns import Kept, Place, Turns
from tests.support.commands import command

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def price(request_id: str | None = None, product_id: int = 1, key: str = "") -> Command:
    content: dict[str, Any] = {"id": product_id, "price": 1}
    return replace(command("product", "update", content, request_id=request_id), given_key=key)


def turns_of(*commands: Command) -> Turns:
    """Return the lines in which *commands* have been on record, in this order."""
    turns = Turns()
    for one in commands:
        assert one.row is not None
        turns.add(one.row, Place(one.key, NOW))
    return turns


def test_who_is_first_has_its_turn_and_all_others_wait() -> None:
    turns = turns_of(price("a"), price("b"))

    assert turns.ahead_of(price("a")) is None
    assert [str(turns.ahead_of(price(one)))[:11] for one in ("b", "new")] == ["request 'a'"] * 2
    assert turns.ahead_of(price("other row", product_id=2)) is None


def test_a_command_without_id_is_not_named_by_its_key() -> None:
    turns = turns_of(price(key="~abc.1"))

    assert str(turns.ahead_of(price("b"))).startswith("a command without id, deferred since 2026")


def test_able_is_whoever_waits_for_none_but_those_before_it_in_the_batch() -> None:
    a, b, c, other = price("a"), price("b"), price("c"), price("d", product_id=2)
    turns = turns_of(a, b)

    assert list(turns.able([a, b, c, other])) == [a, b, c, other]
    assert list(turns.able([b, c, a, other])) == [a, other]
    assert list(turns.able([c])) == []


def test_ended_and_kept_are_what_is_to_be_written() -> None:
    a, b = price("a"), price("b")
    turns = turns_of(a)

    assert (turns.keep(b, NOW), turns.keep(a, NOW)) == ("=b", "=a")
    turns.end(a)

    assert turns.kept == {"=b": Kept("product", 1, "")}
    assert turns.ended == ["=a"]
    assert turns.ahead_of(b) is None


def test_what_names_no_row_keeps_no_place() -> None:
    turns = Turns()
    creates = command("product", "create", {"name": "a", "price": 1, "stock_quantity": 1})
    query = command("product", "get", {"id": 1})

    assert [turns.keep(one, NOW) for one in (creates, query)] == ["", ""]
    assert turns.kept == {}


def test_a_message_that_came_again_without_its_key_is_known_by_its_content() -> None:
    turns = turns_of(price(key="~abc.1"))

    assert turns.ahead_of(replace(price(key="~abc.2"), is_key_unsure=True)) is None
    assert turns.ahead_of(price(key="~abc.2")) is not None
    assert turns.ahead_of(replace(price(key="~abd.2"), is_key_unsure=True)) is not None
