"""The queries of each table read, write and list the columns that the table has, in their order."""

import re
from typing import Any

import pytest

from orderd.db.queries import load_queries
from orderd.db.table_queries import all_queries
from orderd.pipeline import persist, written
from orderd.protocol.commands import List
from orderd.shop.entity import Entity
from orderd.shop.registry import SHOP
from orderd.shop.tables import Table

each_table = pytest.mark.parametrize("table", SHOP.lock_order, ids=lambda table: table.name)


@each_table
def test_a_table_has_all_its_queries(table: Table[Any]) -> None:
    assert set(all_queries(table)) - load_queries().keys() == set()


@each_table
def test_queries_return_the_columns_of_rows_in_their_order(table: Table[Any]) -> None:
    own = [column.name for column in table.columns]
    wanted = ["id", *own, "created_at", "updated_at", "revision"]
    names = [f"lock_{table.name}", f"read_{table.name}", f"list_{table.name}"]
    if table.is_referred_to:
        names.append(f"refer_to_{table.name}")

    for name in names:
        assert selected(load_queries()[name])[: len(wanted)] == wanted, name


@each_table
def test_statements_take_what_is_written_and_are_read_back_in_its_order(table: Table[Any]) -> None:
    queries = load_queries()
    inserted, updated = persist.INSERTED[table], persist.UPDATED[table]
    read_back = queries[f"written_{table.name}"]

    assert parameters(queries[f"insert_{table.name}"]) == set(inserted)
    assert parameters(queries[f"update_{table.name}"]) == set(updated)
    assert "updated_at = now()" in queries[f"update_{table.name}"]
    assert fields(read_back) == list(written.COLUMNS[table.name])


@pytest.mark.parametrize("table", SHOP.lines, ids=lambda table: table.name)
def test_the_same_holds_for_lines(table: Any) -> None:
    queries = load_queries()
    own = [column.name for column in table.columns]

    assert selected(queries[f"lock_{table.name}"]) == [table.parent.name, "id", *own]
    assert parameters(queries[f"insert_{table.name}"]) == set(persist.LINE_INSERTED[table])
    assert parameters(queries[f"update_{table.name}"]) == set(persist.LINE_UPDATED[table])
    assert fields(queries[f"written_{table.name}"]) == list(written.COLUMNS[table.name])


@pytest.mark.parametrize("entity", SHOP.entities, ids=lambda entity: str(entity.queue))
def test_filters_of_a_list_are_those_of_its_queries(entity: Entity) -> None:
    model = SHOP.models["v2"][str(entity.queue), "list"]
    assert issubclass(model, List)
    filters = set(model().filters())
    name = entity.table.name

    assert parameters(load_queries()[f"list_{name}"]) == {"after", "limit", *filters}
    assert parameters(load_queries()[f"count_{name}"]) == {"rows_max", *filters}


def parameters(sql: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", sql))


def selected(sql: str) -> list[str]:
    """Return the columns of the innermost SELECT that names some."""
    lists = re.findall(r"SELECT\s+((?:\w+(?:\.\w+)?,\s+)+[\w.]+)", sql)
    return [name.rpartition(".")[2] for name in re.split(r",\s+", lists[0])]


def fields(sql: str) -> list[str]:
    """Return the columns that a query of what was written tells, in its order."""
    told = re.search(r"E'\\x1f',(.*?)\n\), E'", sql, re.DOTALL)
    assert told is not None
    return re.findall(r"\w+", told[1].replace("= now()", ""))
