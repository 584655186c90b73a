"""`orderctl dlq replay`: back to the queue, as it was, and never lost on the way."""

import json
import re
from contextlib import closing
from dataclasses import replace

from orderd.amqp.browse import Browser
from orderd.amqp.connection import Connection
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from tests.conftest import StartDaemon
from tests.integration.amqp.headers import HEADERS
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker, execute, value, wait_for_value

ODD_BODY = bytes(range(256)) + "ü\u2028".encode()
BROKEN_PRODUCT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no lamps today' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products
        FOR EACH ROW WHEN (NEW.name = 'lamp') EXECUTE FUNCTION refuse();
"""
MENDED = "DROP TRIGGER refuse ON products"
LAMP = '{"name": "lamp", "price": 5, "stock_quantity": 1}'
REPLAYED = {"orderd-replayed": 1}
PRODUCTS = "SELECT count(*) FROM products"


def properties_of(url: str, queue: str) -> Properties:
    """Return the properties of the one message there, read by orderd's own exact codec."""
    with closing(Connection(BrokerEndpoint((url,), "test"))) as connection:
        connection.open()
        browser = Browser(connection)
        delivery = browser.take(queue)
        browser.give_back()
    assert delivery is not None
    return delivery.properties


def test_body_and_properties_are_kept_to_the_byte(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, vhost_url: str
) -> None:
    sent = Properties(
        content_type="text/odd; charset=ü",
        content_encoding="none",
        headers=HEADERS,
        delivery_mode=2,
        priority=7,
        correlation_id="c",
        reply_to="nobody",
        expiration="3600000",
        message_id="m",
        timestamp=1_700_000_000,
        type="odd",
        user_id="guest",
        app_id="elsewhere",
    )
    orderd = daemon()
    with closing(Publisher(BrokerEndpoint((vhost_url,), "test"))) as publisher:
        publisher.connect()
        message = OutgoingMessage("", "product", ODD_BODY, sent, mandatory=True)
        publisher.wait(publisher.publish([message]), 10)
    broker.wait_for("product.dlq", 1)
    orderd.stop()

    done = orderctl("dlq", "replay", "product", "--json")

    assert (done.code, done.document["replayed"]) == (0, 1)
    assert broker.ready("product.dlq") == 0
    found = properties_of(vhost_url, "product")
    headers = dict(found.headers or {})
    # The daemon has noted when it came.
    assert re.fullmatch("[0-9]+[.][0-9a-f]{64}", headers.pop("orderd-received"))
    assert replace(found, headers=headers) == replace(sent, headers={**HEADERS, **REPLAYED})
    assert broker.take_bodies("product") == [ODD_BODY]


