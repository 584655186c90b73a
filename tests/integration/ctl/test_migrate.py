from contextlib import closing

import psycopg2
import pytest

from tests.conftest import RUN_NAME
from tests.integration.ctl.conftest import Orderctl
from tests.support.pgbouncer import pgbouncer_before
from tools.servers import Servers


def test_migrations_are_named_when_applied_and_then_none_is_left(
    orderctl_before_migration: Orderctl,
) -> None:
    orderctl = orderctl_before_migration

    before = orderctl("migrate", "--check")
    first = orderctl("migrate")
    second = orderctl("migrate", "--json")
    after = orderctl("migrate", "--check")

    assert before.code == 78
    assert before.out.startswith("pending: 0001_create_shop\n")
    assert first.code == 0
    assert first.out == before.out.replace("pending", "applied")
    told = {"applied": [], "broken": [], "missing": [], "dry_run": False}
    assert (second.code, second.document) == (0, told)
    assert (after.code, after.out) == (0, "the schema is up to date\n")


def test_a_dry_run_prints_sql_that_works_and_changes_nothing(
    orderctl_before_migration: Orderctl, empty_database_url: str
) -> None:
    shown = orderctl_before_migration("migrate", "--dry-run")

    assert shown.code == 0
    assert orderctl_before_migration("migrate", "--check").code == 78
    with closing(psycopg2.connect(empty_database_url)) as connection:
        connection.cursor().execute(shown.out)


def test_a_changed_history_ends_with_78(orderctl: Orderctl, database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute("UPDATE schema_migrations SET checksum = 'other'")

    done = orderctl("migrate", "--check")

    assert done.code == 78
    assert "0001_create_shop was applied in another form" in done.err


def test_rows_that_break_a_new_constraint_are_named_and_cost_nothing_else(
    orderctl: Orderctl, database_url: str
) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute("ALTER TABLE products DROP CONSTRAINT products_can_be_told")
        cursor.execute(
            "INSERT INTO products (name, price, stock_quantity, created_at) "
            "SELECT 'x', CASE WHEN i < 23 THEN 'NaN' ELSE 1::numeric END, 1, now() "
            "FROM generate_series(1, 30) i"
        )
        cursor.execute("DELETE FROM schema_migrations WHERE version = 8")
        for table in ("users", "orders", "order_items"):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_can_be_told")

    first = orderctl("migrate")
    again = orderctl("migrate", "--json")

    assert (first.code, first.out) == (0, "applied: 0008_exclude_what_cannot_be_told\n")
    ids = ", ".join(map(str, range(1, 21)))
    said = (
        "table products: the constraint products_can_be_told stays NOT VALID, broken by the rows "
        f"with id {ids} and more; correct them, then run: orderctl migrate"
    )
    assert first.err == f"{said}\n"
    assert (again.document["broken"], again.document["dry_run"]) == ([said], False)

    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute("UPDATE products SET price = 1")
    mended = orderctl("migrate")

    assert (mended.code, mended.err) == (0, "")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), bool_and(convalidated) FROM pg_constraint "
            "WHERE conname LIKE '%can_be_told'"
        )
        assert cursor.fetchall() == [(4, True)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO products (name, price, stock_quantity) VALUES ('x', 'NaN', 1)",
        "INSERT INTO users (username, email, created_at) VALUES ('x', 'x', 'infinity')",
        "INSERT INTO users (username, email, updated_at) VALUES ('x', 'x', '10000-01-01')",
        "INSERT INTO users (username, email, updated_at) VALUES ('x', 'x', '0001-01-01 BC')",
    ],
)
def test_what_cannot_be_told_is_kept_out(
    orderctl: Orderctl, database_url: str, statement: str
) -> None:
    assert orderctl("migrate").err == ""

    with (
        closing(psycopg2.connect(database_url)) as connection,
        pytest.raises(psycopg2.errors.CheckViolation, match="can_be_told"),
    ):
        connection.cursor().execute(statement)


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--check"), ("status",)])
def test_a_table_that_was_changed_ends_with_78(
    orderctl: Orderctl, database_url: str, arguments: tuple[str, ...]
) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute("ALTER TABLE products ALTER price TYPE numeric(12,1)")

    done = orderctl(*arguments)

    assert done.code == (78 if arguments[0] == "migrate" else 1)
    said = "column products.price is numeric(12,1), which does not hold every value"
    assert said in done.err + done.out


def test_a_constraint_that_is_gone_is_told_and_the_work_goes_on(
    orderctl: Orderctl, database_url: str
) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute(
            "ALTER TABLE products DROP CONSTRAINT products_stock_quantity_check"
        )

    said = (
        "column products.stock_quantity has no CHECK: other programs can write values that orderd "
        "rejects"
    )
    for arguments in (("migrate",), ("migrate", "--check")):
        done = orderctl(*arguments)
        assert (done.code, done.out) == (0, "the schema is up to date\n")
        assert done.err == f"{said}\n"
        assert orderctl(*arguments, "--json").document["missing"] == [said]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_database_of_another_encoding_is_refused_in_words(
    orderctl: Orderctl, servers: Servers, encoding: str, arguments: tuple[str, ...]
) -> None:
    name = f"{RUN_NAME}_{encoding.lower()}"
    url = servers.postgres.create_database(name, encoding=encoding)

    refused = orderctl("migrate", *arguments, ORDERD_DATABASE_URL=url)
    servers.postgres.drop_database(name)

    assert refused.code == 78
    assert f"has the encoding {encoding}" in refused.err
    assert "UTF8" in refused.err


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_database_behind_a_pooler_is_migrated(
    orderctl: Orderctl, servers: Servers, empty_database_url: str, mode: str
) -> None:
    with pgbouncer_before(servers, empty_database_url, mode) as pooler:
        url = pooler.url(empty_database_url)

        done = orderctl("migrate", ORDERD_DATABASE_URL=url)
        checked = orderctl("migrate", "--check", ORDERD_DATABASE_URL=url)

    assert done.out.startswith("applied: 0001_create_shop\n")
    assert (done.code, checked.code) == (0, 0)
