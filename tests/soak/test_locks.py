"""Other sessions hold rows, take locks the wrong way round, or let transactions fail."""

import signal
from contextlib import closing

import psycopg2
import pytest
from psycopg2.errors import DeadlockDetected

from tests.soak.audit import Pardon
from tests.soak.chaos_run import ChaosRun, times
from tests.soak.workload import HOT
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

RETRY_DELAYS = "500ms, 1s, 2s, 4s, 8s, 16s"
# To be tried again later is what a row held by others comes to, and never more than that.
TRANSIENT = Pardon(deferred={"transient"})
SOMETIMES = """
    CREATE FUNCTION fail_sometimes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF random() < 0.3 THEN
                RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
            END IF;
            RETURN NULL;
        END
    $$;
    CREATE TRIGGER fail_sometimes AFTER INSERT ON orders
        FOR EACH STATEMENT EXECUTE FUNCTION fail_sometimes();
"""
NEVER = "DROP TRIGGER fail_sometimes ON orders"


def test_rows_that_others_hold_delay_only_who_needs_them(chaos: ChaosRun) -> None:
    chaos.begin("row locked by somebody else", daemons=2, rate=60, retry_delays=RETRY_DELAYS)

    for _ in range(times(3)):
        marks = [(one, one.mark()) for one in chaos.daemons if one.is_running]
        with closing(psycopg2.connect(chaos.database_url)) as holder:
            holder.cursor().execute("SELECT FROM products WHERE id = 1 FOR UPDATE")
            for one, mark in marks:
                one.wait_for_event("command.deferred", after=mark, timeout_s=30)
            # Its neighbours are done in the meantime.
            chaos.wait_for_work(30)
            dying = chaos.hire(ready=False, failpoint="retry_published")
            assert dying.exit_code(30) == -signal.SIGKILL
            chaos.figures.kills += 1
        chaos.recover(is_outage=False)

    chaos.finish(TRANSIENT)


def test_deadlocks_with_others_are_redone(chaos: ChaosRun) -> None:
    chaos.begin("deadlock with somebody else", daemons=2, retry_delays=RETRY_DELAYS)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    for _ in range(times(5)):
        chaos.wait_for_work(50)
        with closing(psycopg2.connect(chaos.database_url)) as other:
            cursor = other.cursor()
            cursor.execute("SELECT FROM products WHERE id = %s FOR UPDATE", [max(HOT)])
            wait_until(lambda: chaos.waiting_for_locks() > 0, timeout_s=20, what="a lock wait")
            try:
                cursor.execute("SELECT FROM products WHERE id < %s FOR UPDATE", [max(HOT)])
            except DeadlockDetected:
                other.rollback()
        chaos.recover(is_outage=False)

    wait_until(lambda: chaos.query(deadlocks)[0][0] > 0, timeout_s=10, what="a deadlock on record")
    chaos.finish(TRANSIENT)


def test_serialization_failures_are_redone(chaos: ChaosRun) -> None:
    chaos.begin("serialization failures", daemons=2, retry_delays=RETRY_DELAYS)
    chaos.query(SOMETIMES)

    chaos.wait_for_work(1_000)
    assert any(one.events("batch.retried") for one in chaos.daemons)
    chaos.query(NEVER)

    chaos.finish(TRANSIENT)
