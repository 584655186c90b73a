"""A connection lost in the middle: nothing half done, and what was done is found again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orderd.amqp.message import Delivery
from orderd.db.faults import DatabaseOutage, SchemaFault
from orderd.pipeline.results import Result
from orderd.shop.outcomes import Answered, Applied, Duplicate
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import again, request
from tools.postgresql import PrivatePostgres


def create_product(request_id: str | None) -> Delivery:
    arguments = {"name": "lamp", "price": 1, "stock_quantity": 1}
    return request("product", "create", arguments, request_id=request_id)


def groups(shop: Shop, deliveries: list[Delivery]) -> Iterator[list[Result]]:
    return shop.groups(deliveries)


def test_a_connection_lost_between_load_and_commit_leaves_nothing_behind(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    before, stock = shop.tables(), shop.stock_of(2)
    item = {"product_id": 2, "quantity": 1}
    batch = [
        create_product("p"),
        request("order", "create", {"user_id": 1, "items": [item]}, request_id="o"),
    ]
    with session, session.cursor() as cursor:
        cursor.execute("SELECT FROM products WHERE id = 2 FOR UPDATE")
        waiting = threads.submit(shop.process, batch)
        shop.wait_until_blocked()
        shop.terminate_backends()
        with pytest.raises(DatabaseOutage):
            waiting.result()
    assert shop.tables() == before

    results = shop.process([again(one) for one in batch])

    assert [type(result.outcome) for result in results] == [Applied, Applied]
    assert shop.stock_of(2) == stock - 1


def test_what_was_committed_before_the_outage_is_a_duplicate_after_it(shop: Shop) -> None:
    batch = [create_product("first"), request("product", "list", {}), create_product("second")]
    parts = groups(shop, batch)
    (first,) = next(parts)
    (listed,) = next(parts)
    shop.terminate_backends()
    with pytest.raises(DatabaseOutage):
        next(parts)

    results = shop.process([again(one) for one in batch])

    assert isinstance(first.outcome, Applied)
    assert isinstance(listed.outcome, Answered)
    assert [type(result.outcome) for result in results] == [Duplicate, Answered, Applied]
    assert results[0].response == first.response
    assert shop.count("products") == 5


@pytest.fixture
def absent_standby(shop: Shop, private_postgres: PrivatePostgres) -> Iterator[None]:
    """Commits take effect soon, but their answers wait for a standby that does not exist."""
    assert private_postgres.pid is not None
    shop.query("SET synchronous_commit = local")
    shop.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    shop.query("SELECT pg_reload_conf()")
    yield
    shop.query("ALTER SYSTEM RESET synchronous_standby_names")
    shop.query("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("absent_standby")
def test_a_commit_whose_answer_is_lost_is_found_and_not_repeated(
    shop: Shop, threads: ThreadPoolExecutor
) -> None:
    one = create_product("r0")
    waiting = threads.submit(shop.process, [one])
    while not shop.query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
        if waiting.done():
            # The server has not taken the setting over yet.
            one = create_product(f"r{shop.count('products')}")
            waiting = threads.submit(shop.process, [one])
    shop.terminate_backends()
    with pytest.raises(DatabaseOutage):
        waiting.result()
    products_before = shop.count("products")
    shop.set(synchronous_commit="local")

    duplicate, applied = shop.process([again(one), create_product(None)])

    assert isinstance(duplicate.outcome, Duplicate)
    # The ids of the lost batch are not used again, though nobody knew whether they were used.
    assert isinstance(applied.outcome, Applied)
    assert shop.count("products") == products_before + 1


def test_a_read_only_database_is_an_outage_and_nobodys_fault(shop: Shop) -> None:
    before = shop.tables()
    shop.set(default_transaction_read_only="on")

    with pytest.raises(DatabaseOutage, match="25006"):
        shop.process([create_product("r")])

    assert shop.tables() == before
    (applied,) = shop.process([create_product("r")])
    assert isinstance(applied.outcome, Applied)


def test_a_missing_table_settles_nothing(shop: Shop) -> None:
    shop.query("ALTER TABLE outbox RENAME TO elsewhere")

    with pytest.raises(SchemaFault):
        shop.process([create_product("r")])

    assert shop.count("processed_requests") == 0
    shop.query("ALTER TABLE elsewhere RENAME TO outbox")
    (applied,) = shop.process([create_product("r")])
    assert isinstance(applied.outcome, Applied)


def test_an_invalid_message_needs_no_database(shop: Shop) -> None:
    parts = groups(shop, [request("product", "explode"), create_product("r")])
    shop.terminate_backends()

    (invalid,) = next(parts)
    with pytest.raises(DatabaseOutage):
        next(parts)

    assert invalid.delivery.queue == "product"
