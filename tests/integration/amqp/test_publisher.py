"""Publishing to a real broker, and what it answers."""

import time
from itertools import pairwise
from typing import Any

import pika
import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, Unpublishable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.reply_address import REPLY_TO
from orderd.amqp.wire.properties import encode
from tests.integration.amqp.conftest import Opened, end_alarm
from tests.integration.amqp.steps import LIMIT_S, numbered, receive, send, to_queue
from tools.rabbitmq import PrivateRabbit

# The least that RabbitMQ 4 agrees to.
FRAME_MAX_SMALL = 8192


def test_every_message_of_a_window_is_confirmed(publisher: Publisher, outside: Any) -> None:
    outside.queue_declare("user", durable=True)
    persistent = Properties(delivery_mode=2)

    receipts = [
        publisher.publish([to_queue("user", b"%d" % number, persistent) for number in range(200)])
        for _ in range(5)
    ]
    for confirms in reversed(receipts):
        publisher.wait(confirms, LIMIT_S)

    assert all(confirms.done and confirms.failed == {} for confirms in receipts)
    assert outside.queue_declare("user", passive=True).method.message_count == 1000


def test_nothing_to_publish_is_done_at_once(publisher: Publisher) -> None:
    confirms = publisher.publish([])

    publisher.wait(confirms, 0)

    assert confirms.done


def test_an_unroutable_message_counts_only_when_mandatory(publisher: Publisher) -> None:
    message = OutgoingMessage("", "nowhere", b"x", Properties(), mandatory=False)

    send(publisher, [message])


