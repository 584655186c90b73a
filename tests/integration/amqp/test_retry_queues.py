"""A message on its way back outlives its command queue's being full or missing, on any RabbitMQ."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pika
import pytest

from orderd.amqp.connection import Connection
from orderd.amqp.declaration import Declaration
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import ChannelFault
from orderd.contract.names import EVENTS_EXCHANGE, Queue
from tests.support.versions import Broker, NotHere, installation_with
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

DELAY_S = 0.5
RETRY = "user.retry.500ms"
FORMER = {
    "x-message-ttl": 500,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "user",
}
COUNT = 3
# How long the broker waits for the confirm of the command queue, before it tries again.
TRY_AGAIN = "dead_letter_worker_publisher_confirm_timeout"
# All that RabbitMQ 3.10 has, without the one for streams.
FLAGS = (
    *("classic_mirrored_queue_version", "drop_unroutable_metric", "empty_basic_get_metric"),
    *("implicit_default_bindings", "maintenance_mode_status", "quorum_queue", "user_limits"),
    "virtual_host_metadata",
)


@pytest.fixture
def quick(broker: Broker) -> Iterator[None]:
    """The broker, which tries again after a second instead of three minutes."""
    broker.rabbit.ctl("eval", f"application:set_env(rabbit, {TRY_AGAIN}, 1000).")
    yield
    broker.rabbit.ctl("eval", f"application:set_env(rabbit, {TRY_AGAIN}, 180000).")


@pytest.fixture
def url(broker: Broker) -> str:
    return broker.url


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    one = Connection(BrokerEndpoint((url,), "orderd-test"))
    one.open()
    yield one
    one.close()


@pytest.fixture
def channel(url: str) -> Iterator[Any]:
    with pika.BlockingConnection(pika.URLParameters(url)) as client:
        one = client.channel()
        one.confirm_delivery()
        yield one


def declared(connection: Connection, delays_s: Sequence[float] = (DELAY_S,)) -> Declaration:
    declaration = Declaration(connection, delays_s, "")
    declaration.look()
    declaration.everything()
    return declaration


def publish(channel: Any, queue: str, count: int = COUNT) -> None:
    for number in range(count):
        persistent = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", queue, b"%d" % number, persistent, mandatory=True)


def ready(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def bodies(channel: Any, count: int) -> set[bytes]:
    wait_until(lambda: ready(channel, "user") >= count, timeout_s=60, what="all of them")
    return {channel.basic_get("user", auto_ack=True)[2] for _ in range(count)}


@pytest.mark.usefixtures("quick")
def test_a_full_command_queue_loses_no_retry(connection: Connection, channel: Any) -> None:
    limited = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare("user", durable=True, arguments=limited)
    declared(connection)
    publish(channel, "user", 1)
    publish(channel, RETRY)
    wait_until(lambda: ready(channel, RETRY) == 0, timeout_s=30, what="the end of the delay")

    channel.queue_delete("user")
    channel.queue_declare("user", durable=True)

    assert bodies(channel, COUNT) == {b"0", b"1", b"2"}


@pytest.mark.usefixtures("quick")
def test_a_missing_command_queue_loses_no_retry(connection: Connection, channel: Any) -> None:
    declared(connection)
    channel.queue_delete("user")
    publish(channel, RETRY)
    wait_until(lambda: ready(channel, RETRY) == 0, timeout_s=30, what="the end of the delay")

    declared(connection)

    assert bodies(channel, COUNT) == {b"0", b"1", b"2"}


@pytest.mark.parametrize("kind", ["", "classic", "quorum"])
def test_a_queue_of_a_former_version_is_used_and_named(
    broker: Broker, connection: Connection, channel: Any, kind: str
) -> None:
    arguments = FORMER | ({"x-queue-type": kind} if kind else {})
    channel.queue_declare(RETRY, durable=True, arguments=arguments)

    declaration = declared(connection)

    assert declaration.former == {RETRY: "orderctl topology apply replaces it once it is empty"}
    assert declared(connection, (DELAY_S, 1.0)).former == declaration.former
    text = broker.rabbit.ctl("list_queues", "-p", broker.vhost, "name", "type")
    assert f"{RETRY}\t{kind or 'classic'}" in text
    assert "product.retry.500ms\tquorum" in text


def test_the_limit_of_a_virtual_host_is_no_mismatch(
    broker: Broker, connection: Connection, channel: Any
) -> None:
    declared(connection, (1.0,))
    broker.rabbit.ctl("set_vhost_limits", "-p", broker.vhost, '{"max-queues": 9}')

    channel.exchange_delete(EVENTS_EXCHANGE)

    with pytest.raises(ChannelFault, match=r"'user\.retry\.500ms': queue limit .*\(9\) is reached"):
        declared(connection)

    # What could be declared was.
    channel.exchange_declare(EVENTS_EXCHANGE, passive=True)


class TestWithoutTheFeatureFlag:
    """RabbitMQ 3.10 takes the strategy without it, and ignores it."""

    @pytest.fixture
    def node(self, tmp_path: Path) -> Iterator[PrivateRabbit]:
        try:
            installation = installation_with("3.10")
        except NotHere as reason:
            pytest.skip(str(reason))
        flags = {"RABBITMQ_FEATURE_FLAGS": ",".join(FLAGS)}
        node = PrivateRabbit(tmp_path, installation, environment=flags)
        try:
            node.start()
            yield node
        finally:
            node.close()

    @pytest.fixture
    def url(self, node: PrivateRabbit) -> str:
        return node.url()

    def test_classic_ones_are_declared_until_it_is_enabled(
        self, node: PrivateRabbit, connection: Connection, channel: Any
    ) -> None:
        declaration = declared(connection)

        assert sorted(declaration.former) == sorted(f"{queue}.retry.500ms" for queue in Queue)
        assert "enable_feature_flag stream_queue" in declaration.former[RETRY]
        assert f"{RETRY}\tclassic" in node.ctl("list_queues", "name", "type")
        publish(channel, RETRY)
        assert bodies(channel, COUNT) == {b"0", b"1", b"2"}

        node.ctl("enable_feature_flag", "stream_queue")
        again = declared(connection)

        assert again.hindrance is None
        assert again.former[RETRY] == "orderctl topology apply replaces it once it is empty"