def test_a_user_id_of_somebody_else_stays_in_its_header(
    orderctl: Orderctl, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    odd = {"orderd-user-id": "somebody", "orderd-expiration": "-5", "CC-like": "x"}
    broker.bury("order", b"1", headers=odd)

    assert orderctl("dlq", "replay").code == 0

    properties = properties_of(vhost_url, "order")
    assert properties.headers == odd | REPLAYED
    assert (properties.user_id, properties.expiration) == (None, None)


def test_a_message_without_headers_has_only_the_count_of_replays(
    orderctl: Orderctl, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    broker.bury("order", b"1")

    assert orderctl("dlq", "replay").code == 0

    assert properties_of(vhost_url, "order") == Properties(delivery_mode=2, headers=REPLAYED)


def test_a_replay_after_the_cause_is_mended_is_applied(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    execute(database_url, BROKEN_PRODUCT)
    orderd = daemon(retry_delays="100ms")
    orderctl("publish", "product", "create", LAMP, "--id", "lamp-1")
    orderd.wait_for_event("message.dead_lettered", id="lamp-1")
    broker.wait_for("product.dlq", 1)

    again = orderctl("dlq", "replay", "--code", "retries_exhausted")
    broker.wait_for("product.dlq", 1)
    execute(database_url, MENDED)
    done = orderctl("dlq", "replay", "--code", "retries_exhausted")

    assert again.out == done.out == "1 replayed; 1 of 1 checked\n"
    wait_for_value(database_url, PRODUCTS, 1)
    assert broker.ready("product.dlq") == 0
    # The attempts begin anew with each replay.
    deferred = [line["attempt"] for line in orderd.events("command.deferred", id="lamp-1")]
    assert deferred == [1, 1]


def test_a_request_that_has_an_outcome_is_skipped_unless_forced(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    daemon()
    orderctl("call", "product", "create", LAMP, "--id", "lamp-1")
    body = json.dumps({"id": "lamp-1", "action": "create", "data": json.loads(LAMP)}).encode()
    broker.bury("product", body)

    skipped = orderctl("dlq", "replay")
    kept = broker.ready("product.dlq")
    forced = orderctl("dlq", "replay", "--force", "--json")

    assert (skipped.code, kept) == (0, 1)
    assert "product.dlq: lamp-1: skipped: the ledger records it as applied" in skipped.err
    assert (forced.document["replayed"], forced.document["skipped"]) == (1, 0)
    assert "lamp-1" in forced.err
    broker.wait_for("product", 0)
    assert value(database_url, PRODUCTS) == 1


def test_without_the_database_only_force_replays(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("user", b"1")
    nowhere = "postgresql://127.0.0.1:1/x"

    refused = orderctl("dlq", "replay", ORDERD_DATABASE_URL=nowhere)
    kept = broker.ready("user.dlq")
    forced = orderctl("dlq", "replay", "--force", ORDERD_DATABASE_URL=nowhere)

    assert (refused.code, refused.out, kept) == (69, "", 1)
    assert (forced.code, broker.ready("user")) == (0, 1)
    assert "cannot check whether requests have an outcome" in forced.err


def test_a_crash_between_confirm_and_ack_leaves_a_duplicate_which_is_harmless(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    broker.declare()
    body = json.dumps({"id": "lamp-1", "action": "create", "data": json.loads(LAMP)}).encode()
    broker.bury("product", body)

    crashed = orderctl("dlq", "replay", ORDERD_FAILPOINT="dlq_replay_published")
    broker.wait_for("product.dlq", 1)
    copies = broker.ready("product")
    again = orderctl("dlq", "replay")
    orderd = daemon()
    wait_for_value(database_url, PRODUCTS, 1)
    orderd.wait_for_event("batch.committed")

    assert (crashed.code, copies) == (-9, 1)
    assert again.out == "1 replayed; 1 of 1 checked\n"
    broker.wait_for("product", 0)
    assert orderd.stop() == 0
    assert (broker.ready("product"), broker.ready("product.dlq")) == (0, 0)
    assert value(database_url, PRODUCTS) == 1


def test_an_unknown_crash_point_is_a_wrong_configuration(orderctl: Orderctl) -> None:
    done = orderctl("dlq", "list", ORDERD_FAILPOINT="nowhere")

    assert done.code == 78
    assert "unknown crash point" in done.err


def test_what_would_set_a_row_back_is_named_and_left_unless_forced(
    orderctl: Orderctl, broker: Broker, database_url: str
) -> None:
    broker.declare()
    execute(
        database_url,
        "INSERT INTO products (name, price, stock_quantity) VALUES ('a', 1, 1), ('b', 1, 1)",
    )
    execute(database_url, "UPDATE products SET updated_at = now() - interval '1 h' WHERE id = 2")
    bodies = {
        "older": {"action": "update", "data": {"id": 1, "price": 10}},
        "newer": {"action": "update", "data": {"id": 2, "price": 10}},
        "relative": {"action": "adjust_stock", "data": {"id": 1, "delta": 1}},
        "unknown": {"action": "update", "data": {"id": 99, "price": 10}},
        "unreadable": {"action": "update", "data": {"id": "1"}},
        "endless": {"action": "update", "data": {"id": 10**30}},
    }
    for request_id, body in bodies.items():
        broker.bury("product", json.dumps({"id": request_id, **body}).encode(), age_s=60)

    done = orderctl("dlq", "replay", "--json")

    assert (done.code, done.document["replayed"], done.document["skipped"]) == (0, 5, 1)
    assert "older: skipped: product 1 was changed after it, at 20" in done.err
    assert "pass --force to replay it" in done.err
    assert broker.ready("product.dlq") == 1

    forced = orderctl("dlq", "replay", "--force", "--json")

    assert (forced.code, forced.document["replayed"]) == (0, 1)
    assert "product 1 was changed after it" in forced.err
    assert broker.ready("product.dlq") == 0
