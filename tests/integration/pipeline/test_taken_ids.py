"""Ids that other programs use: no command fails for it, and nobody's row is overwritten."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orderd.amqp.message import Delivery
from orderd.db.faults import DatabaseOutage
from orderd.pipeline import ids
from orderd.pipeline.results import Result
from orderd.protocol.names import DeferralCode
from orderd.shop.outcomes import Applied, Deferred, Invalid, Refused
from orderd.shop.registry import SHOP
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import again, request

TABLES = list(SHOP.tables_with_ids)
FAR = 300_000
BIGINT_MAX = 2**63 - 1
# How another program makes a row with the id i.
COLUMNS = {
    "users": ("username, email", "'u' || i, 'u' || i"),
    "products": ("name, price, stock_quantity", "'x', 1, 1000"),
    "orders": ("user_id, status, total_amount", "1, 'pending', 0"),
    "order_items": ("order_id, product_id, quantity, unit_price", "1, 1, 1, 1"),
    "outbox": ("message_id, type, body", "gen_random_uuid(), 'order.created', '{}'"),
}


@pytest.fixture(params=["owner", "limited"])
def worker(request: pytest.FixtureRequest, shop: Shop, database_url: str) -> Iterator[Shop]:
    """A committer, by the role that owns the tables or by one with the documented rights alone."""
    is_owner = request.param == "owner"
    url = database_url if is_owner else request.getfixturevalue("limited_url")
    assert shop.database.is_connected
    with Shop(url) as worker:
        yield worker


def creations(mark: str) -> list[Delivery]:
    """One new row in each table, and so many events."""
    return [
        request(
            "user", "create", {"username": mark, "email": f"{mark}@x.org"}, request_id=f"u{mark}"
        ),
        request(
            "product",
            "create",
            {"name": mark, "price": 1, "stock_quantity": 1},
            request_id=f"p{mark}",
        ),
        request(
            "order",
            "create",
            {"user_id": 1, "items": [{"product_id": 2, "quantity": 1}]},
            request_id=f"o{mark}",
        ),
    ]


def leave_ids_in_the_pool(worker: Shop) -> None:
    """Let commands be refused for which ids of every table were taken."""
    items = [{"product_id": product_id, "quantity": 1} for product_id in (1, 2, 3)]
    results = worker.process(
        [
            request("user", "create", {"username": "zoe", "email": "new@x.org"}),
            *(
                request(
                    "product",
                    "create",
                    {"name": name, "price": 1, "stock_quantity": 1},
                    request_id="once",
                )
                for name in ("lamp", "another lamp")
            ),
            request("order", "create", {"user_id": 99, "items": items}),
        ]
    )
    assert [type(result.outcome) for result in results] == [Refused, Applied, Invalid, Refused]


def insert(shop: Shop, table: str, first: int, count: int) -> None:
    """Put rows with explicit ids into the table, as another program does."""
    columns, values = COLUMNS[table]
    # Without the checks of foreign keys, which would take most of the time.
    shop.query("SET session_replication_role = replica")
    shop.query(
        f"INSERT INTO {table} (id, {columns}) SELECT i, {values} "  # noqa: S608
        f"FROM generate_series({first}, {first + count - 1}) i"
    )
    shop.query("RESET session_replication_role")


def next_id(shop: Shop, table: str) -> int:
    (row,) = shop.query(f"SELECT last_value + is_called::int FROM {table}_id_seq")  # noqa: S608
    return int(row[0])


def set_back(shop: Shop, table: str, count: int) -> None:
    shop.query("SELECT setval(%s, %s, false)", f"{table}_id_seq", next_id(shop, table) - count)


def assert_applied(results: list[Result]) -> None:
    assert [type(result.outcome) for result in results] == [Applied] * len(results)


def assert_rows_are_as_told(shop: Shop, results: list[Result]) -> None:
    """Fail where two commands made one row, or a row or event is not there as it was told."""
    told = [
        (type(result.outcome.row).__name__, result.outcome.row.id)
        for result in results
        if isinstance(result.outcome, Applied)
    ]
    assert max(Counter(told).values()) == 1
    for kind, row_id in told:
        table = f"{kind.lower()}s"
        assert shop.query(f"SELECT id FROM {table} WHERE id = %s", row_id), (table, row_id)  # noqa: S608
    for result in results:
        for row in result.events:
            assert shop.query("SELECT message_id::text FROM outbox WHERE id = %s", row.id) == [
                (row.message_id,)
            ]


def test_tables_emptied_with_restart_identity_cost_nothing(shop: Shop, worker: Shop) -> None:
    leave_ids_in_the_pool(worker)
    shop.query("TRUNCATE users, products, orders, order_items, outbox RESTART IDENTITY CASCADE")
    for table in TABLES:
        # Another program, which takes its ids from the sequence, comes first.
        insert(shop, table, 1, 20)
        shop.query("SELECT setval(%s, 20)", f"{table}_id_seq")

    results = worker.process(creations("ann")) + worker.process(creations("bob"))

    assert_applied(results)
    assert_rows_are_as_told(shop, results)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("count", [3, FAR])
def test_a_sequence_that_was_set_back_catches_up(
    shop: Shop, worker: Shop, table: str, count: int
) -> None:
    leave_ids_in_the_pool(worker)
    insert(shop, table, next_id(shop, table), FAR)
    shop.query("SELECT setval(%s, %s)", f"{table}_id_seq", next_id(shop, table) + FAR - 1)
    set_back(shop, table, count)

    results = [result for n in range(3) for result in worker.process(creations(f"u-{n}"))]

    assert_applied(results)
    assert_rows_are_as_told(shop, results)


@pytest.mark.parametrize("table", TABLES)
def test_rows_with_explicit_ids_just_ahead_are_gone_past(
    shop: Shop, worker: Shop, table: str
) -> None:
    leave_ids_in_the_pool(worker)
    # Some ids before it are in the pool, and those behind are to come.
    insert(shop, table, next_id(shop, table) - 1, 4)
    insert(shop, table, BIGINT_MAX, 1)

    results = [result for n in range(3) for result in worker.process(creations(f"u-{n}"))]

    assert_applied(results)
    assert_rows_are_as_told(shop, results)
    assert next_id(shop, table) < 200


@pytest.mark.parametrize("table", TABLES)
def test_a_sequence_that_gives_ids_again_which_are_at_hand_makes_no_row_twice(
    shop: Shop, worker: Shop, table: str
) -> None:
    leave_ids_in_the_pool(worker)
    set_back(shop, table, 1)

    results = worker.process([one for n in range(3) for one in creations(f"u-{n}")])

    assert_applied(results)
    assert_rows_are_as_told(shop, results)


def test_a_row_with_an_id_that_is_at_hand_is_changed_and_not_overwritten(shop: Shop) -> None:
    leave_ids_in_the_pool(shop)
    taken = next_id(shop, "users") - 1
    insert(shop, "users", taken, 1)
    update = request("user", "update", {"id": taken, "full_name": "Somebody Else"})
    create, *_ = creations("ann")

    results = shop.process([update, create])

    assert_applied(results)
    assert_rows_are_as_told(shop, results)
    assert shop.query("SELECT username, full_name FROM users WHERE id = %s", taken) == [
        (f"u{taken}", "Somebody Else")
    ]


def test_a_line_with_an_id_that_is_at_hand_stays_in_its_order(shop: Shop) -> None:
    leave_ids_in_the_pool(shop)
    insert(shop, "order_items", next_id(shop, "order_items") - 3, 3)
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 1}]
    update = request("order", "update", {"order_id": 1, "items": items})

    (result,) = shop.process([update])

    assert_applied([result])
    lines = shop.query("SELECT product_id, quantity FROM order_items WHERE order_id = 1")
    assert sorted(lines) == [(1, 1), (2, 1)]
    assert shop.broken_promises() == []


@pytest.mark.parametrize("count", [1, 1_000])
def test_ids_of_rows_that_are_not_committed_are_gone_past(
    shop: Shop, session: Connection, count: int
) -> None:
    shop.set(lock_timeout="100ms")
    leave_ids_in_the_pool(shop)
    first = next_id(shop, "products") - 1
    with session, session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products (id, name, price, stock_quantity) "
            "SELECT i, 'x', 1, 1 FROM generate_series(%s, %s) i",
            (first, first + count - 1),
        )
        results = shop.process(creations("ann"))

    assert_applied(results)
    assert_rows_are_as_told(shop, results)


def test_two_daemons_catch_up_at_once(shop: Shop, rival: Shop, threads: ThreadPoolExecutor) -> None:
    insert(shop, "products", next_id(shop, "products"), FAR)
    batches = [
        [one for n in range(10) for one in creations(f"{name}{n}")] for name in ("ann", "bob")
    ]

    done = list(threads.map(Shop.process, (shop, rival), batches))

    for results in done:
        assert_applied(results)
    assert_rows_are_as_told(shop, done[0] + done[1])


def test_a_sequence_too_far_behind_for_one_go_is_an_outage_with_advice_and_catches_up(
    shop: Shop, limited_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "DRAWS_MAX", FAR // 2)
    first = next_id(shop, "users")
    insert(shop, "users", first, FAR)
    create, *_ = creations("ann")

    with Shop(limited_url) as worker:
        with pytest.raises(DatabaseOutage, match=rf"setval\('users_id_seq', {first + FAR - 1}\)"):
            worker.process([create])
        (result,) = worker.process([again(create)])

    assert_applied([result])


def test_other_work_goes_on_while_a_trigger_takes_ids(shop: Shop) -> None:
    shop.query(
        """
        CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS
            $$
            BEGIN
                INSERT INTO users (id, username, email) VALUES (1, 'a', 'a');
                RETURN NEW;
            END
            $$;
        CREATE TRIGGER take BEFORE INSERT ON products
            FOR EACH ROW WHEN (NEW.name = 'cursed') EXECUTE FUNCTION take();
        """
    )

    user, cursed, order = shop.process(
        [
            *creations("ann")[:1],
            request("product", "create", {"name": "cursed", "price": 1, "stock_quantity": 1}),
            *creations("bob")[2:],
        ]
    )

    assert_applied([user, order])
    assert isinstance(cursed.outcome, Deferred)
    assert cursed.outcome.code == DeferralCode.TRANSIENT


@pytest.mark.parametrize("table", TABLES)
def test_ids_come_from_the_sequence_of_the_column_whatever_its_name(
    worker: Shop, shop: Shop, table: str
) -> None:
    shop.query(f"ALTER SEQUENCE {table}_id_seq RENAME TO {table}_numbers")
    shop.query(f"CREATE SEQUENCE {table}_id_seq START 5000")
    shop.query(f"GRANT USAGE ON SEQUENCE {table}_id_seq TO PUBLIC")

    results = worker.process(creations("new"))

    assert {type(result.outcome) for result in results} == {Applied}
    assert shop.query(f"SELECT is_called FROM {table}_id_seq") == [(False,)]  # noqa: S608
    assert shop.query(f"SELECT max(id) < 5000 FROM {table}") == [(True,)]  # noqa: S608


def test_a_sequence_of_another_name_is_moved_past_the_rows_in_the_way(
    worker: Shop, shop: Shop
) -> None:
    shop.query("ALTER SEQUENCE users_id_seq RENAME TO users_numbers")
    shop.query(
        "INSERT INTO users (id, username, email) SELECT i, 'u' || i, 'u' || i "
        "FROM generate_series(3, 50) i"
    )

    (created, *_) = worker.process(creations("new"))

    assert isinstance(created.outcome, Applied)
    assert created.outcome.row.id == 51
