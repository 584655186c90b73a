"""What is not a command is dead-lettered at once, as it came, and harms nobody else."""

import json
import random
import re
from collections import Counter
from datetime import datetime

import pika
import pytest

from tests.acceptance.bad_bodies import PRODUCT, bad_bodies
from tests.acceptance.shop import REPLIES, Message, Shop, command, order
from tests.conftest import StartDaemon

COUNT = 1_000


def test_a_thousand_bad_bodies_among_a_thousand_good_ones(shop: Shop, daemon: StartDaemon) -> None:
    bad = [*bad_bodies(COUNT)]
    orderd = daemon()
    messages = [
        Message("product", body, pika.BasicProperties(headers={"number": number}))
        for number, (body, _) in enumerate(bad)
    ]
    messages += [command("product", "create", PRODUCT, id=f"good-{n}") for n in range(COUNT)]
    random.Random(7).shuffle(messages)

    shop.send_all(messages)
    shop.wait_for_rows(COUNT, "products", timeout_s=60)
    letters = shop.take("product.dlq", COUNT)

    assert orderd.is_running
    assert orderd.stop() == 0
    assert len(letters) == COUNT
    by_number = {letter.headers["number"]: letter for letter in letters}
    assert [by_number[number].body for number in range(COUNT)] == [body for body, _ in bad]
    codes = [by_number[number].headers["orderd-code"] for number in range(COUNT)]
    assert [
        (code, expected, body[:80])
        for code, (body, expected) in zip(codes, bad, strict=True)
        if code != expected
    ] == []
    assert Counter(shop.outcomes().values()) == {"applied": COUNT}
    assert shop.waiting() == 0
    assert shop.value("SELECT count(*) FROM products") == COUNT


def test_a_dead_letter_is_the_original_with_its_properties_and_our_headers(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    given = pika.BasicProperties(
        content_type="text/plain",
        content_encoding="identity",
        headers={"tenant": "north", "list": [1, "two"], "nested": {"a": True}},
        priority=3,
        correlation_id="c-1",
        reply_to=REPLIES,
        message_id="m-1",
        timestamp=1_700_000_000,
        type="greeting",
        app_id="tests",
    )
    body = b"\x00\xff no command \xf0\x9f\x98\x80"

    shop.send_all([Message("order", body, given)])

    (letter,) = shop.take("order.dlq")
    assert letter.body == body
    for name in ("content_type", "content_encoding", "priority", "correlation_id", "reply_to"):
        assert getattr(letter.properties, name) == getattr(given, name), name
    for name in ("message_id", "timestamp", "type", "app_id"):
        assert getattr(letter.properties, name) == getattr(given, name), name
    assert letter.properties.delivery_mode == 2
    headers = dict(letter.headers)
    assert {name: headers.pop(name) for name in ("tenant", "list", "nested")} == given.headers
    assert datetime.fromisoformat(headers.pop("orderd-failed-at")).utcoffset() is not None
    assert re.fullmatch("[0-9]+[.][0-9a-f]{64}", headers.pop("orderd-received"))
    assert "not JSON" in headers.pop("orderd-reason") or "UTF-8" in str(letter.headers)
    assert headers == {"orderd-code": "malformed", "orderd-queue": "order", "orderd-attempt": 0}
    (reply,) = shop.take(REPLIES)
    assert (reply.json["status"], reply.json["code"]) == ("error", "malformed")
    assert reply.json["correlation_id"] == "c-1"


def test_a_corrected_message_may_use_its_id_again_and_a_replayed_one_is_tried_anew(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    shop.open_with(stock=5)
    assert shop.call("order", "create", {"user_id": 1}, id="again")["code"] == "invalid_data"
    (letter,) = shop.take("order.dlq")

    shop.send_all([Message("order", letter.body, letter.properties)])
    (replayed,) = shop.take("order.dlq")
    right = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}

    assert replayed.body == letter.body
    assert shop.call("order", "create", right, id="again")["status"] == "ok"


def test_an_id_with_other_content_is_a_conflict_and_changes_nothing(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    shop.open_with(stock=5)
    first = order({1: 1}, id="same")
    shop.call_raw(first)

    reply = shop.call(
        "order", "create", {"user_id": 1, "items": [{"product_id": 1, "quantity": 2}]}, id="same"
    )

    assert (reply["status"], reply["code"]) == ("error", "id_conflict")
    (letter,) = shop.take("order.dlq")
    assert json.loads(letter.body)["data"]["items"][0]["quantity"] == 2
    assert shop.value("SELECT stock_quantity FROM products") == 4


@pytest.mark.parametrize("size_bytes", [20_000, 100_000])
def test_huge_headers_cost_neither_the_letter_nor_the_connection(
    shop: Shop, daemon: StartDaemon, size_bytes: int
) -> None:
    orderd = daemon()
    properties = pika.BasicProperties(headers={"huge": "x" * size_bytes})

    shop.send_all([Message("user", b"no command", properties)])

    (letter,) = shop.take("user.dlq")
    assert letter.body == b"no command"
    assert letter.headers["orderd-code"] == "malformed"
    assert orderd.events("broker.disconnected") == []
