"""`orderctl prune`: the ledger forgets what is old enough, and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with a small name

from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import execute, value
from tools.waiting import wait_until

OLD = """
    INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint, created_at)
    SELECT '{prefix}-' || i, 'product', 'create', 'applied', '{{}}', 'f', now() - interval '{age}'
    FROM generate_series(1, {count}) AS i
"""


@pytest.fixture
def filled(database_url: str) -> str:
    """A ledger with 2,500 requests of 91 days, 10 of 89 days, 5 of 2 hours."""
    for prefix, age, count in (("old", "91 days", 2_500), ("mid", "89 days", 10)):
        execute(database_url, OLD.format(prefix=prefix, age=age, count=count))
    execute(database_url, OLD.format(prefix="new", age="2 hours", count=5))
    return database_url


def left(url: str) -> Any:
    sql = "SELECT coalesce(jsonb_object_agg(k, n), '{}') FROM (SELECT split_part(id, '-', 1) AS k, "
    return value(url, f"{sql} count(*) AS n FROM processed_requests GROUP BY 1) AS counts")


def test_what_is_older_than_the_setting_goes_and_nothing_else(
    orderctl: Orderctl, filled: str
) -> None:
    done = orderctl("prune", "--yes")

    assert (done.code, done.out) == (
        0,
        "2500 requests and 0 notifications older than 90d were deleted\n",
    )
    assert left(filled) == {"mid": 10, "new": 5}
    again = orderctl("prune", "--yes", "--json")
    assert again.document == {
        "pruned": 0,
        "pruned_notifications": 0,
        "older_than": "90d",
        "dry_run": False,
    }


def test_with_nothing_to_delete_no_confirmation_is_asked_for(orderctl: Orderctl) -> None:
    text, document = orderctl("prune"), orderctl("prune", "--json")

    assert (text.code, text.err) == (0, "")
    assert (document.code, document.document["to_prune"], document.document["dry_run"]) == (
        0,
        0,
        True,
    )


@pytest.mark.parametrize(
    ("arguments", "env", "kept"),
    [
        (("--older-than", "88d"), {}, {"new": 5}),
        (("--older-than", "1h"), {}, {}),
        (("--older-than", "36500d"), {}, {"old": 2_500, "mid": 10, "new": 5}),
        ((), {"ORDERD_LEDGER_RETENTION": "1d"}, {"new": 5}),
        (("--limit", "1700"), {}, {"old": 800, "mid": 10, "new": 5}),
    ],
)
def test_how_old_and_how_many_can_be_said(
    orderctl: Orderctl,
    filled: str,
    arguments: tuple[str, ...],
    env: dict[str, str],
    kept: dict[str, int],
) -> None:
    assert orderctl("prune", "--yes", *arguments, **env).code == 0

    assert left(filled) == kept


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("--dry-run",), 0)])
def test_nothing_goes_unless_that_is_meant(
    orderctl: Orderctl, filled: str, arguments: tuple[str, ...], code: int
) -> None:
    for both in (arguments, (*arguments, "--yes")) if arguments else (arguments,):
        done = orderctl("prune", *both, "--limit", "2000")

        assert (done.code, done.out) == (
            code,
            "2000 requests and 0 notifications older than 90d would be deleted\n",
        )
    assert ("pass --yes" in done.err) == (code == 2)
    assert left(filled) == {"old": 2_500, "mid": 10, "new": 5}


def test_each_slice_is_for_good_and_nobody_waits_for_more_than_one(
    orderctl: Orderctl, filled: str
) -> None:
    holder = psycopg2.connect(filled)
    # Of the oldest rows the last ones are locked: what was done before them stays done.
    holder.cursor().execute("SELECT FROM processed_requests WHERE id = 'mid-1' FOR UPDATE")

    done = orderctl("prune", "--yes", "--older-than", "88d")

    assert done.code == 1
    assert "lock not available" in done.err
    assert left(filled) == {"old": 500, "mid": 10, "new": 5}
    holder.close()


def test_who_prunes_beside_another_goes_on_with_what_that_one_leaves(
    orderctl: Orderctl, filled: str
) -> None:
    with (
        closing(psycopg2.connect(filled)) as other,
        closing(psycopg2.connect(filled)) as observer,
        ThreadPoolExecutor(1) as threads,
    ):
        observer.autocommit = True
        # Another one is about to delete what is the first slice of both.
        other.cursor().execute(
            "DELETE FROM processed_requests WHERE id IN ("
            "SELECT id FROM processed_requests ORDER BY created_at LIMIT 1000)"
        )
        pruning = threads.submit(orderctl, "prune", "--yes")
        wait_until(lambda: waits(observer), timeout_s=30, what="the wait", poll_s=0.01)
        other.commit()
        done = pruning.result()

    assert (done.code, done.out) == (
        0,
        "1500 requests and 0 notifications older than 90d were deleted\n",
    )
    assert left(filled) == {"mid": 10, "new": 5}


def waits(observer: Connection) -> bool:
    with observer.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.rowcount > 0


def test_what_a_trigger_keeps_is_told(orderctl: Orderctl, filled: str) -> None:
    execute(
        filled,
        """
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RETURN CASE WHEN OLD.id LIKE 'old-%' THEN NULL ELSE OLD END;
        END $$;
        CREATE TRIGGER keep BEFORE DELETE ON processed_requests
            FOR EACH ROW EXECUTE FUNCTION keep()
        """,
    )

    done = orderctl("prune", "--yes")

    assert done.code == 1
    assert "a trigger or rule keeps the others" in done.err
    assert left(filled) == {"old": 2_500, "mid": 10, "new": 5}


def test_each_slice_begins_where_the_last_one_ended(orderctl: Orderctl, filled: str) -> None:
    # Each a second apart, and each entry in the index as long as the snapshot is held.
    execute(
        filled,
        "CREATE TABLE spread AS SELECT * FROM processed_requests;"
        "TRUNCATE processed_requests;"
        "INSERT INTO processed_requests SELECT id, queue, action, outcome, code, response,"
        " fingerprint, created_at - split_part(id, '-', 2)::int * interval '1 s' FROM spread",
    )
    with closing(psycopg2.connect(filled)) as holder, closing(psycopg2.connect(filled)) as stats:
        stats.autocommit = True
        holder.set_session(isolation_level="REPEATABLE READ")
        holder.cursor().execute("SELECT count(*) FROM processed_requests")

        assert orderctl("prune", "--yes").code == 0

        def entries_read() -> int:
            with stats.cursor() as cursor:
                cursor.execute(
                    "SELECT idx_tup_read FROM pg_stat_user_indexes"
                    " WHERE indexrelname = 'processed_requests_age_idx'"
                )
                return int(cursor.fetchall()[0][0])

        wait_until(lambda: entries_read() >= 2_500, timeout_s=30, what="the statistics")
        # From the beginning each time, it would be 1,000 + 2,000 + 2,500 + 2,500.
        assert entries_read() < 4_000
    assert left(filled) == {"mid": 10, "new": 5}


def test_the_oldest_are_found_by_an_index(filled: str) -> None:
    execute(filled, "ANALYZE processed_requests")
    plan = value(
        filled,
        "EXPLAIN (FORMAT JSON) SELECT id FROM processed_requests "
        "WHERE created_at < now() - interval '90 days' ORDER BY created_at LIMIT 10",
    )

    assert "processed_requests_age_idx" in str(plan)


@pytest.mark.parametrize("age", ["59min", "36501d", "soon", "0"])
def test_an_age_that_cannot_be_meant_is_wrong_usage(orderctl: Orderctl, age: str) -> None:
    assert orderctl("prune", "--older-than", age, "--yes").code == 2
