"""How tables fit into a terminal."""

import pytest

from orderd.ctl.layout import lines_of, wrapped
from orderd.ctl.tables import Column, Table, Whole, width_of

ID = "8f14e45f-ceea-467f-a7d1-2f0c1a3b4c5d"
WHY = "insufficient stock: product 5 has 2, 100 ordered, and nothing is on its way"
COLUMNS = (
    Column("id"),
    Column("action"),
    Column("attempt", is_right=True, is_extra=True),
    Column("reason", is_long=True),
    Column("claimed", is_extra=True),
)
ROWS = [(ID, "update_status", "3", WHY, "2026-11-27 10:00:00Z"), ("web-7", "create", "1", "", "")]
TABLE = Table(COLUMNS, ROWS)


def words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 200])
def test_nothing_is_wider_than_the_terminal_and_ids_stay_whole(width: int) -> None:
    # An id alone needs 36 columns.
    lines = lines_of(TABLE, width)

    assert all(width_of(line) <= width or line == ID for line in lines)
    assert ID in words(lines)
    assert words([WHY]) <= words(lines)


@pytest.mark.parametrize("width", [30, 80])
def test_an_id_among_long_texts_stays_whole(width: int) -> None:
    long_id = "x" * 100
    columns = (Column("what"), Column("known", is_long=True))

    lines = lines_of(Table(columns, [("request", Whole(long_id)), ("reason", WHY)]), width)

    assert long_id in words(lines)
    assert all(width_of(line) <= width for line in lines if long_id not in line)


def test_a_wide_terminal_shows_a_row_in_a_line() -> None:
    lines = lines_of(TABLE, 200)

    assert len(lines) == 3
    assert lines[0].split() == ["id", "action", "attempt", "reason", "claimed"]


def test_long_texts_are_broken_before_a_column_is_left_out() -> None:
    lines = lines_of(TABLE, 120)

    assert lines[0].split() == ["id", "action", "attempt", "reason", "claimed"]
    assert len(lines) > 3


def test_what_tells_least_is_left_out_from_the_right() -> None:
    assert lines_of(TABLE, 95)[0].split() == ["id", "action", "attempt", "reason"]
    assert lines_of(TABLE, 80)[0].split() == ["id", "action", "reason"]


def test_the_cells_of_a_row_stand_below_each_other_where_nothing_else_fits() -> None:
    lines = lines_of(TABLE, 50)

    assert lines[0] == f"id       {ID}"
    assert lines[1] == "action   update_status"
    assert lines[lines.index("") + 1] == "id       web-7"


def test_a_word_is_broken_only_where_it_may_be() -> None:
    assert wrapped("ab abcdefgh", 5) == ["ab", "abcde", "fgh"]
    assert wrapped("ab abcdefgh", 5, is_whole=True) == ["ab", "abcdefgh"]


def test_wide_characters_count_twice() -> None:
    table = Table((Column("name", is_long=True), Column("n")), [("日本語 " * 20, "1")])

    assert max(map(width_of, lines_of(table, 30))) <= 30
