"""Rows of sent events are deleted beside the commands; what protects one costs nobody anything."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from orderd.db.connection import Database
from orderd.outbox.deletion import Deletion
from orderd.outbox.rows import DELETE_ROWS_MAX, Confirmed, OutboxRow, RowKey, insert_rows
from tools.waiting import wait_until

SENT = OutboxRow(7, "00000000-0000-4000-8000-000000000001", "order.created", "{}")
OTHER = SENT._replace(message_id="00000000-0000-4000-8000-000000000002")
OBSTACLES = {
    "a foreign key": """
        CREATE TABLE audit (outbox_id bigint REFERENCES outbox (id));
        INSERT INTO audit VALUES (3)
    """,
    "a trigger that fails": """
        CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF OLD.id = 3 THEN RAISE 'row 3 is kept'; END IF;
            RETURN OLD;
        END $$;
        CREATE TRIGGER guard BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()
    """,
    "a trigger whose table is missing": """
        CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF OLD.id = 3 THEN INSERT INTO missing VALUES (OLD.id); END IF;
            RETURN OLD;
        END $$;
        CREATE TRIGGER guard BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()
    """,
    "a trigger that swallows": """
        CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RETURN CASE WHEN OLD.id <> 3 THEN OLD END;
        END $$;
        CREATE TRIGGER guard BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()
    """,
    "a rule": "CREATE RULE guard AS ON DELETE TO outbox WHERE OLD.id = 3 DO INSTEAD NOTHING",
}
FREE = {
    "a foreign key": "DROP TABLE audit",
    "a rule": "DROP RULE guard ON outbox",
}
GUARD_ALL = """
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE 'every row is kept'; END $$;
    CREATE TRIGGER guard BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()
"""


class Room:
    """An outbox, its deletion, and another session beside it."""

    def __init__(self, database: Database, observer: Connection) -> None:
        self.database = database
        self.confirmed = Confirmed()
        self.deletion = Deletion(database, self.confirmed)
        self.observer = observer

    def confirm(self, *ids: int) -> list[RowKey]:
        """Have rows in the outbox whose events the broker has."""
        rows = [
            OutboxRow(i, f"00000000-0000-4000-8000-{i:012}", "order.created", "{}") for i in ids
        ]
        with self.database.transaction() as tx:
            insert_rows(tx, rows)
        keys = [(row.id, row.message_id) for row in rows]
        self.confirmed.add(keys)
        return keys

    def left(self) -> list[int]:
        """Return the ids of the rows that are there."""
        return [row_id for (row_id,) in self.run("SELECT id FROM outbox ORDER BY id")]

    def reason(self, row_id: int) -> tuple[bool, str]:
        """Return whether a row is never to be sent again, and why."""
        with self.observer.cursor() as cursor:
            sql = "SELECT not_before = 'infinity', refused_because FROM outbox WHERE id = %s"
            cursor.execute(sql, [row_id])
            ((is_set_aside, why),) = cursor.fetchall()
            return is_set_aside, why

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with self.observer.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def run_until(self, done: Callable[[], bool], what: str) -> None:
        """Turn until it is *done*."""

        def turn() -> bool:
            self.deletion.run(0.0)
            return done()

        wait_until(turn, timeout_s=60, what=what)


@pytest.fixture
def room(database_url: str) -> Iterator[Room]:
    with (
        closing(Database(database_url)) as database,
        closing(psycopg2.connect(database_url)) as observer,
    ):
        observer.autocommit = True
        yield Room(database, observer)


def test_rows_gather_and_are_deleted_together(room: Room) -> None:
    room.confirm(1, 2)
    room.deletion.run(gather_s=3600)
    assert room.left() == [1, 2]
    assert 0 < room.confirmed.due_in_s(3600) <= 3600

    room.confirm(*range(3, DELETE_ROWS_MAX + 1))
    room.deletion.run(gather_s=3600)

    assert room.left() == []
    assert room.confirmed.due_in_s(3600) == float("inf")


def test_rows_that_have_gathered_long_enough_are_deleted(room: Room) -> None:
    room.confirm(1, 2)

    room.deletion.run(gather_s=0.0)

    assert room.left() == []


def test_a_row_that_has_the_id_of_a_confirmed_one_is_not_deleted_for_it(room: Room) -> None:
    room.confirmed.add([(SENT.id, SENT.message_id)])
    with room.database.transaction() as tx:
        # Somebody has emptied the table, and ids are given once more.
        insert_rows(tx, [OTHER])

    room.deletion.run(0.0)
    assert room.left() == [OTHER.id]

    room.confirmed.add([(OTHER.id, OTHER.message_id)])
    room.deletion.run(0.0)
    assert room.left() == []


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_a_protected_row_is_set_aside_and_its_neighbours_are_deleted(
    room: Room, obstacle: str
) -> None:
    keys = room.confirm(1, 2, 3, 4, 5)
    room.run(OBSTACLES[obstacle])

    room.deletion.run(0.0)

    assert room.left() == [3]
    is_set_aside, reason = room.reason(3)
    assert is_set_aside
    assert reason.startswith("sent, but not deleted: ")
    assert [key for key in keys if room.deletion.is_sent(key)] == [keys[2]]

    room.run(FREE.get(obstacle, "DROP TRIGGER guard ON outbox"))
    room.run_until(lambda: room.left() == [], "the row deleted once nothing protects it")
    assert not room.deletion.is_sent(keys[2])


def test_what_protects_every_row_is_not_asked_for_each(room: Room) -> None:
    count = DELETE_ROWS_MAX + 200
    room.confirm(*range(1, count + 1))
    room.run(GUARD_ALL)

    room.deletion.run(0.0)
    room.confirm(count + 1)
    room.deletion.run(0.0)

    assert len(room.left()) == count + 1
    aside = room.run("SELECT count(*) FROM outbox WHERE not_before = 'infinity'")
    assert aside == [(count + 1,)]
    room.run("DROP TRIGGER guard ON outbox")
    room.run_until(lambda: room.left() == [], "all rows deleted once nothing protects them")


def test_a_row_that_another_session_locks_is_deleted_later(room: Room, database_url: str) -> None:
    keys = room.confirm(1, 2, 3)
    with closing(psycopg2.connect(database_url)) as holder:
        holder.cursor().execute("SELECT * FROM outbox WHERE id = 2 FOR UPDATE")

        room.deletion.run(0.0)

        assert room.left() == [2]
        assert room.deletion.is_sent(keys[1])
        holder.rollback()
    room.run_until(lambda: room.left() == [], "the row deleted once its lock is gone")


def test_a_locked_table_holds_up_the_deletion_only(room: Room, database_url: str) -> None:
    room.confirm(1, 2, 3)
    with closing(psycopg2.connect(database_url)) as holder:
        holder.cursor().execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")

        room.deletion.run(0.0)

        assert len(room.confirmed) == 0
        holder.rollback()
    room.run_until(lambda: room.left() == [], "the rows deleted once the lock is gone")
