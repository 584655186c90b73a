"""What is told is what the tables hold: what others' triggers and rules change is not committed."""

from typing import Any

import pytest
from pytest_mock import MockerFixture

from orderd.amqp.message import Delivery
from orderd.pipeline import transact
from orderd.pipeline.results import Result
from orderd.protocol.names import DeferralCode
from orderd.shop.outcomes import Answered, Applied, Deferred
from tests.integration.pipeline.shop import Shop
from tests.support.commands import again, request


def product(name: str, price: str = "12345.67") -> Delivery:
    arguments = {"name": name, "price": price, "stock_quantity": 1}
    return request("product", "create", arguments, request_id=f"create {name}")


def user(name: str) -> Delivery:
    arguments = {"username": name, "email": f"{name}@x.org"}
    return request("user", "create", arguments, request_id=f"create {name}")


def order(quantity: int, user_id: int = 1) -> Delivery:
    arguments = {"user_id": user_id, "items": [{"product_id": 2, "quantity": quantity}]}
    return request("order", "create", arguments, request_id=f"order {quantity}")


def change(queue: str, action: str, **arguments: Any) -> Delivery:
    return request(queue, action, arguments, request_id=f"{action} {arguments}")


def trigger(shop: Shop, when: str, table: str, body: str) -> None:
    """Let others have a trigger on a table."""
    shop.query(
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NEW; END $$;"
        f"CREATE TRIGGER meddler {when} ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()"
    )


def assert_deferred(result: Result, *texts: str) -> None:
    """Check that the command is tried again later, for a reason with these texts."""
    assert isinstance(result.outcome, Deferred)
    assert result.outcome.code == DeferralCode.UNEXPECTED
    assert result.outcome.message.startswith("WrittenDiffers: table ")
    for text in texts:
        assert text in result.outcome.message


DROPPED = [
    (("products", 4), "INSERT", "NEW.name = 'lamp'", product("lamp")),
    (("users", 3), "INSERT", "NEW.username = 'cursed'", user("cursed")),
    (("order_items", 5), "INSERT", "NEW.quantity = 7", order(7)),
    (("products", 1), "UPDATE", "NEW.price = 666", change("product", "update", id=1, price=666)),
    (("users", 1), "UPDATE", "NEW.full_name = 'cursed'",
     change("user", "update", id=1, full_name="cursed")),
    (("orders", 2), "UPDATE", "NEW.status = 'shipped'",
     change("order", "update_status", order_id=2, status="shipped")),
    (("order_items", 2), "UPDATE", "NEW.quantity = 7",
     change("order", "update", order_id=2, items=[{"product_id": 2, "quantity": 7}])),
    (("processed_requests", "order 7"), "INSERT", "NEW.id = 'order 7'", order(7)),
    (("outbox", 9), "INSERT", "NEW.body LIKE '%\"quantity\":7,%'", order(7)),
]  # fmt: skip
AUDITED = (
    "CREATE TABLE audit (id bigint);"
    "CREATE RULE audited AS ON INSERT TO products DO ALSO INSERT INTO audit VALUES (NEW.id)"
)
CUT = (
    "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN NEW.price := trunc(NEW.price); RETURN NEW; END $$;"
    "CREATE TRIGGER cut BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION cut()"
)
MISSING = "is missing after the write"


@pytest.mark.parametrize(("row", "event", "condition", "culprit"), DROPPED)
def test_what_a_trigger_drops_is_not_told(
    shop: Shop, row: tuple[str, int | str], event: str, condition: str, culprit: Delivery
) -> None:
    table, row_id = row
    trigger(shop, f"BEFORE {event}", table, f"IF {condition} THEN RETURN NULL; END IF;")

    (deferred,) = shop.process([culprit])

    assert_deferred(deferred, f"table {table}, row {row_id}: ", "trigger meddler")
    shop.query(f"ALTER TABLE {table} DISABLE TRIGGER meddler")
    (applied,) = shop.process([again(culprit)])
    assert isinstance(applied.outcome, Applied)


@pytest.mark.parametrize(
    ("table", "body", "culprit", "column"),
    [
        ("products", "NEW.price := round(NEW.price, 1);", product("lamp"), "price"),
        ("users", "NEW.email := upper(NEW.email);", user("ann"), "email"),
        ("users", "NEW.full_name := coalesce(NEW.full_name, '');", user("ann"), "full_name"),
        ("users", "NEW.is_active := false;", user("ann"), "is_active"),
        ("orders", "NEW.total_amount := 99;", order(1), "total_amount"),
        ("orders", "NEW.updated_at := clock_timestamp();", order(1), "updated_at"),
        ("orders", "NEW.created_at := now() - interval '1 day';", order(1), "created_at"),
        ("order_items", "NEW.quantity := 2;", order(1), "quantity"),
        ("order_items", "NEW.unit_price := 2;", order(1), "unit_price"),
        ("outbox", "NEW.body := '';", order(1), "body"),
        ("processed_requests", "NEW.outcome := 'refused';", order(1), "outcome"),
    ],
)
def test_what_a_trigger_changes_is_not_told_as_it_was_decided(
    shop: Shop, table: str, body: str, culprit: Delivery, column: str
) -> None:
    trigger(shop, "BEFORE INSERT", table, body)
    before = shop.tables()

    (deferred,) = shop.process([culprit])

    assert_deferred(deferred, f"table {table}, row ", f": {column} is not what was written")
    assert shop.tables() == before


