"""Queues are used as they are found, and created where absent."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from orderd.amqp.connection import Connection
from orderd.amqp.consumer import Consumer
from orderd.amqp.declaration import Declaration
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import TopologyMismatch
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.topology import QueueDepth, declare_listener, queue_depth
from orderd.contract.names import EVENTS_EXCHANGE, Queue
from tests.integration.amqp.conftest import Opened
from tests.integration.amqp.steps import numbered, receive, send, to_queue
from tools.rabbitmq import PrivateRabbit

RETRY = {"x-message-ttl": 5000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "user"}


@pytest.fixture
def connection(endpoint: BrokerEndpoint) -> Any:
    one = Connection(endpoint)
    one.open()
    yield one
    one.close()


def declare(connection: Connection, delays_s: Sequence[float], queue_type: str) -> Declaration:
    declaration = Declaration(connection, delays_s, queue_type)
    declaration.look()
    declaration.everything()
    return declaration


def list_queues(rabbit: PrivateRabbit, vhost: str) -> dict[str, tuple[str, str]]:
    """Return type and arguments of each queue."""
    text = rabbit.ctl("list_queues", "-p", vhost, "name", "type", "durable", "arguments")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    assert all(row[2] == "true" for row in rows)
    return {row[0]: (row[1], row[3]) for row in rows}


def test_everything_is_created_where_nothing_is(
    connection: Connection, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    declare(connection, (5, 300), "")
    declare(connection, (5, 300), "")

    found = list_queues(private_rabbit, vhost)
    assert sorted(found) == sorted(
        f"{queue}{suffix}" for queue in Queue for suffix in ("", ".dlq", ".retry.5s", ".retry.5min")
    )
    for queue in ("order", "order.dlq"):
        kind, arguments = found[queue]
        # RabbitMQ 4 enters the type of the virtual host's default by itself.
        assert (kind, re.sub(r"\s", "", arguments)) in {
            ("classic", "[]"),
            ("classic", '[{"x-queue-type","classic"}]'),
        }
    assert '"x-message-ttl",300000' in re.sub(r"\s", "", found["order.retry.5min"][1])
    exchanges = private_rabbit.ctl("list_exchanges", "-p", vhost, "name", "type", "durable")
    assert f"{EVENTS_EXCHANGE}\ttopic\ttrue" in exchanges


def test_the_type_of_queue_is_ours_to_choose_only_when_we_create_it(
    connection: Connection, outside: Any, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    outside.queue_declare("user", durable=True)
    outside.queue_declare("user.retry.5s", durable=True, arguments=RETRY)

    declare(connection, (5,), "quorum")

    found = list_queues(private_rabbit, vhost)
    assert {name for name, (kind, _) in found.items() if kind == "classic"} == {
        "user",
        "user.retry.5s",
    }


def test_quorum_queues_are_used_without_asking_for_them(connection: Connection) -> None:
    declare(connection, (5,), "quorum")

    declare(connection, (5,), "")
    declare(connection, (5,), "classic")


@pytest.mark.parametrize(
    "arguments",
    [{"x-max-length": 100}, {"x-queue-type": "quorum"}, {"x-max-priority": 3}],
)
def test_a_command_queue_is_used_as_it_is_found(
    consumer: Consumer, publisher: Publisher, outside: Any, arguments: dict[str, Any]
) -> None:
    outside.queue_declare("user", durable=True, arguments=arguments)

    consumer.connect()

    send(publisher, numbered("user", 1))
    consumer.ack(receive(consumer, 1))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"x-message-ttl": 7000}, "x-message-ttl.*received.*5000.*current.*7000"),
        ({"x-dead-letter-routing-key": "order"}, "x-dead-letter-routing-key.*user.*order"),
        ({"x-queue-type": "quorum", "x-message-ttl": 7000}, "x-message-ttl.*5000.*7000"),
    ],
)
def test_a_retry_queue_that_would_not_work_is_reported_with_the_difference(
    consumer: Consumer, outside: Any, change: dict[str, Any], difference: str
) -> None:
    outside.queue_declare("user.retry.5s", durable=True, arguments=RETRY | change)

    with pytest.raises(TopologyMismatch, match=rf"user\.retry\.5s cannot be used: .*{difference}"):
        consumer.connect()

    assert not consumer.is_ready


def test_an_exchange_of_another_type_is_reported(consumer: Consumer, outside: Any) -> None:
    outside.exchange_declare(EVENTS_EXCHANGE, "fanout", durable=True)

    with pytest.raises(TopologyMismatch, match=r"orderd\.events cannot be used: .*fanout"):
        consumer.connect()


def test_a_message_comes_back_from_its_retry_queue(
    opened: Opened, endpoint: BrokerEndpoint, publisher: Publisher
) -> None:
    consumer = opened.consumer(endpoint, retry_delays_s=(0.3,))
    consumer.connect()

    send(publisher, [to_queue("user.retry.300ms", b"again", Properties(delivery_mode=2))])

    [back] = receive(consumer, 1)
    assert (back.queue, back.body) == ("user", b"again")


def test_a_listener_takes_the_events_of_its_pattern(
    connection: Connection, publisher: Publisher, outside: Any
) -> None:
    declare_listener(connection, "system_events", "system.#", "")

    for key in ("system.started", "order.created", "system.dead_lettered"):
        send(
            publisher, [OutgoingMessage(EVENTS_EXCHANGE, key, b"e", Properties(), mandatory=False)]
        )

    assert outside.queue_declare("system_events", passive=True).method.message_count == 2


def test_the_depth_of_an_absent_queue_is_none(connection: Connection, outside: Any) -> None:
    outside.queue_declare("user")

    assert queue_depth(connection, "nowhere") is None
    assert queue_depth(connection, "user") == QueueDepth(ready=0, consumers=0)