def test_returns_name_their_own_messages_and_no_neighbours(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("slow", durable=True, arguments={"x-queue-type": "quorum"})
    persistent = Properties(delivery_mode=2)
    window = [
        to_queue("nowhere" if number % 7 == 3 else "slow", b"%d" % (number % 2), persistent)
        for number in range(100)
    ]

    for _ in range(5):
        confirms = publisher.publish(window)
        publisher.wait(confirms, LIMIT_S)

        lost = {index for index, one in enumerate(window) if one.routing_key == "nowhere"}
        assert confirms.failed == dict.fromkeys(lost, "returned: 312 NO_ROUTE")


def test_what_the_queue_rejects_is_nacked(publisher: Publisher, outside: Any) -> None:
    arguments = {"x-max-length": 3, "x-overflow": "reject-publish"}
    outside.queue_declare("small", arguments=arguments)

    confirms = publisher.publish(numbered("small", 10))
    publisher.wait(confirms, LIMIT_S)

    assert set(confirms.failed.values()) == {"nacked"}
    assert 3 <= 10 - len(confirms.failed) <= 5
    send(publisher, [])


def test_a_missing_exchange_fails_its_message_and_no_other(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("user")
    message = OutgoingMessage("gone", "x", b"x", Properties(), mandatory=False)

    confirms = publisher.publish([*numbered("user", 1), message])
    publisher.wait(confirms, LIMIT_S)

    assert [*confirms.failed] == [1]
    assert "404 NOT_FOUND - no exchange 'gone'" in confirms.failed[1]
    publisher.pump()
    send(publisher, numbered("user", 1))
    assert publisher.is_ready


def test_what_has_no_answer_when_the_channel_goes_is_sent_again(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("user", durable=True)
    confirms = publisher.publish(numbered("user", 300))
    message = OutgoingMessage("gone", "x", b"x", Properties(), mandatory=False)

    publisher.wait(publisher.publish([message]), LIMIT_S)

    publisher.wait(confirms, LIMIT_S)
    assert confirms.failed == {}
    found = outside.queue_declare("user", passive=True).method.message_count
    assert found >= 300


def test_a_reply_to_a_client_that_is_gone_does_no_harm(
    publisher: Publisher, outside: Any, vhost_url: str
) -> None:
    outside.queue_declare("user")
    with pika.BlockingConnection(pika.URLParameters(vhost_url)) as connection:
        channel = connection.channel()
        channel.basic_consume(REPLY_TO, lambda *_: None, auto_ack=True)
        channel.basic_publish("", "user", b"", pika.BasicProperties(reply_to=REPLY_TO))
        _, asked, _ = channel.basic_get("user", auto_ack=True)

    send(publisher, [OutgoingMessage("", asked.reply_to, b"x", Properties(), mandatory=False)])

    send(publisher, numbered("user", 1))


@pytest.mark.parametrize(
    "address",
    ["x", "x.y", "AAAA.AAAA", "g1hh.x", "g2EF.x", "g1h2AA5yZXBseUAxMTY1Njc4OAAACokAAAAAawJQwA.x"],
)
def test_a_reply_address_that_would_end_the_connection_is_refused(
    publisher: Publisher, outside: Any, address: str
) -> None:
    key = f"{REPLY_TO}.{address}"
    outside.queue_declare("user")

    with pytest.raises(Unpublishable, match="not an address of direct reply-to"):
        publisher.publish([OutgoingMessage("", key, b"x", Properties(), mandatory=False)])

    send(publisher, numbered("user", 1))


def test_publishing_after_the_connection_is_lost_is_a_fault_at_once(
    publisher: Publisher, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    private_rabbit.ctl("close_all_connections", "--vhost", vhost, "by the test")
    with pytest.raises(BrokerFault, match="by the test"):
        publisher.wait(publisher.publish(numbered("user", 1)), LIMIT_S)
    began = time.monotonic()

    with pytest.raises(BrokerFault, match="by the test"):
        publisher.publish(numbered("user", 1))

    assert time.monotonic() - began < 5


def test_one_message_that_cannot_be_encoded_leaves_all_unsent(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("user")
    bad = to_queue("user", b"x", Properties(message_id="é" * 200))

    with pytest.raises(Unpublishable, match="message 1 to 'user': message_id: 400 bytes"):
        publisher.publish([*numbered("user", 1), bad])

    assert outside.queue_declare("user", passive=True).method.message_count == 0
    send(publisher, numbered("user", 1))


def test_properties_fill_one_frame_of_the_negotiated_size_and_no_more(
    opened: Opened, vhost_url: str, outside: Any
) -> None:
    url = f"{vhost_url}?frame_max={FRAME_MAX_SMALL}"
    publisher = opened.publisher(BrokerEndpoint((url,), "orderd-test"))
    publisher.connect()
    outside.queue_declare("user")
    spare = FRAME_MAX_SMALL - 20 - len(encode(Properties(headers={"x": ""})))

    send(publisher, [to_queue("user", b"b" * 9_999, Properties(headers={"x": "y" * spare}))])
    with pytest.raises(Unpublishable, match=f"do not fit into one frame: {FRAME_MAX_SMALL - 20}"):
        publisher.publish([to_queue("user", b"", Properties(headers={"x": "y" * (spare + 1)}))])

    _, properties, body = outside.basic_get("user")
    assert len(properties.headers["x"]) == spare
    assert body == b"b" * 9_999


def test_properties_fill_one_frame_of_the_usual_size(publisher: Publisher, outside: Any) -> None:
    outside.queue_declare("user")
    spare = publisher.connection.frame_max - 20 - len(encode(Properties(headers={"x": ""})))

    send(publisher, [to_queue("user", b"", Properties(headers={"x": "y" * spare}))])

    assert publisher.connection.frame_max == 131_072


def test_blocked_publishers_are_told_and_resume(
    consumer: Consumer, publisher: Publisher, memory_alarm: PrivateRabbit
) -> None:
    consumer.connect()
    slices = [time.monotonic()]
    confirms = publisher.publish(numbered("user", 3))

    with pytest.raises(BrokerFault, match="no answer in 3 s, publishers are blocked"):
        publisher.wait(confirms, 3, lambda: slices.append(time.monotonic()))

    told = publisher.blocked
    assert told
    assert max(later - sooner for sooner, later in pairwise(slices)) < 2.5
    end_alarm(memory_alarm)
    publisher.wait(confirms, LIMIT_S)
    assert not publisher.blocked
    assert len(receive(consumer, 3)) == 3


def test_acks_flow_while_publishers_are_blocked(
    consumer: Consumer, publisher: Publisher, private_rabbit: PrivateRabbit
) -> None:
    consumer.connect()
    send(publisher, numbered("user", 3))
    taken = receive(consumer, 3)
    private_rabbit.ctl("set_vm_memory_high_watermark", "0")
    try:
        publisher.publish(numbered("user", 1))
        consumer.ack(taken)
        consumer.connect()
        consumer.poll(0.3)
        assert not consumer.inbox
    finally:
        end_alarm(private_rabbit)


def test_a_publisher_that_stays_blocked_is_disconnected(
    opened: Opened, vhost_url: str, private_rabbit: PrivateRabbit
) -> None:
    endpoint = BrokerEndpoint((vhost_url,), "orderd-test", blocked_timeout_s=2)
    publisher = opened.publisher(endpoint)
    publisher.connect()
    private_rabbit.ctl("set_vm_memory_high_watermark", "0")
    try:
        confirms = publisher.publish(numbered("user", 1))
        with pytest.raises(BrokerFault, match="ConnectionBlockedTimeout"):
            publisher.wait(confirms, LIMIT_S)
        assert not publisher.blocked
        publisher.close()
    finally:
        end_alarm(private_rabbit)


def test_a_name_of_another_user_is_refused_before_the_broker_does(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("user")

    with pytest.raises(Unpublishable, match="user_id"):
        publisher.publish([to_queue("user", b"", Properties(user_id="somebody"))])
    send(publisher, [to_queue("user", b"", Properties(user_id="guest"))])


def event(key: str, exchange: str = "events") -> OutgoingMessage:
    return OutgoingMessage(exchange, key, b"", Properties(), mandatory=False)


def test_the_message_over_which_the_channel_is_closed_has_failed_and_no_other(
    publisher: Publisher, outside: Any
) -> None:
    outside.exchange_declare("events", "topic")
    outside.queue_declare("heard")
    outside.queue_bind("heard", "events", "#")
    messages = [event("a"), event("b", "missing"), event("c"), event("d", "missing"), event("e")]

    confirms = publisher.publish(messages)
    publisher.wait_out(confirms, 10, lambda: None)

    assert [*confirms.failed] == [1, 3]
    assert all("404 NOT_FOUND - no exchange 'missing'" in why for why in confirms.failed.values())
    heard = [outside.basic_get("heard", auto_ack=True)[0] for _ in range(6)]
    assert {method.routing_key for method in heard if method} == {"a", "c", "e"}
    # Not sent again, for a while; the others are.
    again = publisher.publish(messages)
    assert {index for index, why in again.failed.items() if "404" in why} == {1, 3}
    publisher.wait_out(again, 10, lambda: None)
    assert [*again.failed] == [1, 3]
