"""Statements that a session keeps prepared: once each, and none that could be in the way."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from orderd.db.connection import Database
from orderd.db.faults import RowFault, TransactionConflict
from orderd.db.table_queries import PREPARED
from orderd.db.transaction import Part, Transaction
from tests.support.pgbouncer import pgbouncer_before
from tests.support.sessions import ask, autocommitting
from tools.servers import Servers

KEPT: Final = "SELECT name FROM pg_prepared_statements ORDER BY name"
ROW_TYPES: Final = ("bigint", "text", "numeric", "bigint", "timestamptz", "timestamptz", "bigint")
PRODUCT: Final[dict[str, Any]] = {
    "id": "{1,2}",
    "name": '{"a","100%"}',
    "price": "{1.50,2}",
    "stock_quantity": "{3,4}",
    "revision": "{1,1}",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url, prepared=PREPARED)) as database:
        yield database


def kept(database: Database) -> list[str]:
    with database.transaction() as tx:
        return sorted(_kept(tx))


def _kept(tx: Transaction) -> list[str]:
    tx.flush()
    tx._cursor.execute(KEPT)  # noqa: SLF001 - only its own session can tell
    return [name for (name,) in tx._cursor.fetchall()]  # noqa: SLF001


def products(ids: str = "{1,2}", rows_max: int = 2) -> Part:
    return Part("lock_products", ROW_TYPES, {"ids": ids}, rows_max)


def read(database: Database, *parts: Part) -> list[list[Any]]:
    with database.transaction() as tx:
        return [[row[:3] for row in rows] for rows in tx.together(parts)]


def test_a_statement_is_prepared_at_its_first_use_and_kept(database: Database) -> None:
    assert kept(database) == []
    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)
    assert kept(database) == ["insert_products"]

    found = [read(database, products(), products("{2}", 1)) for _ in range(3)]

    assert len(kept(database)) == len(["insert_products", "both together"])
    assert found == found[:1] * 3
    first, second = found[0]
    assert [(row[0], row[1], str(row[2])) for row in first] == [
        (1, "a", "1.50"),
        (2, "100%", "2.00"),
    ]
    assert [row[0] for row in second] == [2]


def test_what_may_have_many_rows_is_read_in_pieces_and_not_kept(database: Database) -> None:
    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)

    assert [row[0] for row in read(database, products(rows_max=501))[0]] == [1, 2]
    assert kept(database) == ["insert_products"]


def test_nothing_is_taken_for_prepared_that_a_failed_transaction_would_have(
    database: Database,
) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            tx.run("SELECT 1 / 0")
            tx.later("insert_products", **PRODUCT)

    with pytest.raises(RowFault):
        fail()

    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)

    assert kept(database) == ["insert_products"]


def test_what_a_transaction_has_not_sent_before_it_rolls_back_is_not_taken_for_prepared(
    database: Database,
) -> None:
    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)
        tx.roll_back()

    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)

    assert kept(database) == ["insert_products"]


def test_a_session_that_was_emptied_by_others_costs_one_transaction(database: Database) -> None:
    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)
    with database.transaction() as tx:
        tx.run("DEALLOCATE ALL")
    others = PRODUCT | {"id": "{3,4}"}

    with pytest.raises(TransactionConflict), database.transaction() as tx:
        tx.later("insert_products", **others)
    with database.transaction() as tx:
        tx.later("insert_products", **others)

    assert [row[0] for row in read(database, products("{3,4}"))[0]] == [3, 4]


def test_a_column_that_gets_another_type_costs_one_transaction(
    database: Database, database_url: str
) -> None:
    with database.transaction() as tx:
        tx.later("insert_products", **PRODUCT)
    read(database, products())
    with autocommitting(database_url) as session:
        ask(session, "ALTER TABLE products ALTER price TYPE numeric(20,4)")

    with pytest.raises(TransactionConflict):
        read(database, products())

    assert [str(row[2]) for row in read(database, products())[0]] == ["1.5000", "2.0000"]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_session_of_a_pooler_keeps_none(servers: Servers, database_url: str, mode: str) -> None:
    with (
        pgbouncer_before(servers, database_url, mode) as pooler,
        closing(Database(pooler.url(database_url), prepared=PREPARED)) as database,
    ):
        with database.transaction() as tx:
            tx.later("insert_products", **PRODUCT)

        assert [row[0] for row in read(database, products())[0]] == [1, 2]
        assert kept(database) == []
