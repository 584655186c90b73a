"""Replies: where they go, that a duplicate's is the same to the byte, and who gets none."""

import json

import pika
import pytest

from tests.acceptance.shop import REPLIES, Message, Shop, command, order, product
from tests.conftest import StartDaemon


def test_a_reply_comes_by_direct_reply_to(shop: Shop, daemon: StartDaemon) -> None:
    daemon()

    reply = shop.call("product", "create", {"name": "Lamp", "price": "9.90", "stock_quantity": 3})

    data = reply.pop("data")
    assert reply == {"correlation_id": None, "status": "ok", "error": None}
    assert {key: data[key] for key in ("id", "name", "price", "stock_quantity")} == {
        "id": 1,
        "name": "Lamp",
        "price": 9.9,
        "stock_quantity": 3,
    }
    assert data["created_at"] == data["updated_at"]
    assert data["created_at"].endswith("Z")


def test_a_reply_comes_to_a_named_queue_with_the_callers_correlation_id(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()

    shop.send_all([product(id="request", correlation_id="call-7"), product(id="second")])

    first, second = shop.take(REPLIES, 2)
    assert (first.json["correlation_id"], first.properties.correlation_id) == ("call-7", "call-7")
    assert (second.json["correlation_id"], second.properties.correlation_id) == (
        "second",
        "second",
    )
    assert first.properties.content_type == "application/json"


@pytest.mark.parametrize("batch_max", [1, 200])
def test_duplicates_get_the_same_reply_to_the_byte(
    shop: Shop, daemon: StartDaemon, batch_max: int
) -> None:
    shop.open_with(stock=10)
    daemon(batch_max=batch_max)
    same = order({1: 2}, id="same")
    refused = order({1: 50}, id="refused")

    shop.send_all([same, refused, same])
    at_once = shop.take(REPLIES, 3)
    shop.call("product", "update", {"id": 1, "stock_quantity": 100, "price": "1.00"})
    shop.send_all([same, refused])
    later = shop.take(REPLIES, 2)

    assert at_once[0].body == at_once[2].body == later[0].body
    assert at_once[1].body == later[1].body
    assert later[1].json["code"] == "insufficient_stock"
    assert shop.value("SELECT count(*) FROM orders") == 1
    assert shop.value("SELECT stock_quantity FROM products") == 100


def test_the_message_id_property_is_the_id_where_the_body_has_none(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10)
    daemon()
    body = command("order", "create", json.loads(order({1: 1}).body)["data"]).body
    properties = pika.BasicProperties(message_id="m-1", reply_to=REPLIES)

    shop.send_all([Message("order", body, properties)] * 2)

    first, second = shop.take(REPLIES, 2)
    assert first.body == second.body
    assert first.json["correlation_id"] == "m-1"
    assert shop.outcomes() == {"m-1": "applied"}


def test_an_id_that_amqp_0_9_1_cannot_carry_is_an_id(shop: Shop, daemon: StartDaemon) -> None:
    shop.open_with(stock=10)
    daemon()
    body = command("order", "create", json.loads(order({1: 1}).body)["data"]).body
    # What RabbitMQ makes of such a message-id of AMQP 1.0.
    headers = [{"x-message-id": b"\x00\xff"}, {"x-message-id": "☃" * 100}]
    messages = [
        Message("order", body, pika.BasicProperties(headers=one, reply_to=REPLIES))
        for one in headers
    ]

    shop.send_all(messages * 2)

    replies = shop.take(REPLIES, 4)
    assert len({one.body for one in replies}) == 2
    assert shop.outcomes() == {"0x00ff": "applied", "☃" * 100: "applied"}
    assert shop.value("SELECT stock_quantity FROM products") == 8


def test_addresses_and_bodies_of_amqp_1_0_are_named_as_such(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()
    encoded = b'\x00\x53\x77\xa1\x11{"action":"create"}'
    properties = pika.BasicProperties(type="amqp-1.0", reply_to=REPLIES)

    shop.send_all([product(id="a", reply_to="/queues/replies")])
    shop.send_all([Message("product", encoded, properties)])

    ignored = orderd.wait_for_event("reply.ignored", id="a")
    assert "/queues/replies" in ignored["message"]
    assert "AMQP 1.0" in ignored["message"]
    (reply,) = shop.take(REPLIES)
    assert reply.json["code"] == "malformed"
    assert reply.json["error"].startswith("body is an amqp-value or amqp-sequence of AMQP 1.0")


def test_a_reply_queue_that_is_gone_harms_nobody(shop: Shop, daemon: StartDaemon) -> None:
    orderd = daemon(log_level="debug")

    shop.send_all([product(id="lost", reply_to="no-such-queue"), product(id="next")])

    (reply,) = shop.take(REPLIES)
    assert reply.json["correlation_id"] == "next"
    dropped = orderd.wait_for_event("reply.dropped", id="lost")
    assert (dropped["level"], "no-such-queue" in dropped["message"]) == ("DEBUG", True)
    assert shop.wait_for("lost")["lost"] == "applied"


def test_a_caller_that_is_gone_harms_nobody(
    shop: Shop, admin_vhost_url: str, daemon: StartDaemon
) -> None:
    orderd = daemon()
    with pika.BlockingConnection(pika.URLParameters(admin_vhost_url)) as connection:
        channel = connection.channel()
        channel.basic_consume("amq.rabbitmq.reply-to", lambda *_: None, auto_ack=True)
        for number in range(20):
            message = product(id=f"gone-{number}", reply_to="amq.rabbitmq.reply-to")
            channel.basic_publish("", "product", message.body, message.properties)

    shop.send_all([product(id="next")])

    (reply,) = shop.take(REPLIES)
    assert reply.json["correlation_id"] == "next"
    assert orderd.events("broker.disconnected") == []


@pytest.mark.parametrize("own", ["order", "product.dlq", "user.retry.5s"])
def test_no_reply_goes_to_a_queue_of_orderds_own(shop: Shop, daemon: StartDaemon, own: str) -> None:
    orderd = daemon()

    shop.send_all([product(id="loop", reply_to=own)])

    orderd.wait_for_event("reply.ignored", id="loop")
    assert shop.wait_for("loop") == {"loop": "applied"}
    assert orderd.stop() == 0
    assert shop.waiting() == 0
    assert shop.ready("product.dlq") == 0


def test_a_query_without_reply_to_is_acked_with_a_warning(shop: Shop, daemon: StartDaemon) -> None:
    orderd = daemon()

    shop.send_all([command("product", "list", reply_to=None, id="nobody-asks")])

    assert orderd.wait_for_event("query.unanswered", id="nobody-asks")["level"] == "WARNING"
    assert orderd.stop() == 0
    assert shop.waiting() == 0
    assert shop.outcomes() == {}


def test_a_command_without_id_is_applied_and_the_log_says_so_once(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()
    content = {"name": "Lamp", "price": 1, "stock_quantity": 1}

    shop.send_all([command("product", "create", content) for _ in range(3)])

    shop.wait_for_rows(3, "products")
    assert orderd.stop() == 0
    assert len(orderd.events("request.unidentified")) == 1
    assert shop.outcomes() == {}
