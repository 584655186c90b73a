"""What other programs do to the tables costs at most the commands that meet it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from orderd.amqp.message import Delivery
from orderd.batch.probe import Probe
from orderd.contract.names import DeferralCode
from orderd.db.faults import SchemaFault
from orderd.domain.outcomes import Applied, Deferred, Refused
from tests.integration.batch.shop import Connection, Shop
from tests.support.commands import again, request


def commands() -> list[Delivery]:
    items = [{"product_id": 2, "quantity": 1}]
    return [
        request("user", "create", {"username": "ann", "email": "ann@x.org"}, request_id="u"),
        request("user", "update", {"id": 1, "full_name": "Zoe"}, request_id="v"),
        request("product", "update", {"id": 3, "price": 3}, request_id="p"),
        request("order", "create", {"user_id": 1, "items": items}, request_id="o"),
        request("order", "update", {"order_id": 2, "items": items}, request_id="q"),
        request("order", "get", {"order_id": 1}),
    ]


def assert_all_done(shop: Shop, batch: list[Delivery]) -> None:
    outcomes = [type(result.outcome).__name__ for result in shop.process(batch)]
    assert outcomes == ["Applied"] * 5 + ["Answered"]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE {} ADD COLUMN note text",
        "ALTER TABLE {} ADD COLUMN note text NOT NULL DEFAULT 'none'",
        "CREATE INDEX ON {} (created_at)",
    ],
)
@pytest.mark.parametrize(
    "table", ["users", "products", "orders", "order_items", "processed_requests", "outbox"]
)
def test_a_table_that_has_got_something_more_costs_nothing(
    shop: Shop, table: str, change: str
) -> None:
    column = "id" if table == "order_items" else "created_at"
    shop.query(change.replace("created_at", column).format(table))

    assert_all_done(shop, commands())


def test_a_row_that_was_deleted_is_not_found_any_more(shop: Shop) -> None:
    shop.process([request("order", "get", {"order_id": 1})])
    shop.query("DELETE FROM order_items WHERE order_id = 1")
    shop.query("DELETE FROM orders WHERE id = 1")

    gone, *others = shop.process(
        [
            request("order", "update_status", {"order_id": 1, "status": "shipped"}),
            *commands()[:-1],
        ]
    )

    assert isinstance(gone.outcome, Refused)
    assert {type(result.outcome) for result in others} == {Applied}


def test_a_row_that_is_deleted_while_it_is_waited_for_is_not_found(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("DELETE FROM order_items WHERE order_id = 2")
        cursor.execute("DELETE FROM orders WHERE id = 2")
        waiting = threads.submit(shop.process, commands()[:-1])
        shop.wait_until_blocked()
    *others, gone = waiting.result()

    assert isinstance(gone.outcome, Refused)
    assert {type(result.outcome) for result in others} == {Applied}


def test_the_probe_finds_nothing_in_tables_that_fit_and_leaves_nothing(
    shop: Shop, limited_url: str
) -> None:
    before = shop.tables()

    with Shop(limited_url) as worker:
        Probe(worker.database).run()

    assert shop.tables() == before


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (
            f"ALTER TABLE {table} RENAME COLUMN {column} TO elsewhere",
            f"ALTER TABLE {table} RENAME COLUMN elsewhere TO {column}",
        )
        for table, column in [
            ("users", "full_name"),
            ("products", "price"),
            ("orders", "priority"),
            ("order_items", "unit_price"),
            ("processed_requests", "fingerprint"),
            ("outbox", "body"),
        ]
    ]
    + [("ALTER TABLE outbox RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO outbox")],
)
def test_a_column_that_is_elsewhere_for_a_moment_settles_nothing_meanwhile(
    shop: Shop, break_it: str, mend_it: str
) -> None:
    before = shop.tables()
    batch = commands()

    shop.query(break_it)
    with pytest.raises(SchemaFault):
        shop.process(batch)
    with pytest.raises(SchemaFault):
        Probe(shop.database).run()
    shop.query(mend_it)

    assert shop.tables() == before
    assert_all_done(shop, [again(one) for one in batch])


@pytest.mark.parametrize("right", ["INSERT ON users", "UPDATE ON products", "SELECT ON orders"])
def test_a_right_that_is_missing_is_found_by_the_probe(
    shop: Shop, limited_url: str, right: str
) -> None:
    role = limited_url.partition("user=")[2].split()[0]
    shop.query(f"REVOKE {right} FROM {role}")

    with Shop(limited_url) as worker, pytest.raises(SchemaFault):
        Probe(worker.database).run()


def test_a_trigger_that_misses_a_table_costs_its_own_command_only(shop: Shop) -> None:
    shop.query(
        """
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO nowhere VALUES (1); RETURN NEW; END $$;
        CREATE TRIGGER note BEFORE INSERT ON products
            FOR EACH ROW WHEN (NEW.name = 'cursed') EXECUTE FUNCTION note();
        """
    )
    batch = commands()
    cursed = request("product", "create", {"name": "cursed", "price": 1, "stock_quantity": 1})

    *others, culprit = shop.process([*batch[:-1], cursed])

    assert {type(result.outcome) for result in others} == {Applied}
    assert isinstance(culprit.outcome, Deferred)
    assert culprit.outcome.code == DeferralCode.UNEXPECTED


def test_row_security_that_refuses_a_row_costs_its_own_command_only(
    shop: Shop, limited_url: str
) -> None:
    shop.query("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    shop.query("CREATE POLICY reads ON users FOR SELECT USING (true)")
    shop.query("CREATE POLICY writes ON users FOR INSERT WITH CHECK (username <> 'cursed')")
    shop.query("CREATE POLICY changes ON users FOR UPDATE USING (true)")
    cursed = request("user", "create", {"username": "cursed", "email": "cursed@x.org"})

    with Shop(limited_url) as worker:
        culprit, *others = worker.process([cursed, *commands()[:-1]])
        (alone,) = worker.process([cursed])

    assert {type(result.outcome) for result in others} == {Applied}
    for refused in (culprit, alone):
        assert isinstance(refused.outcome, Deferred)
        assert refused.outcome.code == DeferralCode.UNEXPECTED
        assert "row-level security" in refused.outcome.message


def test_an_order_that_another_program_wrote_keeps_its_total_and_lines(shop: Shop) -> None:
    shop.query("UPDATE orders SET total_amount = 99.50 WHERE id = 1")
    shop.query("INSERT INTO orders (id, user_id, status, total_amount) VALUES (9, 1, 'pending', 7)")
    shop.query(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (2, 2, 4, 5)"
    )
    lines = shop.query("SELECT id, quantity FROM order_items ORDER BY id")
    totals = shop.query("SELECT id, total_amount FROM orders ORDER BY id")
    stock = shop.stock_of(2)

    results = shop.process(
        [
            request("order", "update_status", {"order_id": order_id, "status": "cancelled"})
            for order_id in (1, 2, 9)
        ]
    )

    assert {type(result.outcome) for result in results} == {Applied}
    assert shop.query("SELECT id, quantity FROM order_items ORDER BY id") == lines
    assert shop.query("SELECT id, total_amount FROM orders ORDER BY id") == totals
    assert shop.stock_of(2) == stock + 7