def test_a_trigger_that_changes_a_row_afterwards_is_found(shop: Shop) -> None:
    shop.query(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE products SET price = 1 WHERE id = NEW.id; RETURN NULL; END $$;"
        "CREATE TRIGGER meddler AFTER INSERT ON products "
        "FOR EACH ROW EXECUTE FUNCTION meddle()"
    )

    (deferred,) = shop.process([product("lamp")])

    assert_deferred(deferred, "table products, row 4: price is not", "trigger meddler")


def test_a_rule_that_writes_elsewhere_is_found(shop: Shop) -> None:
    shop.query(
        "CREATE RULE meddler AS ON UPDATE TO products WHERE NEW.price = 666 DO INSTEAD NOTHING"
    )
    culprit = change("product", "update", id=1, price=666)

    fine, deferred = shop.process([change("product", "update", id=2, price=2), culprit])

    assert isinstance(fine.outcome, Applied)
    assert_deferred(deferred, "table products, row 1: price is not", "rule meddler")


def test_row_security_that_hides_what_was_written_is_found(shop: Shop, limited_url: str) -> None:
    shop.query("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    shop.query("CREATE POLICY may_write ON users FOR INSERT WITH CHECK (true)")
    shop.query("CREATE POLICY may_read ON users FOR SELECT USING (username <> 'cursed')")

    with Shop(limited_url) as worker:
        fine, deferred = worker.process([user("ann"), user("cursed")])

    assert isinstance(fine.outcome, Applied)
    assert_deferred(deferred, f"table users, row 4: {MISSING}", "row security")


@pytest.mark.parametrize("place", range(5))
def test_one_row_that_is_dropped_costs_its_neighbours_nothing(shop: Shop, place: int) -> None:
    trigger(shop, "BEFORE INSERT", "products", "IF NEW.price = 6 THEN RETURN NULL; END IF;")
    batch = [product(f"lamp {n}") for n in range(5)]
    batch[place] = product("cursed", "6")

    results = shop.process(batch)

    deferred = results.pop(place)
    assert_deferred(deferred, MISSING, "trigger meddler")
    assert (deferred.response, deferred.events) == (None, ())
    assert {type(one.outcome) for one in results} == {Applied}
    assert shop.query("SELECT id FROM products ORDER BY id") == [(n,) for n in range(1, 8)]
    assert shop.query("SELECT FROM processed_requests WHERE id = 'create cursed'") == []


@pytest.mark.parametrize(
    "change_of_others",
    [
        "ALTER TABLE products ALTER price TYPE numeric(14, 4)",
        "ALTER TABLE products ALTER price TYPE numeric",
        "ALTER TABLE orders ALTER total_amount TYPE numeric",
        "ALTER TABLE order_items ALTER unit_price TYPE numeric(16, 5)",
        "ALTER TABLE products ALTER name TYPE varchar(500)",
        AUDITED,
    ],
)
def test_what_makes_no_difference_costs_nothing(shop: Shop, change_of_others: str) -> None:
    shop.query(change_of_others)

    results = shop.process(
        [
            product("lamp"),
            change("product", "update", id=1, name="desk"),
            order(1),
            change("order", "update", order_id=2, items=[{"product_id": 2, "quantity": 7}]),
            request("order", "get", {"id": 1}),
        ]
    )

    assert [type(one.outcome) for one in results] == [Applied] * 4 + [Answered]


def test_a_trigger_that_sets_the_time_of_the_transaction_costs_nothing(shop: Shop) -> None:
    trigger(shop, "BEFORE INSERT OR UPDATE", "products", "NEW.updated_at := now();")

    results = shop.process([product("lamp"), change("product", "update", id=1, price=2)])

    assert {type(one.outcome) for one in results} == {Applied}


def test_a_column_that_holds_less_is_found(shop: Shop) -> None:
    shop.query("ALTER TABLE products ALTER price TYPE numeric(12, 1)")

    fine, deferred = shop.process([product("desk", "2.50"), product("lamp")])

    assert isinstance(fine.outcome, Applied)
    assert_deferred(deferred, "table products, row 5: price is not", "nothing known")


@pytest.mark.parametrize(
    ("change_of_others", "difference"),
    [
        ("ALTER TABLE products ALTER price TYPE numeric(12, 1)", "price"),
        (
            "ALTER TABLE products ALTER created_at SET DEFAULT now() - interval '1 day'",
            "created_at",
        ),
        (CUT, "price"),
        ("CREATE RULE none AS ON INSERT TO products DO INSTEAD NOTHING", "is missing"),
    ],
)
def test_a_change_to_tables_that_were_found_plain_is_found(
    shop: Shop, change_of_others: str, difference: str
) -> None:
    (before,) = shop.process([product("desk")])
    shop.query(change_of_others)

    (after,) = shop.process([product("lamp")])

    assert isinstance(before.outcome, Applied)
    assert_deferred(after, difference)


def test_what_was_written_is_not_read_back_from_plain_tables(
    shop: Shop, mocker: MockerFixture
) -> None:
    shop.process([product("desk")])
    read_back = mocker.spy(transact, "check_written")

    (applied,) = shop.process([product("lamp")])
    trigger(shop, "BEFORE INSERT", "products", "")
    (seen,) = shop.process([product("chair")])

    assert {type(applied.outcome), type(seen.outcome)} == {Applied}
    assert read_back.call_count == 1
