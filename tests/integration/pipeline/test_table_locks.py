"""A table that another session has locked holds up the commands that need it, and no others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg2
import pytest

from orderd.amqp.message import Delivery
from orderd.db.faults import DatabaseOutage
from orderd.logs.events import LogEvent
from orderd.pipeline import commit as committer
from orderd.pipeline.locking import table_locks
from orderd.pipeline.quarantine import Quarantine
from orderd.protocol.names import DeferralCode, UnavailableCode
from orderd.shop.outcomes import (
    Applied,
    Deferred,
    Duplicate,
    Outcome,
    Refused,
    Unavailable,
    Waiting,
)
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import again, request
from tools.waiting import wait_until

ORDER = {"user_id": 1, "items": [{"product_id": 2, "quantity": 1}]}
MODES = ["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE"]

Log = list[tuple[LogEvent, str]]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What the batch logs."""
    lines: Log = []
    for module in (committer, table_locks):
        monkeypatch.setattr(module, "emit", lambda event, why, **_: lines.append((event, why)))
    return lines


@pytest.fixture
def hasty(shop: Shop) -> Shop:
    """The shop, whose committer waits for a lock only a moment."""
    shop.set(lock_timeout="200ms")
    return shop


def of_every_queue(mark: str) -> dict[str, Delivery]:
    """One command of each kind, by name."""
    user = {"username": mark, "email": f"{mark}@x.org"}
    product = {"name": mark, "price": 1, "stock_quantity": 1}
    return {
        "new user": request("user", "create", user, request_id=f"{mark}-u"),
        "user": request("user", "get", {"id": 1}),
        "users": request("user", "list", {}),
        "health": request("user", "health_check"),
        "new product": request("product", "create", product, request_id=f"{mark}-p"),
        "stock": request("product", "update", {"id": 3, "price": 3}, request_id=f"{mark}-s"),
        "product": request("product", "get", {"id": 1}),
        "new order": request("order", "create", ORDER, request_id=f"{mark}-o"),
        "cancel": request(
            "order", "update_status", {"order_id": 1, "status": "cancelled"}, request_id=f"{mark}-c"
        ),
        "order": request("order", "get", {"order_id": 1}),
        "orders": request("order", "list", {}),
    }


def outcomes(shop: Shop, batch: dict[str, Delivery]) -> dict[str, Outcome]:
    results = shop.process(list(batch.values()))
    return dict(zip(batch, (result.outcome for result in results), strict=True))


def hindered(found: dict[str, Outcome]) -> set[str]:
    """Return the names of the commands that were put off, and of the queries refused."""
    return {
        name for name, one in found.items() if isinstance(one, Deferred | Waiting | Unavailable)
    }


@contextmanager
def locked(session: Connection, table: str, mode: str = "ACCESS EXCLUSIVE") -> Iterator[int]:
    """Hold a lock on the table in the block; gives the pid of its holder."""
    with session, session.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield session.info.backend_pid


