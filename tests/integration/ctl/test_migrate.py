from contextlib import closing

import psycopg2

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
