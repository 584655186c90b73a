"""The reference scenario: each message by the real rabbitmqadmin, the state exact to the cent."""

import json
from decimal import Decimal
from pathlib import Path

from tests.acceptance.shop import HEARD, REPLIES, Shop
from tests.conftest import StartDaemon
from tools.servers import Servers

STEPS = [
    json.loads(line)
    for line in Path(__file__).with_name("reference_scenario.ndjson").read_text().splitlines()
]

PRODUCTS = [
    (1, "Laptop Dell XPS 15", Decimal("1199.99"), 24),
    (2, "Wireless Mouse Logitech MX", Decimal("79.99"), 148),
    (3, "Mechanical Keyboard", Decimal("149.99"), 74),
    (4, "USB-C Hub 7-in-1", Decimal("49.99"), 197),
    (5, "Webcam Logitech C920", Decimal("89.99"), 2),
]
ORDERS = [
    (1, "processing", Decimal("1459.97")),
    (2, "shipped", Decimal("299.96")),
    (3, "cancelled", Decimal("259.97")),
]
ALL_ITEMS = """
    SELECT order_id, product_id, quantity, unit_price FROM order_items ORDER BY order_id, id
"""
ITEMS = [
    (1, 1, 1, Decimal("1299.99")),
    (1, 2, 2, Decimal("79.99")),
    (2, 3, 1, Decimal("149.99")),
    (2, 4, 3, Decimal("49.99")),
    (3, 2, 1, Decimal("79.99")),
    (3, 5, 2, Decimal("89.99")),
]
EVENTS = [
    "user.created",
    *["product.created"] * 5,
    *["order.created"] * 3,
    "product.updated",
    "product.out_of_stock",
    "order.processing",
    "order.shipped",
    "order.cancelled",
    "order.refused",
]
REFUSAL = "Insufficient stock: product 5 has 2, 100 ordered"


def test_the_reference_scenario_sent_by_rabbitmqadmin_ends_as_the_contract_says(
    servers: Servers, shop: Shop, vhost: str, daemon: StartDaemon
) -> None:
    orderd = daemon()
    replies = []
    for number, step in enumerate(STEPS):
        properties = {"reply_to": REPLIES, "correlation_id": f"step-{number}"}
        servers.rabbit.publish_by_rabbitmqadmin(
            vhost, step["queue"], json.dumps(step["body"]), properties
        )
        (reply,) = shop.take(REPLIES)
        assert reply.properties.correlation_id == f"step-{number}"
        replies.append(reply.json)

    assert orderd.stop() == 0
    assert shop.query("SELECT id, name, price, stock_quantity FROM products ORDER BY id") == (
        PRODUCTS
    )
    assert shop.query("SELECT id, status, total_amount FROM orders ORDER BY id") == ORDERS
    assert shop.query(ALL_ITEMS) == ITEMS
    assert [reply["status"] for reply in replies] == ["ok"] * 14 + ["error"]
    assert (replies[-1]["code"], replies[-1]["error"]) == ("insufficient_stock", REFUSAL)
    assert replies[6]["data"]["total_amount"] == 1459.97
    assert shop.waiting() == 0
    assert shop.value("SELECT count(*) FROM outbox") == 0


def test_every_step_of_the_reference_scenario_has_its_event(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    for number, step in enumerate(STEPS):
        shop.call(step["queue"], step["body"]["action"], step["body"]["data"], id=f"s{number}")

    heard = shop.take(HEARD, len(EVENTS) + 1)

    system, *events = [(received, received.json) for received in heard]
    assert system[0].routing_key == "system.started"
    assert [event["type"] for _, event in events] == EVENTS
    for received, event in events:
        assert received.routing_key == event["type"]
        assert received.properties.message_id == event["id"]
        assert received.properties.content_type == "application/cloudevents+json"
        assert received.properties.delivery_mode == 2
        assert event["specversion"] == "1.0"
    assert [event["correlationid"] for _, event in events] == [f"s{n}" for n in range(15)]
    assert events[6][1]["subject"] == "order/1"
    assert events[6][1]["data"]["total_amount"] == 1459.97
    refused = events[-1][1]["data"]
    assert (refused["action"], refused["code"], refused["error"]) == (
        "create",
        "insufficient_stock",
        REFUSAL,
    )
    assert refused["request"]["data"]["items"] == [{"product_id": 5, "quantity": 100}]
