"""`orderctl explain`: what became of a request, whatever became of it."""

import json

from orderd.amqp.message import Delivery, Properties
from orderd.pipeline.quarantine import key_of
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import UNSENT, Broker, execute, wait_for_value

ANN = '{"username": "ann", "email": "ann@example.com"}'
LAMP = '{"name": "lamp", "price": 5.50, "stock_quantity": 3}'
NO_PRODUCTS = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no lamps today' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def order(*items: tuple[int, int]) -> str:
    lines = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in items]
    return json.dumps({"user_id": 1, "items": lines})


def open_shop(orderctl: Orderctl) -> None:
    orderctl("call", "user", "create", ANN)
    orderctl("call", "product", "create", LAMP)


def test_an_applied_request_is_explained_with_its_row_as_it_is_now(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    daemon()
    open_shop(orderctl)
    orderctl("call", "order", "create", order((1, 2)), "--id", "r1")
    orderctl("call", "order", "update_status", '{"order_id": 1, "status": "cancelled"}')
    wait_for_value(database_url, "SELECT count(*) FROM outbox", 0)

    done = orderctl("explain", "r1", "--json")
    readable = orderctl("explain", "r1")

    known = done.document
    assert (done.code, known["state"]) == (0, "applied")
    assert known["ledger"]["response"]["data"]["status"] == "pending"
    [row] = known["rows"]
    assert (row["kind"], row["id"], row["status"]) == ("order", 1, "cancelled")
    assert row["items"][0]["quantity"] == 2
    assert (known["events"], known["retries"], known["dead_letters"]) == ([], [], [])
    assert readable.code == 0
    assert "order create: applied at" in readable.out
    assert "order 1 now" in readable.out


def test_a_refused_request_is_explained_with_its_code(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon()
    open_shop(orderctl)
    orderctl("call", "order", "create", order((1, 100)), "--id", "r1")

    done = orderctl("explain", "r1", "--json")

    known = done.document
    assert (done.code, known["state"]) == (0, "refused")
    assert known["ledger"]["code"] == "insufficient_stock"
    assert known["rows"] == []


def test_a_dead_lettered_request_is_explained_with_its_letter(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    daemon()
    orderctl("call", "product", "create", '{"price": "free"}', "--id", "r1")
    orderctl("call", "product", "create", '{"price": "free"}', "--id", "r2")

    done = orderctl("explain", "r1", "--json")
    readable = orderctl("explain", "r1")

    known = done.document
    assert (done.code, known["state"]) == (0, "dead_lettered")
    [letter] = known["dead_letters"]
    assert (letter["code"], letter["request"]["id"]) == ("invalid_data", "r1")
    assert "rejected: it is in the dead-letter queue" in readable.out
    assert broker.ready("product.dlq") == 2


def test_a_retried_request_is_explained_with_its_queue(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    execute(database_url, NO_PRODUCTS)
    orderd = daemon()
    orderctl("publish", "product", "create", LAMP, "--id", "r1")
    orderd.wait_for_event("command.deferred", id="r1")
    broker.wait_for("product.retry.5s", 1)

    done = orderctl("explain", "r1", "--json")

    known = done.document
    assert (done.code, known["state"]) == (0, "retrying")
    [waiting] = known["retries"]
    assert waiting["retry_queue"] == "product.retry.5s"
    assert waiting["attempt"] == 1


def test_a_request_that_crashed_the_daemon_is_explained_with_its_tries(
    orderctl: Orderctl, broker: Broker, database_url: str
) -> None:
    broker.declare()
    body = b'{"id": "r1", "action": "create"}'
    broker.bury("order", body, code="poison")
    key = key_of(Delivery("order", body, Properties(), 0, 0, redelivered=True))
    tried = f"INSERT INTO message_tries (key, queue, tries) VALUES ('{key}', 'order', 2)"  # noqa: S608
    execute(database_url, tried)

    known = orderctl("explain", "r1", "--json").document

    assert known["tries"] == [{"queue": "order", "tries": 2, "is_committed": False}]


def test_a_request_that_waits_behind_another_is_explained_with_its_place(
    orderctl: Orderctl, broker: Broker, database_url: str
) -> None:
    broker.declare()
    execute(
        database_url,
        "INSERT INTO deferrals (key, queue, row_id, ends_at) SELECT key, 'product', 7, now() + "
        "interval '1 h' FROM unnest('{=r0,=r1}'::text[]) AS key",
    )

    known = orderctl("explain", "r1", "--json").document
    readable = orderctl("explain", "r1").out

    assert {name: known["place"][name] for name in ("queue", "row_id", "ahead")} == {
        "queue": "product",
        "row_id": 7,
        "ahead": 1,
    }
    assert "behind 1 earlier command for product 7" in readable
    assert orderctl("explain", "r2", "--json").document["place"] is None


def test_a_request_that_waits_for_a_lock_is_explained_with_its_holder(
    orderctl: Orderctl, broker: Broker, database_url: str
) -> None:
    broker.declare()
    execute(
        database_url,
        "INSERT INTO deferrals (key, queue, ends_at, waits_since, waits_for) VALUES "
        "('=r0', 'order', now() + interval '1 h', now(), 'table orders is locked by pid 7')",
    )

    known = orderctl("explain", "r0", "--json").document
    readable = orderctl("explain", "r0").out

    assert known["place"]["row_id"] is None
    assert known["place"]["waits_for"] == "table orders is locked by pid 7"
    assert "table orders is locked by pid 7" in readable
    assert "in the line of" not in readable


def test_a_request_that_never_came_is_said_to_be_so(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()

    done = orderctl("explain", "nobody", "--json")
    readable = orderctl("explain", "nobody")

    assert (done.code, done.document["state"], done.document["may_wait"]) == (1, "never_seen", [])
    assert "never seen" in readable.out


def test_what_a_request_that_was_not_found_may_wait_in_is_told(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    orderctl("publish", "user", "create", ANN, "--id", "other")

    done = orderctl("explain", "nobody", "--json")
    readable = orderctl("explain", "nobody")

    assert (done.code, done.document["state"]) == (3, "unknown")
    assert done.document["commands_ready"] == {"user": 1, "product": 0, "order": 0}
    [waiting] = done.document["may_wait"]
    assert (waiting["queue"], waiting["messages"]) == ("user", 1)
    assert readable.code == 3
    assert "user: 1 message, command queues are not searched" in readable.out
    assert "no daemon takes from it, see: orderctl status" in readable.out


def test_a_pause_that_keeps_a_request_waiting_is_told_with_the_next_step(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    orderctl("pause", "user", "--reason", "mails bounce")
    orderctl("pause", "order", "--reason", "another matter")
    orderctl("publish", "user", "create", ANN, "--id", "r1")

    done = orderctl("explain", "r1", "--json")
    readable = orderctl("explain", "r1")

    assert (done.code, done.document["state"], readable.code) == (3, "unknown", 3)
    [waiting] = done.document["may_wait"]
    assert waiting["why"] == "command queues are not searched; the queue is paused"
    [pause] = done.document["queues_paused"]
    assert (pause["queue"], pause["reason"], pause["until"]) == ("user", "mails bounce", None)
    assert f"user since {pause['since']} by {pause['by']}: mails bounce" in readable.out
    assert "next step    orderctl resume user\n" in readable.out


def test_a_pause_of_the_queue_that_a_request_comes_back_to_is_told(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    broker.bury("order", b'{"id": "r1", "action": "create"}')
    orderctl("pause", "order", "--reason", "prices are wrong", "--until", "1h")
    orderctl("pause", "user", "--reason", "another matter")

    done = orderctl("explain", "r1", "--json")

    assert (done.code, done.document["state"]) == (0, "dead_lettered")
    [pause] = done.document["queues_paused"]
    assert (pause["queue"], pause["reason"]) == ("order", "prices are wrong")
    assert f"(until {pause['until']})" in orderctl("explain", "r1").out


def test_what_one_server_knows_is_told_without_the_other(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon()
    orderctl("call", "user", "create", ANN, "--id", "r1")

    no_broker = orderctl("explain", "r1", "--json", ORDERD_RABBITMQ_URL="amqp://127.0.0.1:1/")
    no_database = orderctl("explain", "r1", "--json", ORDERD_DATABASE_URL="host=127.0.0.1 port=1")

    assert (no_broker.code, no_broker.document["state"]) == (69, "applied")
    assert (no_database.code, no_database.document["state"]) == (69, "unknown")
    assert "database: " in no_database.err


def test_unsent_events_of_a_request_are_told(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    daemon().stop()
    for correlation in ("r1", "other"):
        execute(database_url, UNSENT.format(subject="order/1", correlation=correlation, count=1))

    known = orderctl("explain", "r1", "--json").document

    [event] = known["events"]
    assert (event["type"], event["correlationid"]) == ("order.created", "r1")
    assert event["age_s"] >= 90
