"""Whoever waits for what somebody else has locked spends no attempt, and tells who holds it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest

from orderd.amqp.message import Delivery
from orderd.amqp.renewal import renewed_command
from orderd.protocol.names import HEADER_PLACE, DeferralCode
from orderd.shop.outcomes import Answered, Applied, Deferred, Outcome, Unavailable, Waiting
from tests.integration.pipeline.shop import ATTEMPTS_MAX, Connection, Shop
from tests.support.commands import again, request

HOLD = "SELECT FROM products WHERE id = 2 FOR UPDATE"
LOCKED_ROW = "row 2 of table products is locked"


@pytest.fixture
def hasty(shop: Shop) -> Shop:
    """The shop, whose committer waits for a lock only a moment."""
    shop.set(lock_timeout="100ms")
    return shop


@pytest.fixture
def holder(database_url: str, shop: Shop) -> Iterator[Connection]:
    """Another daemon, which holds product 2 of the shop and does not go on."""
    assert shop.database.is_connected
    with closing(psycopg2.connect(database_url, application_name="frozen")) as holder:
        holder.cursor().execute(HOLD)
        yield holder


def order(product_id: int = 2, request_id: str | None = None) -> Delivery:
    items = [{"product_id": product_id, "quantity": 1}]
    return request("order", "create", {"user_id": 1, "items": items}, request_id=request_id)


def price(request_id: str | None = None) -> Delivery:
    return request("product", "update", {"id": 2, "price": 5}, request_id=request_id)


def from_its_retry_queue(one: Delivery, outcome: Outcome) -> Delivery:
    """Return the copy of a deferred message as it comes back."""
    assert isinstance(outcome, Deferred | Waiting)
    headers = {HEADER_PLACE: outcome.place} if outcome.place else {}
    return again(replace(one, properties=replace(one.properties, headers=headers)))


def assert_waits(outcome: Outcome, holder: Connection, *, is_first: bool) -> None:
    assert isinstance(outcome, Deferred if is_first else Waiting)
    assert outcome.lock
    pid = holder.info.backend_pid
    told = f"{LOCKED_ROW} by pid {pid} (frozen, transaction start 2"
    assert told in outcome.message


@pytest.mark.parametrize("request_id", ["a", None], ids=["with id", "without"])
@pytest.mark.parametrize("make", [order, price], ids=["a new row", "a row"])
def test_a_lock_that_is_met_again_and_again_spends_no_attempt(
    hasty: Shop, holder: Connection, make: object, request_id: str | None
) -> None:
    assert callable(make)
    one = make(request_id=request_id)
    for tries in range(ATTEMPTS_MAX + 2):
        (result,) = hasty.process([one])
        assert_waits(result.outcome, holder, is_first=tries == 0)
        one = from_its_retry_queue(one, result.outcome)
        ((waiters,),) = hasty.query("SELECT count(*) FROM deferrals WHERE waits_since <= now()")
        assert waiters == 1

    holder.rollback()
    (result,) = hasty.process([one])

    assert isinstance(result.outcome, Applied)
    assert hasty.count("deferrals") == 0


@pytest.mark.parametrize("make", [order, price], ids=["a new row", "a row"])
def test_whoever_has_waited_longer_than_the_patience_is_given_up(
    hasty: Shop, holder: Connection, make: object
) -> None:
    assert callable(make)
    one = make(request_id="a")
    (first,) = hasty.process([one])
    hasty.query("UPDATE deferrals SET waits_since = waits_since - interval '2 d'")

    (last,) = hasty.process([from_its_retry_queue(one, first.outcome)])

    assert isinstance(last.outcome, Deferred)
    assert last.outcome.is_last
    assert last.outcome.code == DeferralCode.TRANSIENT
    assert last.outcome.message.startswith("waited 17280")
    assert f"{LOCKED_ROW} by pid {holder.info.backend_pid} (frozen" in last.outcome.message
    hasty.deferrals.note_gone([last])
    hasty.deferrals.forget_ended()
    assert hasty.count("deferrals") == 0


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("request_id", ["a", None], ids=["with id", "without"])
def test_a_wait_goes_on_when_its_message_is_renewed(hasty: Shop, request_id: str | None) -> None:
    one = price(request_id)
    (first,) = hasty.process([one])
    hasty.query("UPDATE deferrals SET waits_since = waits_since - interval '2 d'")
    worn = replace(from_its_retry_queue(one, first.outcome), redelivered=True)

    places = hasty.deferrals.renew([worn], hasty.decoder.decode_one)
    copy = renewed_command(worn, {}, place=places[worn.tag])
    (last,) = hasty.process([again(replace(worn, properties=copy.properties))])

    assert isinstance(last.outcome, Deferred)
    assert last.outcome.message.startswith("waited 17280")


def test_neighbours_are_done_and_a_known_lock_is_not_waited_for_again(
    hasty: Shop, holder: Connection
) -> None:
    orders = [order(product_id, f"o{n}") for n, product_id in enumerate([1, 2, 3, 2, 2, 1, 2])]
    query = request("product", "get", {"id": 2})

    *outcomes, asked = (result.outcome for result in hasty.process([*orders, query]))
    # From now on a wait would be noticed.
    hasty.set(lock_timeout="60s", statement_timeout="120s")
    (new,) = hasty.process([order(2, "new")])

    locked = [n for n, one in enumerate(outcomes) if isinstance(one, Deferred)]
    assert locked == [1, 3, 4, 6]
    for n in locked:
        assert_waits(outcomes[n], holder, is_first=True)
    assert_waits(new.outcome, holder, is_first=True)
    assert [type(outcomes[n]) for n in (0, 2, 5)] == [Applied] * 3
    assert isinstance(asked, Answered)
    holder.rollback()
    (done,) = hasty.process([again(orders[1])])
    assert isinstance(done.outcome, Applied)


def test_of_several_holders_all_are_named(hasty: Shop, database_url: str) -> None:
    share = "SELECT FROM products WHERE id = 2 FOR SHARE"
    with (
        closing(psycopg2.connect(database_url)) as first,
        closing(psycopg2.connect(database_url)) as second,
    ):
        first.cursor().execute(share)
        second.cursor().execute(share)
        (result,) = hasty.process([order()])

        assert isinstance(result.outcome, Deferred)
        assert "row 2 of table products is locked, perhaps by pid" in result.outcome.message
        for holder in (first, second):
            assert f"pid {holder.info.backend_pid} (" in result.outcome.message


@pytest.mark.parametrize("column", ["username", "email"])
def test_a_name_that_another_transaction_is_about_to_take_is_a_lock(
    hasty: Shop, session: Connection, column: str
) -> None:
    ann = {"username": "ann", "email": "ann@x.org"}
    other = {"username": "other", "email": "other@x.org"} | {column: ann[column]}
    with session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (username, email) VALUES (%(username)s, %(email)s)", other
        )
        (result,) = hasty.process([request("user", "create", ann, request_id="a")])

    assert isinstance(result.outcome, Deferred)
    told = f"a row of table users is locked, perhaps by pid {session.info.backend_pid}"
    assert told in result.outcome.lock


def test_a_statement_that_takes_too_long_is_a_wait(shop: Shop) -> None:
    shop.query(
        """
        CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
        CREATE TRIGGER rest BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION rest();
        """
    )
    shop.set(statement_timeout="200ms")
    arguments = {"name": "slow", "price": 1, "stock_quantity": 1}

    (result,) = shop.process([request("product", "create", arguments)])

    assert isinstance(result.outcome, Deferred)
    assert result.outcome.lock == "query canceled (SQLSTATE 57014)"


def test_a_query_that_meets_a_lock_is_answered(hasty: Shop, session: Connection) -> None:
    session.cursor().execute("LOCK TABLE products")

    (result,) = hasty.process([request("product", "get", {"id": 2}, request_id="a")])

    assert isinstance(result.outcome, Unavailable)
    assert hasty.count("deferrals") == 0


def test_a_wait_that_another_fault_has_ended_begins_anew(hasty: Shop, holder: Connection) -> None:
    one = price("a")
    (first,) = hasty.process([one])
    holder.rollback()
    hasty.query("ALTER TABLE products ADD CHECK (price <> 5)")

    (second,) = hasty.process([from_its_retry_queue(one, first.outcome)])

    assert isinstance(second.outcome, Deferred)
    assert not second.outcome.lock
    assert hasty.query("SELECT waits_since, waits_for FROM deferrals") == [(None, None)]


def test_those_that_wait_for_one_row_come_back_in_their_order(
    hasty: Shop, holder: Connection
) -> None:
    assert not holder.closed
    one = price()
    copy = replace(again(one), redelivered=True)
    (first,) = hasty.process([one])
    groups = list(hasty.groups([copy, price("later"), from_its_retry_queue(one, first.outcome)]))

    # The two copies have one place; what was sent after them comes last.
    (results,) = groups
    assert [result.request_id for result in results] == [None, None, "later"]
