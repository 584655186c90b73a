"""One command at a time, and its reply."""

import threading
from collections.abc import Iterator
from typing import Any

import pika
import pytest

from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, NoReply, NotRouted
from orderd.amqp.message import Properties
from orderd.amqp.rpc import RpcClient
from orderd.amqp.topology import QueueDepth


@pytest.fixture
def client(endpoint: BrokerEndpoint) -> Iterator[RpcClient]:
    one = RpcClient(endpoint)
    one.connect()
    yield one
    one.close()


@pytest.fixture
def upper(vhost_url: str) -> Iterator[str]:
    """The name of a queue whose messages are answered in upper case."""
    stopping = threading.Event()
    ready = threading.Event()

    def answer() -> None:
        with pika.BlockingConnection(pika.URLParameters(vhost_url)) as connection:
            channel = connection.channel()
            channel.queue_declare("upper")
            ready.set()
            while not stopping.is_set():
                _, properties, body = channel.basic_get("upper", auto_ack=True)
                if body is None:
                    connection.process_data_events(0.02)
                    continue
                reply = pika.BasicProperties(correlation_id=properties.correlation_id)
                channel.basic_publish("", properties.reply_to, body.upper(), reply)

    thread = threading.Thread(target=answer)
    thread.start()
    assert ready.wait(10)
    yield "upper"
    stopping.set()
    thread.join()


def test_a_call_returns_the_reply(client: RpcClient, upper: str) -> None:
    assert client.call(upper, b"one", Properties(), 10) == b"ONE"
    assert client.call(upper, b"two", Properties(correlation_id="mine"), 10) == b"TWO"


def test_nobody_answers(client: RpcClient, outside: Any) -> None:
    outside.queue_declare("silent")

    with pytest.raises(NoReply, match=r"queue silent: no reply in 0\.3 s"):
        client.call("silent", b"x", Properties(), 0.3)


def test_a_late_reply_is_not_taken_for_another_one(
    client: RpcClient, upper: str, outside: Any
) -> None:
    outside.queue_declare("silent")
    with pytest.raises(NoReply):
        client.call("silent", b"x", Properties(), 0.2)
    _, asked, _ = outside.basic_get("silent", auto_ack=True)
    late = pika.BasicProperties(correlation_id=asked.correlation_id)
    outside.basic_publish("", asked.reply_to, b"late", late)

    assert client.call(upper, b"now", Properties(), 10) == b"NOW"


def test_a_missing_queue_is_reported_at_once(client: RpcClient) -> None:
    with pytest.raises(NotRouted, match="queue nowhere: returned: 312 NO_ROUTE"):
        client.publish("nowhere", b"x", Properties())
    with pytest.raises(NotRouted, match="queue nowhere: returned: 312 NO_ROUTE"):
        client.call("nowhere", b"x", Properties(), 10)


def test_a_full_queue_is_reported(client: RpcClient, outside: Any) -> None:
    arguments = {"x-max-length": 0, "x-overflow": "reject-publish"}
    outside.queue_declare("full", arguments=arguments)

    with pytest.raises(BrokerFault, match="queue full: nacked"):
        client.publish("full", b"x", Properties())


def test_what_was_published_is_in_the_queue(client: RpcClient, outside: Any) -> None:
    outside.queue_declare("user")

    client.publish("user", b"body", Properties(message_id="m", delivery_mode=2))

    assert client.queue_depth("user") == QueueDepth(ready=1, consumers=0)
    assert client.queue_depth("nowhere") is None
    _, properties, body = outside.basic_get("user", auto_ack=True)
    assert (properties.message_id, properties.delivery_mode, body) == ("m", 2, b"body")
