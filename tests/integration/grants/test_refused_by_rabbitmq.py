"""What each role must not be able to do with the broker, tried by it on each version."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pika
import pytest
from pika.exceptions import AMQPError, ChannelClosedByBroker

from orderd.protocol.names import (
    EVENTS_EXCHANGE,
    NOTIFICATIONS_EXCHANGE,
    QUEUES,
    NoticeQueue,
    Queue,
    dead_letter_queue,
    retry_queue,
)
from orderd.protocol.roles import Role
from tests.integration.grants.conftest import Open
from tests.support.versions import Broker

REFUSED = 403
BILLING = "billing"
RETRIES = [retry_queue(queue, 5) for queue in QUEUES]
DEAD_LETTERS = [dead_letter_queue(queue) for queue in QUEUES]
OTHERS = [*RETRIES, *DEAD_LETTERS]

Try = Callable[[Any], object]


def get(queue: str) -> Try:
    return lambda channel: channel.basic_get(queue)


def consume(queue: str) -> Try:
    return lambda channel: channel.basic_consume(queue, lambda *_: None)


def purge(queue: str) -> Try:
    return lambda channel: channel.queue_purge(queue)


def declare(queue: str) -> Try:
    return lambda channel: channel.queue_declare(queue, durable=True)


def delete(queue: str) -> Try:
    return lambda channel: channel.queue_delete(queue)


def declare_exchange(exchange: str) -> Try:
    return lambda channel: channel.exchange_declare(exchange, "topic", durable=True)


def delete_exchange(exchange: str) -> Try:
    return lambda channel: channel.exchange_delete(exchange)


def publish(exchange: str, key: str) -> Try:
    return lambda channel: channel.basic_publish(exchange, key, b"{}")


def bind(queue: str, exchange: str, pattern: str) -> Try:
    return lambda channel: channel.queue_bind(queue, exchange, pattern)


def taking(queue: str) -> dict[str, Try]:
    return {
        f"get {queue}": get(queue),
        f"consume {queue}": consume(queue),
        f"purge {queue}": purge(queue),
    }


def everything_with(queue: str) -> dict[str, Try]:
    return {
        **taking(queue),
        f"declare {queue}": declare(queue),
        f"delete {queue}": delete(queue),
        f"bind {queue}": bind(queue, EVENTS_EXCHANGE, "#"),
    }


def all_of(dictionaries: Iterator[dict[str, Try]]) -> dict[str, Try]:
    return {name: each for dictionary in dictionaries for name, each in dictionary.items()}


FOREIGN: dict[str, Try] = {
    **everything_with(BILLING),
    "declare other": declare("other"),
    "declare order.other": declare("order.other"),
    "declare exchange other": declare_exchange("other"),
    "delete exchange billing": delete_exchange(BILLING),
    "publish to billing": publish(BILLING, "order.created"),
    "publish to amq.topic": publish("amq.topic", "order.created"),
    "bind to billing": bind("order", BILLING, "#"),
}
REFUSALS: dict[Role, dict[str, Try]] = {
    Role.DAEMON: {
        **FOREIGN,
        **all_of(everything_with(queue) for queue in NoticeQueue),
        **all_of(taking(retry_queue(queue, 5)) for queue in NoticeQueue),
        "delete user_notifications.dlq": delete("user_notifications.dlq"),
        "declare notifications": declare_exchange(NOTIFICATIONS_EXCHANGE),
        "publish to notifications": publish(NOTIFICATIONS_EXCHANGE, "user.other"),
        "bind order": bind("order", EVENTS_EXCHANGE, "#"),
    },
    Role.NOTIFY: {
        **FOREIGN,
        **all_of(everything_with(queue) for queue in Queue),
        **all_of(taking(retry_queue(queue, 5)) for queue in Queue),
        **all_of(taking(dead_letter_queue(queue)) for queue in Queue),
        "publish order.created": publish(EVENTS_EXCHANGE, "order.created"),
        "publish to notifications": publish(NOTIFICATIONS_EXCHANGE, "user.other"),
        "bind to all events": bind("user_notifications", EVENTS_EXCHANGE, "#"),
        "bind to user.created": bind("user_notifications", EVENTS_EXCHANGE, "user.created"),
        "bind to all notifications": bind("user_notifications", NOTIFICATIONS_EXCHANGE, "#"),
    },
    Role.READER: {
        **FOREIGN,
        **all_of(everything_with(queue) for queue in QUEUES),
        **all_of(taking(queue) for queue in RETRIES),
        **{f"delete {queue}": delete(queue) for queue in OTHERS},
        **{f"publish to queue {queue}": publish("", queue) for queue in (*QUEUES, *OTHERS)},
        "publish order.created": publish(EVENTS_EXCHANGE, "order.created"),
        "publish to notifications": publish(NOTIFICATIONS_EXCHANGE, "user.other"),
        "delete orderd.events": delete_exchange(EVENTS_EXCHANGE),
    },
    Role.OWNER: {
        **FOREIGN,
        **all_of(taking(queue) for queue in (*QUEUES, *DEAD_LETTERS)),
        "publish order.created": publish(EVENTS_EXCHANGE, "order.created"),
        "publish to notifications": publish(NOTIFICATIONS_EXCHANGE, "user.other"),
        "bind order": bind("order", EVENTS_EXCHANGE, "#"),
    },
}


@pytest.fixture
def admin(broker: Broker) -> Iterator[Any]:
    """A channel for everything, beside all queues and exchanges, and those of somebody else."""
    where = pika.URLParameters(broker.url)
    with closing(pika.BlockingConnection(where)) as connection:
        channel = connection.channel()
        for exchange in (EVENTS_EXCHANGE, NOTIFICATIONS_EXCHANGE, BILLING):
            channel.exchange_declare(exchange, "topic", durable=True)
        for queue in (*QUEUES, *OTHERS, BILLING):
            channel.queue_declare(queue, durable=True)
        channel.basic_publish("", BILLING, b"theirs")
        yield channel


def is_refused(open_channel: Callable[[], Any], attempt: Try) -> bool:
    channel = open_channel()
    channel.confirm_delivery()
    try:
        attempt(channel)
    except ChannelClosedByBroker as closed:
        return bool(closed.reply_code == REFUSED)
    with suppress(AMQPError):
        channel.close()
    return False


@pytest.mark.parametrize("role", Role)
def test_a_role_is_refused_what_is_not_its_own(admin: Any, open_as: Open, role: Role) -> None:
    open_channel = open_as(role)

    allowed = [
        name for name, attempt in REFUSALS[role].items() if not is_refused(open_channel, attempt)
    ]

    assert allowed == []
    assert admin.queue_declare(BILLING, passive=True).method.message_count == 1


def test_a_reader_looks_at_dead_letters_and_gives_them_back(admin: Any, open_as: Open) -> None:
    admin.basic_publish("", "order.dlq", b"dead")
    channel = open_as(Role.READER)()

    method, _, body = channel.basic_get("order.dlq")
    assert body == b"dead"
    channel.basic_nack(method.delivery_tag)
    # RabbitMQ has one permission to look at messages and to take them: so says the documentation.
    assert not is_refused(open_as(Role.READER), purge("order.dlq"))


def test_what_replies_need_reaches_any_queue(admin: Any, open_as: Open) -> None:
    """The default exchange has one permission for all queues: so says the documentation."""
    channel = open_as(Role.DAEMON)()
    channel.confirm_delivery()

    channel.basic_publish("", BILLING, b"reply", mandatory=True)

    assert admin.queue_declare(BILLING, passive=True).method.message_count == 2
