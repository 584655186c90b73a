"""Producers that speak AMQP 1.0, on the versions of RabbitMQ that do so too."""

import json
from contextlib import closing
from uuid import UUID

import pytest

from tests.acceptance.shop import REPLIES, Shop
from tests.conftest import StartDaemonOn
from tests.support import amqp10
from tests.support.versions import Broker

BODY = {
    "action": "create",
    "data": {"name": "chair", "price": "10.00", "stock_quantity": 1},
}
UUID_ID = UUID("11112222-3333-4444-5555-666677778888")
LONG_ID = "☃" * 100
# Each id with what becomes of it.
IDS = {
    "m-1": amqp10.text("m-1"),
    "42": amqp10.ulong(42),
    f"urn:uuid:{UUID_ID}": amqp10.uuid(UUID_ID.bytes),
    "0x00ff": amqp10.binary(b"\x00\xff"),
    LONG_ID: amqp10.text(LONG_ID),
}


@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])
def test_every_kind_of_id_is_an_id(
    broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn
) -> None:
    daemon_on(broker.url)
    body = amqp10.data(json.dumps(BODY).encode())
    reply_to = amqp10.text(REPLIES)
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        messages = [amqp10.message(body, one, reply_to) for one in IDS.values()]

        amqp10.send(broker.admin_url, "/queues/product", messages * 2)

        replies = shop.take(REPLIES, 2 * len(IDS))
        assert shop.outcomes() == dict.fromkeys(IDS, "applied")
        assert len({one.body for one in replies}) == len(IDS)


@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])
def test_a_body_that_is_no_data_section_is_named(broker: Broker, daemon_on: StartDaemonOn) -> None:
    orderd = daemon_on(broker.url)

    value = amqp10.value(json.dumps(BODY))
    amqp10.send(broker.admin_url, "/queues/product", [amqp10.message(value)])

    letter = orderd.wait_for_event("message.dead_lettered", code="malformed")
    assert "send the JSON as a data section" in letter["message"]


@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])
def test_a_reply_address_is_a_queue_where_rabbitmq_says_so_and_named_elsewhere(
    broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn
) -> None:
    orderd = daemon_on(broker.url)
    body = amqp10.data(json.dumps(BODY | {"id": "a"}).encode())
    address = amqp10.text(f"/queues/{REPLIES}")
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        amqp10.send(broker.admin_url, "/queues/product", [amqp10.message(body, reply_to=address)])

        if broker.version == "4.0":
            ignored = orderd.wait_for_event("reply.ignored", id="a")
            assert "this is an AMQP 1.0 address" in ignored["message"]
        else:
            (reply,) = shop.take(REPLIES)
            assert reply.json["status"] == "ok"