WRITERS = {
    "users": {"new user"},
    "products": {"new product", "stock", "new order", "cancel"},
    "orders": {"new order", "cancel"},
    "order_items": {"new order", "cancel"},
}
LOCKERS = {**WRITERS, "users": {"new user", "new order"}}
READERS = {
    "users": {"user", "users"},
    "products": {"product"},
    "orders": {"order", "orders"},
    "order_items": {"order", "orders"},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("table", list(WRITERS))
def test_only_what_needs_the_table_is_put_off(
    hasty: Shop, session: Connection, table: str, mode: str
) -> None:
    with locked(session, table, mode) as pid:
        found = outcomes(hasty, of_every_queue("ann"))

    wanted = {
        "ACCESS EXCLUSIVE": LOCKERS[table] | READERS[table],
        "EXCLUSIVE": LOCKERS[table],
    }.get(mode, WRITERS[table])
    assert hindered(found) == wanted
    for outcome in found.values():
        if isinstance(outcome, Deferred):
            assert outcome.code == DeferralCode.TRANSIENT
            assert outcome.message.startswith(f"table {table} is locked by pid {pid} (")
        if isinstance(outcome, Unavailable):
            assert outcome.code == UnavailableCode.UNAVAILABLE
            assert f"table {table} is locked by pid {pid}" in outcome.message


def test_commands_that_need_the_table_are_put_off_together_before_the_others_are_done(
    hasty: Shop, session: Connection, log: Log
) -> None:
    batch = [request("order", "create", ORDER, request_id=f"o{n}") for n in range(20)] + list(
        of_every_queue("ann").values()
    )[:1]

    with locked(session, "orders"):
        groups = list(hasty.groups(batch))

    assert [{type(result.outcome) for result in group} for group in groups] == [
        {Deferred},
        {Applied},
    ]
    assert [len(group) for group in groups] == [20, 1]
    assert [event for event, _ in log] == [LogEvent.TABLE_LOCKED]


def test_a_table_that_is_known_to_be_locked_is_not_waited_for_again(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor, log: Log
) -> None:
    shop.set(lock_timeout="200ms")
    with locked(session, "orders"):
        outcomes(shop, of_every_queue("ann"))
        # From now on a wait would be noticed.
        shop.set(lock_timeout="60s")
        waiting = threads.submit(outcomes, shop, of_every_queue("bob"))
        found = waiting.result(timeout=30)

    assert hindered(found) == LOCKERS["orders"] | READERS["orders"]
    assert [event for event, _ in log] == [LogEvent.TABLE_LOCKED]


def test_when_the_lock_is_gone_all_is_as_before(hasty: Shop, session: Connection, log: Log) -> None:
    batch = of_every_queue("ann")
    with locked(session, "orders"):
        outcomes(hasty, batch)

    found = outcomes(hasty, {name: again(one) for name, one in batch.items()})

    assert hindered(found) == set()
    assert isinstance(found["new order"], Applied)
    assert [event for event, _ in log] == [LogEvent.TABLE_LOCKED, LogEvent.TABLE_UNLOCKED]


def test_another_lock_on_the_table_is_waited_for_first(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor, database_url: str
) -> None:
    shop.set(lock_timeout="200ms")
    with locked(session, "orders"):
        outcomes(shop, of_every_queue("ann"))
    shop.set(lock_timeout="60s")
    with closing(psycopg2.connect(database_url)) as other:
        with locked(other, "orders"):
            waiting = threads.submit(outcomes, shop, of_every_queue("bob"))
            shop.wait_until_blocked()
        found = waiting.result()

    # It stands behind the one that was put off before.
    assert hindered(found) == {"cancel"}


def test_a_waiting_alter_table_is_named(
    hasty: Shop, session: Connection, threads: ThreadPoolExecutor, database_url: str
) -> None:
    with (
        closing(psycopg2.connect(database_url, application_name="migration")) as altering,
        session,
        session.cursor() as reader,
    ):
        reader.execute("SELECT FROM orders")
        pid = altering.info.backend_pid
        done = threads.submit(run, altering, "ALTER TABLE orders ADD COLUMN note text")
        wait_until(
            lambda: hasty.query(
                "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", pid
            ),
            timeout_s=20,
            what="an ALTER TABLE that waits",
        )
        found = outcomes(hasty, of_every_queue("ann"))
        session.rollback()
        done.result()

    assert hindered(found) == LOCKERS["orders"] | READERS["orders"]
    deferred = found["new order"]
    assert isinstance(deferred, Deferred)
    assert f"table orders is about to be locked by pid {pid} (migration, query start 2" in (
        deferred.message
    )


def run(session: Connection, statement: str) -> None:
    with session, session.cursor() as cursor:
        cursor.execute(statement)


def test_a_prepared_transaction_has_no_pid() -> None:
    lock = table_locks.TableLock("orders", "ExclusiveLock", True, None, None, None)

    assert str(lock) == "table orders is locked by a prepared transaction"


def test_a_locked_record_of_tries_holds_up_redelivered_messages_only(
    hasty: Shop, session: Connection
) -> None:
    new, second = (of_every_queue(name)["new product"] for name in ("ann", "bob"))
    with locked(session, "message_tries"):
        (applied,) = hasty.process([new])
        with pytest.raises(DatabaseOutage, match="table message_tries is locked"):
            hasty.process([replace(second, redelivered=True)])

    assert isinstance(applied.outcome, Applied)


def test_a_record_of_tries_that_cannot_be_written_is_an_outage(
    hasty: Shop, session: Connection
) -> None:
    suspect = replace(of_every_queue("ann")["new product"], redelivered=True)
    quarantine = Quarantine(hasty.database)

    with locked(session, "message_tries"), pytest.raises(DatabaseOutage, match="message_tries"):
        list(quarantine.admit([suspect], poison_after=3))

    assert [group.deliveries for group in quarantine.admit([suspect], poison_after=3)] == [
        [suspect]
    ]


@pytest.mark.parametrize("table", ["processed_requests", "outbox"])
def test_a_locked_table_that_every_command_needs_is_an_outage_that_costs_nothing(
    hasty: Shop, session: Connection, table: str
) -> None:
    before = hasty.tables()
    batch = of_every_queue("ann")
    with locked(session, table) as pid:
        for _ in range(2):
            with pytest.raises(DatabaseOutage, match=f"table {table} is locked by pid {pid}"):
                outcomes(hasty, {name: again(one) for name, one in batch.items()})
    assert hasty.tables() == before

    assert hindered(outcomes(hasty, batch)) == set()


def test_a_locked_row_is_no_locked_table(hasty: Shop, session: Connection, log: Log) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("SELECT FROM orders WHERE id = 1 FOR UPDATE")
        found = outcomes(hasty, of_every_queue("ann"))

    assert hindered(found) == {"cancel"}
    assert log == []


def expiring(mark: str, expires_s: float) -> Delivery:
    """Return the copy of a deferred command whose time ends then, in seconds since 1970."""
    headers = {"orderd-expires-at": round(expires_s * 1000)}
    arguments = {"name": mark, "price": 1, "stock_quantity": 1}
    return request("product", "create", arguments, request_id=mark, attempt=1, headers=headers)


def test_a_command_whose_time_is_over_is_refused_while_its_table_is_locked(
    hasty: Shop, session: Connection
) -> None:
    late, later = expiring("late", time.time() - 1), expiring("later", time.time() + 60)

    with locked(session, "products"):
        # The second time the lock is known.
        for mark in ("first", "second"):
            found = outcomes(hasty, {"over": late, "not over": later} | of_every_queue(mark))
            assert isinstance(found["over"], Refused if mark == "first" else Duplicate)
            assert isinstance(found["not over"], Deferred if mark == "first" else Waiting)
        (code,) = hasty.query("SELECT code FROM processed_requests WHERE id = 'late'")

    assert code == ("expired",)
    assert isinstance(outcomes(hasty, {"not over": again(later)})["not over"], Applied)


def test_a_command_whose_time_ends_while_a_lock_is_waited_for_is_not_applied_afterwards(
    hasty: Shop, session: Connection
) -> None:
    one = expiring("late", time.time() + 2)

    with locked(session, "products"):
        (deferred,) = hasty.process([one])
        wait_until(lambda: time.time() > one.received_s + 2, timeout_s=5, what="its end")
    (refused,) = hasty.process([one])

    assert isinstance(deferred.outcome, Deferred)
    assert isinstance(refused.outcome, Refused)
    assert refused.outcome.code == "expired"
    assert hasty.count("products") == 3
