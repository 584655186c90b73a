"""Forged properties and headers: a command with them is done as any other, or told as it is."""

import gzip
import json
from typing import Any

import pika
import pytest
from pika.exceptions import AMQPChannelError

from tests.acceptance.abuse.forged import HEADERS, PROPERTIES, REFUSED_BY_THE_BROKER
from tests.acceptance.shop import HEARD, REPLIES, Message, Shop, product
from tests.conftest import StartDaemon
from tools.waiting import wait_until

INJECTED = 'x\n{"level":"CRITICAL","event":"daemon.failed"}\r\x1b[2J\u2028\u202e'


def with_properties(message: Message, **properties: Any) -> Message:
    for name, value in properties.items():
        setattr(message.properties, name, value)
    return message


def test_a_good_command_with_forged_headers_or_properties_is_applied_once(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()
    shop.send_all([product(id=name, headers=headers) for name, headers in HEADERS.items()])
    shop.send_all([with_properties(product(id=name), **PROPERTIES[name]) for name in PROPERTIES])

    names = [*HEADERS, *PROPERTIES]
    assert shop.wait_for(*names) == dict.fromkeys(names, "applied")
    replies = shop.take(REPLIES, len(names))
    assert {reply.json["status"] for reply in replies} == {"ok"}
    events = [event.json for event in shop.take(HEARD, len(names) + 1)]
    assert {event["source"] for event in events} == {"orderd"}
    assert {event["type"] for event in events} <= {"product.created", "system.started"}
    assert shop.value("SELECT count(*) FROM products") == len(names)
    assert shop.ready("product.dlq") == 0
    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0


def test_a_dead_letter_has_orderds_own_headers_whatever_was_forged(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    names = [*HEADERS]
    shop.send_all(
        [
            Message("user", name.encode(), pika.BasicProperties(headers=HEADERS[name]))
            for name in names
        ]
    )

    letters = {letter.body.decode(): letter.headers for letter in shop.take("user.dlq", len(names))}
    for name in names:
        told = letters[name]
        assert (told["orderd-code"], told["orderd-queue"]) == ("malformed", "user"), name
        assert told["orderd-failed-at"] > "2021", name
        assert told["orderd-reason"] != "forged", name
        assert not {"orderd-error", "orderd-original-sha256", "orderd-place"} & told.keys(), name
        assert type(told["orderd-attempt"]) is int, name
        assert not [header for header in told if header.startswith(("x-death", "x-first"))], name


def test_copies_to_other_queues_stay_with_the_broker_that_made_them(
    shop: Shop, daemon: StartDaemon
) -> None:
    daemon()
    shop.channel.queue_declare("other")
    headers = {"CC": ["other"], "BCC": ["other"]}

    shop.send_all([Message("product", b"no command", pika.BasicProperties(headers=headers))])

    (letter,) = shop.take("product.dlq")
    assert not {"CC", "BCC"} & letter.headers.keys()
    # The producer's own message went there, by the producer's own right; the letter did not.
    assert [each.body for each in shop.take_all("other")] == [b"no command"]


@pytest.mark.parametrize("name", REFUSED_BY_THE_BROKER)
def test_what_the_broker_checks_never_arrives(
    shop: Shop, daemon: StartDaemon, vhost_url: str, name: str
) -> None:
    daemon()
    message = with_properties(product(id="forged"), **REFUSED_BY_THE_BROKER[name])

    with pika.BlockingConnection(pika.URLParameters(vhost_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(AMQPChannelError):
            channel.basic_publish("", "product", message.body, message.properties)

    shop.send_all([product(id="next")])
    assert shop.wait_for("next") == {"next": "applied"}


def test_a_compressed_body_is_never_unpacked(shop: Shop, daemon: StartDaemon) -> None:
    orderd = daemon()
    shop.send_all([product(id="before")])
    shop.wait_for("before")
    before_mb = orderd.rss_mb()
    bomb = gzip.compress(bytes(200 << 20))

    shop.send_all([Message("product", bomb, pika.BasicProperties(content_encoding="gzip"))] * 3)

    letters = shop.take("product.dlq", 3)
    assert {letter.headers["orderd-code"] for letter in letters} == {"malformed"}
    assert all(letter.body == bomb for letter in letters)
    assert orderd.rss_mb() - before_mb < 50


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_id_and_no_field_writes_a_line_of_its_own_into_the_log(
    shop: Shop, daemon: StartDaemon, log_format: str
) -> None:
    orderd = daemon(log_format=log_format, log_level="debug", ready=False)
    wait_until(lambda: "consuming from" in orderd.output, timeout_s=20, what="the daemon")
    bodies = [
        {"action": "create", "id": INJECTED, "data": {}},
        {"action": INJECTED, "id": "a"},
        {"action": "create", "id": "b", "data": {INJECTED: 1}},
        {"action": "create", "id": "c", "version": INJECTED},
        {"action": "create", "id": "d", "auth": INJECTED},
        {"action": "create", "id": "e", "data": {"name": INJECTED, "price": 1}},
    ]
    messages = [
        Message("product", json.dumps(body).encode(), pika.BasicProperties()) for body in bodies
    ]
    messages += [with_properties(product(), correlation_id=INJECTED, reply_to=INJECTED)]
    messages += [with_properties(product(), message_id=INJECTED, reply_to="order")]

    shop.send_all(messages)

    shop.take("product.dlq", len(bodies))
    assert orderd.stop() == 0
    lines = orderd.output.splitlines()
    assert [line for line in lines if line.startswith('{"level":"CRITICAL"')] == []
    assert not any(character in orderd.output for character in "\r\x1b\u2028\u202e")
    assert not any("daemon.failed" in line and "INFO" in line for line in lines)
