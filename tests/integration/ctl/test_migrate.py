from contextlib import closing

import psycopg2
import pytest

from tests.conftest import RUN_NAME
from tests.harness.pgbouncer import pgbouncer_before
from tests.harness.servers import Servers
from tests.integration.ctl.conftest import Orderctl


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
    assert (second.code, second.document) == (0, {"applied": []})
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
