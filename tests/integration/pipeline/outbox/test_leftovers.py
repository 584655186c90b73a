"""Rows that nobody looks after are found, past those that somebody protects or has deleted."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.db.connection import Database
from orderd.pipeline.outbox.leftovers import ROWS_MAX, Leftovers
from tests.support.sessions import ask, autocommitting
from tools.waiting import wait_until

GRACE_S = 5.0
ADD = """
    INSERT INTO outbox (id, message_id, type, body, claimed_at)
    SELECT i, gen_random_uuid(), 'order.created', '{}', now() - interval '1 h'
    FROM generate_series(%s, %s) AS i
"""
GUARDS = {
    "fails": "RAISE 'the audit keeps it'",
    "lacks a table": "INSERT INTO missing VALUES (OLD.id)",
    "swallows": "RETURN NULL",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with autocommitting(database_url) as session:
        yield session


def claimer(leftovers: Leftovers) -> tuple[list[int], Callable[[], int]]:
    """Return a list, and what adds to it the ids that are claimed next; it returns how many."""
    ids: list[int] = []

    def claim() -> int:
        ids.extend(row.id for row in leftovers.claim(GRACE_S))
        return len(ids)

    return ids, claim


def test_all_rows_are_claimed_once_and_in_order(database: Database, session: Connection) -> None:
    ask(session, ADD, 1, 2 * ROWS_MAX + 100)
    ids, claim = claimer(Leftovers(database))

    wait_until(lambda: claim() >= 2 * ROWS_MAX + 100, timeout_s=60, what="all rows claimed")

    assert ids == [*range(1, 2 * ROWS_MAX + 101)]
    claim()
    assert len(ids) == 2 * ROWS_MAX + 100


@pytest.mark.parametrize("guard", GUARDS)
def test_rows_that_cannot_be_claimed_hold_up_no_others(
    database: Database, session: Connection, guard: str
) -> None:
    ask(session, ADD, 1, 20)
    ask(
        session,
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF OLD.id = 3 THEN {GUARDS[guard]}; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER guard BEFORE UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()",
    )
    ids, claim = claimer(Leftovers(database))

    wait_until(lambda: claim() >= 19, timeout_s=60, what="the others claimed")
    # What is claimed for long may be claimed once more.
    assert {*ids} == {row_id for row_id in range(1, 21) if row_id != 3}

    ask(session, "DROP TRIGGER guard ON outbox")
    wait_until(lambda: (claim(), 3 in ids)[1], timeout_s=60, what="the row claimed")


def test_rows_are_found_behind_many_that_a_held_snapshot_keeps(
    database: Database, session: Connection, database_url: str
) -> None:
    ask(session, ADD, 1, 200_000)
    with closing(psycopg2.connect(database_url)) as holder:
        holder.set_session(isolation_level="REPEATABLE READ")
        ask(holder, "SELECT count(*) FROM outbox")
        ask(session, "DELETE FROM outbox WHERE id <> 150000")
        ids, claim = claimer(Leftovers(database))

        wait_until(lambda: claim() == 1, timeout_s=60, what="the row claimed")

    assert ids == [150_000]


def test_a_search_that_is_too_long_for_one_statement_goes_on_in_pieces(
    database: Database, session: Connection, database_url: str
) -> None:
    ask(session, ADD, 1, 200_000)
    short = {"bound_look": "SELECT set_config('statement_timeout', '10ms', true)"}
    database.queries = {**database.queries, **short}  # stands for 100 times the rows
    with closing(psycopg2.connect(database_url)) as holder:
        holder.set_session(isolation_level="REPEATABLE READ")
        ask(holder, "SELECT count(*) FROM outbox")
        ask(session, "DELETE FROM outbox WHERE id <> 150000")
        ids, claim = claimer(Leftovers(database))

        wait_until(lambda: claim() == 1, timeout_s=60, what="the row claimed")

    assert ids == [150_000]
