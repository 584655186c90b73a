"""What the server fails at for one command costs that command; what it fails at for all is away."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from orderd.amqp.message import Delivery
from orderd.contract.names import DeferralCode, UnavailableCode
from orderd.db.faults import DatabaseOutage
from orderd.domain.outcomes import Answered, Applied, Deferred, Unavailable
from tests.integration.batch.shop import Shop
from tests.support.commands import again, request
from tests.support.damage import damage, data_file, first_on_page
from tools.postgresql import PrivatePostgres

SHELVES = "INSERT INTO products (name, price, stock_quantity) SELECT 'shelf', 1, 9 FROM {}"


def restock(product_id: int) -> Delivery:
    arguments = {"id": product_id, "stock_quantity": 5}
    return request("product", "update", arguments, request_id=f"restock {product_id}")


def failing(shop: Shop, sqlstate: str, when: str) -> None:
    """Let a trigger fail as the server itself may."""
    shop.query(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$;
        CREATE TRIGGER fail BEFORE {when} EXECUTE FUNCTION fail();
        """
    )


@pytest.fixture
def shelves(database_url: str, private_postgres: PrivatePostgres) -> Iterator[tuple[Shop, int]]:
    """A shop whose products 1 to N are on a page that cannot be read; with N."""
    with Shop(database_url) as shop:
        shop.query(SHELVES.format("generate_series(1, 500)"))
    last = first_on_page(database_url, "products", 1) - 1
    damage(private_postgres, database_url, "products")
    with Shop(database_url) as shop:
        yield shop, last


def test_a_damaged_page_costs_the_commands_that_need_it_only(shelves: tuple[Shop, int]) -> None:
    shop, last = shelves
    get = request("product", "get", {"id": 1})

    results = shop.process(
        [*(restock(last + n) for n in range(1, 8)), restock(last), get, restock(last + 9)]
    )

    *others, damaged, got, later = results
    assert {type(result.outcome) for result in (*others, later)} == {Applied}
    assert isinstance(damaged.outcome, Deferred)
    assert damaged.outcome.code == DeferralCode.UNEXPECTED
    assert damaged.outcome.message == "ServerFault: data corrupted (SQLSTATE XX001)"
    assert isinstance(got.outcome, Unavailable)
    assert got.outcome.code == UnavailableCode.UNAVAILABLE


def test_a_command_that_meets_a_damaged_page_alone_is_at_fault(shelves: tuple[Shop, int]) -> None:
    shop, last = shelves
    (alone,) = shop.process([again(restock(1))])
    (listed,) = shop.process([request("product", "list", {"limit": 5})])
    (other,) = shop.process([request("product", "get", {"id": last + 1})])

    assert isinstance(alone.outcome, Deferred)
    assert isinstance(listed.outcome, Unavailable)
    assert isinstance(other.outcome, Answered)


@pytest.mark.parametrize("sqlstate", ["53400", "58030", "XX000"])
def test_what_the_server_fails_at_for_one_row_costs_its_command_only(
    shop: Shop, sqlstate: str
) -> None:
    failing(shop, sqlstate, "UPDATE ON products FOR EACH ROW WHEN (NEW.id = 2)")

    first, culprit, third = shop.process([restock(1), restock(2), restock(3)])

    assert isinstance(first.outcome, Applied)
    assert isinstance(culprit.outcome, Deferred)
    assert f"(SQLSTATE {sqlstate})" in culprit.outcome.message
    assert isinstance(third.outcome, Applied)


@pytest.mark.parametrize("sqlstate", ["42P01", "53200", "58030", "XX000"])
def test_a_fault_that_is_gone_at_the_next_try_costs_nothing(shop: Shop, sqlstate: str) -> None:
    shop.query("CREATE SEQUENCE tries")
    failing(shop, sqlstate, "UPDATE ON products FOR EACH ROW WHEN (nextval('tries') = 1)")

    (applied,) = shop.process([restock(1)])

    assert isinstance(applied.outcome, Applied)


@pytest.mark.parametrize("sqlstate", ["53200", "58030", "XX000"])
def test_what_the_server_fails_at_for_all_is_an_outage(shop: Shop, sqlstate: str) -> None:
    before = shop.tables()
    failing(shop, sqlstate, "INSERT ON processed_requests FOR EACH STATEMENT")
    batch = [restock(1), restock(2)]

    with pytest.raises(DatabaseOutage, match=sqlstate):
        shop.process(batch)
    with pytest.raises(DatabaseOutage, match=sqlstate):
        shop.process(batch[:1])
    assert shop.tables() == before
    shop.query("DROP TRIGGER fail ON processed_requests")

    assert [type(result.outcome) for result in shop.process(batch)] == [Applied, Applied]


@pytest.fixture
def misplaced(database_url: str, private_postgres: PrivatePostgres) -> Iterator[tuple[Path, Path]]:
    """The file of the products, and where it is meanwhile."""
    with closing(psycopg2.connect(database_url)) as connection:
        path = data_file(connection, private_postgres, "products")
    elsewhere = path.with_suffix(".elsewhere")
    yield path, elsewhere
    assert path.exists()


def test_a_table_without_its_file_is_an_outage(
    database_url: str, private_postgres: PrivatePostgres, misplaced: tuple[Path, Path]
) -> None:
    path, elsewhere = misplaced
    with Shop(database_url) as shop:
        shop.query(SHELVES.format("generate_series(1, 3)"))
    private_postgres.stop()
    path.rename(elsewhere)
    private_postgres.start()
    try:
        with Shop(database_url) as shop, pytest.raises(DatabaseOutage, match="58P01"):
            shop.process([restock(1)])
    finally:
        elsewhere.rename(path)

    with Shop(database_url) as shop:
        (applied,) = shop.process([restock(1)])
    assert isinstance(applied.outcome, Applied)
