"""A batch goes to the broker in one `send`, in order; without pika's services, frame by frame."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from orderd.amqp import confirm_connection
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault
from orderd.amqp.joined_writes import WRITE_BYTES
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.stepwise import StepwisePublisher
from tests.integration.amqp.conftest import Opened, end_alarm
from tests.integration.amqp.steps import LIMIT_S, numbered, send, to_queue
from tests.support.sends import Sends, counted_sends
from tests.support.tcp_proxy import TcpProxy
from tools.rabbitmq import PrivateRabbit

PERSISTENT = Properties(delivery_mode=2)
# The least that RabbitMQ 4 agrees to.
FRAME_MAX_SMALL = 8192
# More than the buffers of a socket hold.
MUCH_BYTES = 24 * 1024 * 1024


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch, vhost_url: str) -> Sends:
    """What is sent to the broker."""
    port = urlsplit(vhost_url).port
    assert port is not None
    return counted_sends(monkeypatch, port)


@pytest.fixture(params=["joined", "by pika"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How messages are written; to be asked for before `publisher`."""
    if request.param == "by pika":
        monkeypatch.setattr(confirm_connection, "watched_services", lambda: None)
    return str(request.param)


def bodies_in(outside: Any, queue: str, count: int) -> list[bytes]:
    return [outside.basic_get(queue, auto_ack=True)[2] for _ in range(count)]


def ready_in(outside: Any, queue: str) -> int:
    return int(outside.queue_declare(queue, passive=True).method.message_count)


def bulk(queue: str, count: int) -> list[OutgoingMessage]:
    return [to_queue(queue, b"%05d" % number + b"x" * 100_000) for number in range(count)]


def test_a_batch_is_one_send(sends: Sends, publisher: Publisher, outside: Any) -> None:
    outside.queue_declare("user")
    messages = [to_queue("user", b"x" * 600, PERSISTENT) for _ in range(200)]
    publisher.pump()
    sends.calls.clear()

    send(publisher, messages)

    assert len(sends.calls) == 1


def test_without_pikas_services_a_batch_is_a_send_for_each_frame(
    monkeypatch: pytest.MonkeyPatch, sends: Sends, endpoint: BrokerEndpoint, opened: Opened
) -> None:
    monkeypatch.setattr(confirm_connection, "watched_services", lambda: None)
    publisher = opened.publisher(endpoint)
    publisher.connect()
    event = OutgoingMessage("", "nowhere", b"x", PERSISTENT, mandatory=False)
    publisher.pump()
    sends.calls.clear()

    send(publisher, [event] * 10)

    assert len(sends.calls) == 30


def test_messages_arrive_whole_and_in_order(
    either_way: str, opened: Opened, vhost_url: str, outside: Any
) -> None:
    assert either_way
    url = f"{vhost_url}?frame_max={FRAME_MAX_SMALL}"
    publisher = opened.publisher(BrokerEndpoint((url,), "orderd-test"))
    publisher.connect()
    outside.queue_declare("user")
    sizes = [0, 1, FRAME_MAX_SMALL - 8, FRAME_MAX_SMALL - 7, 3 * FRAME_MAX_SMALL, 2 * WRITE_BYTES]
    bodies = [bytes([number]) * sizes[number % len(sizes)] for number in range(60)]

    send(publisher, [to_queue("user", body) for body in bodies])

    assert bodies_in(outside, "user", 60) == bodies


def test_answers_find_their_messages(either_way: str, publisher: Publisher, outside: Any) -> None:
    assert either_way
    outside.queue_declare("user")
    outside.queue_declare("full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    queues = ["user", "nowhere", "full"]

    confirms = publisher.publish([to_queue(queues[number % 3], b"x") for number in range(90)])
    publisher.wait(confirms, LIMIT_S)

    told = {1: "returned: 312 NO_ROUTE", 2: "nacked"}
    assert confirms.failed == {n: told[n % 3] for n in range(90) if n % 3}
    assert ready_in(outside, "user") == 30


def test_what_was_published_goes_before_the_connection_is_closed(
    publisher: Publisher, outside: Any
) -> None:
    outside.queue_declare("user")
    publisher.publish(bulk("user", 50))

    publisher.close()

    assert ready_in(outside, "user") == 50


def test_a_pump_sends_what_the_socket_did_not_take(publisher: Publisher, outside: Any) -> None:
    outside.queue_declare("user")
    messages = bulk("user", MUCH_BYTES // 100_000)

    confirms = publisher.publish(messages)
    deadline_s = time.monotonic() + LIMIT_S
    while not confirms.done and time.monotonic() < deadline_s:
        publisher.pump()

    assert confirms.failed == {}
    assert ready_in(outside, "user") == len(messages)


def test_heartbeats_and_batches_do_not_mix(opened: Opened, vhost_url: str, outside: Any) -> None:
    publisher = opened.publisher(BrokerEndpoint((vhost_url,), "orderd-test", heartbeat_s=1))
    publisher.connect()
    outside.queue_declare("user", arguments={"x-max-length": 10})
    deadline_s = time.monotonic() + 4

    while time.monotonic() < deadline_s:
        send(publisher, bulk("user", 20))

    assert publisher.is_ready


def test_a_connection_lost_amid_a_batch_is_a_fault_and_the_next_one_works(
    opened: Opened, vhost_url: str, outside: Any
) -> None:
    outside.queue_declare("user")
    with TcpProxy(vhost_url) as proxy:
        proxy.open()
        publisher = opened.publisher(BrokerEndpoint((proxy.url,), "orderd-test"))
        publisher.connect()
        proxy.silence()
        confirms = publisher.publish(bulk("user", MUCH_BYTES // 100_000))
        proxy.cut(reset=True)

        with pytest.raises(BrokerFault):
            publisher.wait(confirms, LIMIT_S)
        with pytest.raises(BrokerFault):
            publisher.publish(numbered("user", 1))

        assert confirms.outstanding == MUCH_BYTES // 100_000
        proxy.speak()
        publisher.connect()
        send(publisher, numbered("user", 3))
    assert bodies_in(outside, "user", ready_in(outside, "user"))[-3:] == [b"0", b"1", b"2"]


def test_what_is_published_in_an_alarm_goes_after_it(
    publisher: Publisher, outside: Any, memory_alarm: PrivateRabbit
) -> None:
    outside.queue_declare("user")
    messages = bulk("user", MUCH_BYTES // 100_000)
    # So much that the socket takes only some of it from a broker that reads no more.
    confirms = publisher.publish(messages)
    with pytest.raises(BrokerFault, match="publishers are blocked"):
        publisher.wait(confirms, 2)

    end_alarm(memory_alarm)

    publisher.wait(confirms, LIMIT_S)
    assert confirms.failed == {}
    assert [body[:5] for body in bodies_in(outside, "user", len(messages))] == [
        message.body[:5] for message in messages
    ]


def test_replies_go_in_one_send(sends: Sends, endpoint: BrokerEndpoint, outside: Any) -> None:
    outside.queue_declare("user")
    publisher = StepwisePublisher(endpoint)
    publisher.begin()
    deadline_s = time.monotonic() + LIMIT_S
    while not publisher.step() and time.monotonic() < deadline_s:
        publisher.serve(0.05)
    sends.calls.clear()

    confirms = publisher.publish(numbered("user", 50))
    while not confirms.done and time.monotonic() < deadline_s:
        publisher.serve(0.05)

    assert len(sends.calls) == 1
    publisher.connection.close()
    assert ready_in(outside, "user") == 50
