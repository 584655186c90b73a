"""What may work later comes back by the retry queues; what never works ends as a dead letter."""

import json

import psycopg2
import pytest

from tests.acceptance.shop import HEARD, REPLIES, Message, Shop, order, product, user
from tests.conftest import StartDaemon
from tools.waiting import wait_until

QUICK = "100ms,200ms,300ms"
# How a fault that no rule foresees comes about for one command only, and not for its neighbours.
BROKEN_PRODUCT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no lamps today' USING ERRCODE = '{sqlstate}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products
        FOR EACH ROW WHEN (NEW.name = 'product:13') EXECUTE FUNCTION refuse();
"""
MENDED = "DROP TRIGGER refuse ON products"
UNEXPECTED = "22012"
SERIALIZATION_FAILURE = "40001"


def test_a_command_held_up_by_a_row_lock_is_deferred_and_applied_later(
    shop: Shop, admin_database_url: str, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    orderd = daemon(retry_delays=QUICK + ",1s,2s,4s,8s")
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products WHERE id = 1 FOR UPDATE")

    shop.send_all([order({1: 4}, id="held-up")])
    deferred = orderd.wait_for_event("command.deferred", id="held-up", timeout_s=30)
    holder.close()

    assert (deferred["code"], deferred["attempt"]) == ("transient", 0)
    assert shop.wait_for("held-up") == {"held-up": "applied"}
    assert shop.value("SELECT stock_quantity FROM products") == 6
    (reply,) = shop.take(REPLIES)
    assert reply.json["status"] == "ok"
    assert shop.ready("order.dlq") == 0


def test_a_deferred_command_ends_with_its_expiration(
    shop: Shop, admin_database_url: str, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    orderd = daemon(retry_delays=QUICK)
    message = order({1: 4}, id="late")
    message.properties.expiration = "2000"
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products WHERE id = 1 FOR UPDATE")

    shop.send_all([message])
    orderd.wait_for_event("command.deferred", id="late", timeout_s=30)

    # While somebody still holds the row.
    assert shop.wait_for("late") == {"late": "expired"}
    (reply,) = shop.take(REPLIES)
    assert reply.json["code"] == "expired"
    holder.close()
    assert shop.value("SELECT stock_quantity FROM products") == 10
    assert [one.routing_key for one in shop.take_all(HEARD)][-1] == "order.refused"


@pytest.mark.parametrize("sqlstate", [UNEXPECTED, SERIALIZATION_FAILURE])
def test_one_command_that_cannot_be_written_is_retried_and_its_neighbours_are_done_at_once(
    shop: Shop, daemon: StartDaemon, sqlstate: str
) -> None:
    shop.query(BROKEN_PRODUCT.format(sqlstate=sqlstate))
    neighbours = [product(stock=n, id=f"neighbour-{n}") for n in range(20) if n != 13]
    shop.send_all([*neighbours[:10], product(stock=13, id="broken"), *neighbours[10:]])

    orderd = daemon(retry_delays="100ms,1s,2s,4s,8s")
    shop.wait_for(*(json.loads(one.body)["id"] for one in neighbours))
    orderd.wait_for_event("command.deferred", id="broken")
    assert "broken" not in shop.outcomes()
    shop.query(MENDED)

    assert shop.wait_for("broken")["broken"] == "applied"
    assert shop.value("SELECT count(*) FROM products") == 20
    assert shop.ready("product.dlq") == 0


def test_a_command_that_fails_every_time_ends_as_a_dead_letter(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.query(BROKEN_PRODUCT.format(sqlstate=UNEXPECTED))
    orderd = daemon(retry_delays=QUICK)
    broken = product(stock=13, id="broken", headers={"tenant": "north"})

    shop.send_all([broken])
    (letter,) = shop.take("product.dlq")

    orderd.wait_for_event("command.deferred", id="broken", attempt=3)
    attempts = [line["attempt"] for line in orderd.events("command.deferred", id="broken")]
    assert attempts == [1, 2, 3]
    assert letter.body == broken.body
    headers = letter.headers
    assert (headers["orderd-code"], headers["orderd-attempt"]) == ("retries_exhausted", 3)
    assert (headers["orderd-queue"], headers["tenant"]) == ("product", "north")
    assert "division by zero (SQLSTATE 22012)" in headers["orderd-reason"]
    assert "Traceback" in headers["orderd-error"]
    (reply,) = shop.take(REPLIES)
    assert (reply.json["status"], reply.json["code"]) == ("error", "retries_exhausted")
    assert shop.outcomes() == {}


def test_a_dead_letter_that_was_moved_back_is_tried_anew(shop: Shop, daemon: StartDaemon) -> None:
    shop.query(BROKEN_PRODUCT.format(sqlstate=UNEXPECTED))
    daemon(retry_delays="100ms")
    shop.send_all([product(stock=13, id="broken")])
    (letter,) = shop.take("product.dlq")
    shop.query(MENDED)

    shop.send_all([Message("product", letter.body, letter.properties)])

    assert shop.wait_for("broken") == {"broken": "applied"}


def test_an_order_before_its_product_waits_while_another_consumer_may_bring_it(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with()
    elsewhere = shop.channel.basic_consume("product", lambda *_: None)
    orderd = daemon(retry_delays=QUICK + ",1s,2s,4s,8s")

    shop.send_all([order({1: 2}, id="early")])
    deferred = orderd.wait_for_event("command.deferred", id="early")
    shop.channel.basic_cancel(elsewhere)
    shop.send_all([product(stock=10, id="late")])

    assert deferred["code"] == "missing_reference"
    assert shop.wait_for("early", "late") == {"early": "applied", "late": "applied"}
    assert shop.value("SELECT stock_quantity FROM products") == 8


def test_an_order_overtaking_a_backlog_of_users_and_products_is_applied_after_it(
    shop: Shop, daemon: StartDaemon
) -> None:
    backlog = [product(stock=10, id=f"product-{n}") for n in range(1, 31)]
    shop.send_all([order({30: 2}, user_id=10, id="early"), *backlog])
    shop.send_all([user(f"u{n}", id=f"user-{n}") for n in range(1, 11)])

    # One message a queue at a time, so that the order cannot share a batch with what it needs.
    daemon(batch_max=1, prefetch=1, retry_delays="100ms,500ms,1s,2s")

    assert shop.wait_for("early")["early"] == "applied"
    assert shop.value("SELECT count(*) FROM processed_requests WHERE outcome = 'applied'") == 41


def test_an_order_for_a_product_that_cannot_come_is_refused_at_once(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(stock=5)
    orderd = daemon(retry_delays="30s")

    missing_product = shop.call_raw(order({7: 1}, id="no-product"))
    missing_user = shop.call_raw(order({1: 1}, user_id=9, id="no-user"))
    unknown = shop.call("product", "update", {"id": 9, "price": 1}, id="unknown")

    assert json.loads(missing_product)["code"] == "product_not_found"
    assert json.loads(missing_user)["code"] == "user_not_found"
    assert unknown["code"] == "product_not_found"
    assert orderd.events("command.deferred") == []


def test_a_reference_that_never_comes_is_refused_after_the_last_attempt(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with()
    shop.channel.basic_consume("product", lambda *_: None)
    orderd = daemon(retry_delays="100ms,200ms")

    shop.send_all([order({1: 1}, id="vain")])

    assert shop.wait_for("vain") == {"vain": "product_not_found"}
    orderd.wait_for_event("command.deferred", id="vain", attempt=2)
    assert len(orderd.events("command.deferred", id="vain")) == 2
    wait_until(lambda: shop.take_all(REPLIES), timeout_s=5, what="the refusal")
    assert shop.ready("order.dlq") == 0
