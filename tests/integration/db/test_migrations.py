"""Migrations: once each, in order, whoever else migrates, and never over a changed history."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product

import psycopg2
import pytest

from orderd.db import migrations
from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, RowFault, SchemaFault
from orderd.db.migrations import (
    Migration,
    check_schema,
    load_migrations,
    migrate,
    pending_migrations,
)

NAMES = [migration.name for migration in load_migrations()]


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    with closing(Database(empty_database_url)) as database:
        yield database


def applied(url: str) -> list[tuple[int, str]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version, name FROM schema_migrations ORDER BY version")
        return cursor.fetchall()


def execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_all_migrations_are_applied_in_their_order(
    database: Database, empty_database_url: str
) -> None:
    assert migrate(database) == NAMES

    assert applied(empty_database_url) == [(int(name[:4]), name) for name in NAMES]
    check_schema(database)


def test_migrating_again_does_nothing(database: Database) -> None:
    migrate(database)

    assert migrate(database) == []
    assert pending_migrations(database) == []


def test_an_empty_database_lacks_every_migration(database: Database) -> None:
    assert [migration.name for migration in pending_migrations(database)] == NAMES
    with pytest.raises(SchemaFault, match=f"lacks {', '.join(NAMES)}; run: orderctl migrate"):
        check_schema(database)


def test_whoever_migrates_at_the_same_time_finds_nothing_left_to_do(
    empty_database_url: str,
) -> None:
    def migrate_alone(_: int) -> list[str]:
        with closing(Database(empty_database_url)) as database:
            return migrate(database)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(migrate_alone, range(4)))

    assert sorted(name for names in done for name in names) == NAMES
    assert [name for _, name in applied(empty_database_url)] == NAMES


@pytest.mark.parametrize("column", ["checksum", "name"])
def test_a_changed_history_is_refused(
    database: Database, empty_database_url: str, column: str
) -> None:
    migrate(database)
    execute(empty_database_url, f"UPDATE schema_migrations SET {column} = 'x' WHERE version = 1")  # noqa: S608

    with pytest.raises(SchemaFault, match="applied in another form"):
        check_schema(database)
    with pytest.raises(SchemaFault, match="applied in another form"):
        migrate(database)


def test_a_schema_newer_than_this_version_is_accepted(
    database: Database, empty_database_url: str
) -> None:
    migrate(database)
    execute(
        empty_database_url,
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')",
    )

    check_schema(database)


def test_a_migration_that_fails_leaves_nothing_of_itself(
    database: Database, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration(9000, "9000_break", "CREATE TABLE half (id int); SELECT 1 / 0;")
    known = [*load_migrations(), broken]
    monkeypatch.setattr(migrations, "load_migrations", lambda: known)

    with pytest.raises(RowFault, match="division by zero"):
        migrate(database)

    assert [name for _, name in applied(empty_database_url)] == NAMES
    execute(empty_database_url, "CREATE TABLE half (id int)")


def test_what_migrates_keeps_the_rows(database: Database, empty_database_url: str) -> None:
    migrate(database)
    execute(empty_database_url, "INSERT INTO users (username, email) VALUES ('ann', 'a@x.org')")

    assert migrate(database) == []
    execute(empty_database_url, "UPDATE users SET email = 'b@x.org' WHERE id = 1")


def test_a_database_that_does_not_exist_is_an_outage(empty_database_url: str) -> None:
    with (
        closing(Database(f"{empty_database_url}_gone")) as database,
        pytest.raises(DatabaseOutage, match="does not exist"),
    ):
        migrate(database)


SHOP = ("users", "products", "orders")
FILLED = """
INSERT INTO users (username, email)
SELECT 'user' || i, 'user' || i || '@x.org' FROM generate_series(1, 20000) i;
INSERT INTO products (name, price, stock_quantity)
SELECT 'product' || i, 1, 1 FROM generate_series(1, 20000) i;
INSERT INTO orders (user_id, status, total_amount)
SELECT i, 'pending', 0 FROM generate_series(1, 20000) i;
"""


def test_rows_get_revisions_without_a_rewrite_of_their_tables(
    database: Database, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load_migrations()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "load_migrations", lambda: known[:4])
        patch.setattr(migrations, "differences", lambda _tx: [])
        migrate(database)
    execute(empty_database_url, FILLED)
    before = files_and_sizes(empty_database_url)

    assert migrate(database) == NAMES[4:]

    # The rows are where they were, to the page: each table was locked for the catalogue alone.
    assert files_and_sizes(empty_database_url) == before
    execute(empty_database_url, "INSERT INTO users (username, email) VALUES ('new', 'new@x.org')")
    for table in SHOP:
        counted = rows(empty_database_url, f"SELECT revision, count(*) FROM {table} GROUP BY 1")  # noqa: S608
        assert counted == [(1, 20_001 if table == "users" else 20_000)]


def files_and_sizes(url: str) -> list[tuple[object, ...]]:
    """Return the file of each table of the shop and its size in bytes."""
    return rows(
        url,
        "SELECT name, pg_relation_filenode(name::regclass), pg_relation_size(name::regclass) "
        "FROM unnest(ARRAY['users', 'products', 'orders']) AS names (name)",
    )


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_the_holders_of_rights_on_the_outbox_get_what_they_need_on_new_tables(
    database: Database, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = load_migrations()[:6]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "load_migrations", lambda: older)
        # What that version had is not what this one needs.
        patch.setattr(migrations, "differences", lambda _tx: [])
        migrate(database)
    roles = [f'orderd "{name}" {secrets.token_hex(4)}' for name in ("daemon", "reader", "other")]
    quoted = ['"' + role.replace('"', '""') + '"' for role in roles]
    for role in quoted:
        execute(empty_database_url, f"CREATE ROLE {role}")
    execute(empty_database_url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO {quoted[0]}")
    execute(empty_database_url, f"GRANT SELECT ON outbox TO {quoted[1]}")
    execute(empty_database_url, f"GRANT SELECT ON users TO {quoted[2]}")

    migrate(database)

    changed = ("deferrals", "queue_pauses", "daemons")
    with closing(psycopg2.connect(empty_database_url)) as connection, connection.cursor() as cursor:
        held = {}
        for table, role in product(("last_authorization", *changed, "receipt_key"), roles):
            cursor.execute(
                "SELECT right_ FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) right_ "
                "WHERE has_table_privilege(%s, %s, right_)",
                (role, table),
            )
            held[table, role] = {right for (right,) in cursor.fetchall()}
    changing = {"SELECT", "INSERT", "UPDATE"}
    assert list(held.values())[:3] == [changing, {"SELECT"}, set()]
    of_each = [changing | {"DELETE"}, {"SELECT"}, set()]
    of_key = [{"SELECT"}, set(), set()]
    assert list(held.values())[3:] == of_each * len(changed) + of_key
    for role in quoted:
        execute(empty_database_url, f"DROP OWNED BY {role}; DROP ROLE {role}")
