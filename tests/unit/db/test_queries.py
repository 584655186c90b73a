import re
from pathlib import Path

import pytest

from orderd.db import queries
from orderd.db.arrays import array, lines
from orderd.db.migrations import load_migrations
from orderd.db.queries import load_queries, sql_folder
from orderd.db.table_queries import all_queries
from orderd.shop.registry import SHOP

SOURCES = [
    file.read_text(encoding="utf-8")
    for file in sql_folder("queries").iterdir()
    if file.name.endswith(".sql")
]
PACKAGE = Path(queries.__file__).parents[1]


def test_every_name_stands_once() -> None:
    names = re.findall(r"^-- name: (\w+)$", "\n".join(SOURCES), re.MULTILINE)

    assert sorted(names) == sorted(set(names)) == sorted(load_queries())


def test_every_name_line_is_recognised() -> None:
    assert sum(source.count("-- name") for source in SOURCES) == len(load_queries())


@pytest.mark.parametrize(("name", "sql"), load_queries().items(), ids=load_queries().keys())
def test_a_query_is_one_statement_that_can_be_joined_to_others(name: str, sql: str) -> None:
    code = re.sub(r"--[^\n]*", "", sql).strip()

    assert code, name
    assert ";" not in code
    # The last line must not hide what is joined to it.
    assert not sql.splitlines()[-1].lstrip().startswith("--")


def test_every_query_is_used_and_every_name_in_use_is_a_query() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    called = set(re.findall(r"tx\.(?:rows?|later)\(\s*\"(\w+)\"", text))

    derived = {name for table in SHOP.lock_order for name in all_queries(table)}
    named = {name for name in load_queries() if f'"{name}"' in text}
    assert called <= load_queries().keys()
    assert load_queries().keys() - named - derived == {"free_id_of_outbox"}
    assert derived <= load_queries().keys()


def test_a_name_that_stands_twice_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1\n-- name: two\nSELECT 2\n")
    (tmp_path / "b.sql").write_text("-- name: one\nSELECT 3\n")
    (tmp_path / "notes.txt").write_text("-- name: three\n")
    monkeypatch.setattr(queries, "sql_folder", lambda _: tmp_path)

    with pytest.raises(ValueError, match=r"b\.sql: the query one is defined twice"):
        load_queries()


def test_what_stands_before_the_first_name_is_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.sql").write_text("-- Queries.\n\n-- name: one\n-- Why.\nSELECT 1\n\n")
    monkeypatch.setattr(queries, "sql_folder", lambda _: tmp_path)

    assert load_queries() == {"one": "-- Why.\nSELECT 1"}


def test_migrations_are_numbered_from_1_without_gaps() -> None:
    found = load_migrations()

    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", migration.name) for migration in found)


def test_numbers_are_an_array_literal() -> None:
    assert array([]) == "{}"
    assert array([1, 22]) == "{1,22}"


def test_texts_without_line_ends_are_lines() -> None:
    assert lines(["a", "", "b"]) == "a\n\nb"
