"""orderctl as the reader, who looks and changes nothing."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pika
import psycopg2
import pytest

from orderd.protocol.names import QUEUES, dead_letter_queue, retry_queue
from orderd.protocol.roles import Role
from tests.support.grants import Roles
from tests.support.orderctl import Orderctl, orderctl_on
from tools.rabbitmq import PrivateRabbit

pytestmark = pytest.mark.usefixtures("admin")

NOT_HERE = "order.retry.5s"
HEADERS = {"orderd-code": "unexpected", "orderd-queue": "order"}
BODY = b'{"id": "web-1", "action": "create", "data": {}}'


@pytest.fixture
def admin(vhost_url: str, granted_url: str) -> Iterator[Any]:
    """A channel for everything, beside the queues with some messages; and a row of the ledger."""
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            retries = (retry_queue(queue, delay_s) for delay_s in (5, 30, 300))
            for name in (queue, dead_letter_queue(queue), *retries):
                channel.queue_declare(name, durable=True)
        properties = pika.BasicProperties(headers=HEADERS)
        for name in ("order.dlq", NOT_HERE, "order"):
            channel.basic_publish("", name, BODY, properties)
        with closing(psycopg2.connect(granted_url)) as session, session:
            session.cursor().execute(
                "INSERT INTO processed_requests VALUES ('web-0', 'product', 'create', 'applied', "
                "null, '{\"data\": {\"id\": 1}}', 'x') ON CONFLICT DO NOTHING"
            )
        yield channel


@pytest.fixture
def orderctl(
    roles: Roles, private_rabbit: PrivateRabbit, vhost: str, vhost_url: str, granted_url: str
) -> Orderctl:
    """Run `orderctl ARGS` as the reader."""
    roles.grant_vhost(private_rabbit, vhost)
    return orderctl_on(
        {
            "ORDERD_DATABASE_URL": roles.url(granted_url, Role.READER),
            "ORDERD_RABBITMQ_URL": roles.url(vhost_url, Role.READER),
        }
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("daemons",),
        ("ledger", "list"),
        ("ledger", "show", "web-0"),
        ("outbox", "list"),
        ("dlq", "list"),
        ("dlq", "show"),
        ("dlq", "groups"),
        ("notify", "list"),
        ("explain", "web-0"),
    ],
    ids=" ".join,
)
def test_a_reader_may_look(orderctl: Orderctl, admin: Any, arguments: tuple[str, ...]) -> None:
    done = orderctl(*arguments)

    assert done.code == 0, done.err
    assert admin.queue_declare("order.dlq", passive=True).method.message_count == 1


def test_what_a_reader_may_not_read_is_named(orderctl: Orderctl) -> None:
    done = orderctl("explain", "web-1", "--json")

    assert [one["code"] for one in done.document["dead_letters"]] == ["unexpected"]
    assert done.document["not_looked_at"] == {NOT_HERE: 1}
    assert f"{NOT_HERE}: " in done.err


def test_the_status_says_that_no_daemon_was_asked(
    orderctl: Orderctl, admin: Any, roles: Roles
) -> None:
    for queue in ("user", "product", "order"):
        admin.basic_consume(queue, lambda *_: None)

    status = orderctl("status", "--json").document

    said = f"not asked: user {roles.names[Role.READER]} may not publish"
    assert said in status["daemon"]["summary"]
    assert status["daemon"]["ok"]
    assert {part: status[part]["ok"] for part in ("database", "schema", "ledger", "outbox")} == (
        dict.fromkeys(("database", "schema", "ledger", "outbox"), True)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "order", "list"),
        ("call", "order", "list", "--timeout", "1s"),
        ("pause", "order", "--reason", "other"),
        ("resume", "order"),
        ("outbox", "retry", "--all"),
        ("dlq", "replay", "order", "--yes"),
        ("prune", "--yes"),
        ("topology", "apply"),
    ],
    ids=" ".join,
)
def test_a_reader_changes_nothing(
    orderctl: Orderctl, admin: Any, arguments: tuple[str, ...]
) -> None:
    done = orderctl(*arguments)

    assert done.code != 0
    counts = {
        name: admin.queue_declare(name, passive=True).method.message_count
        for name in ("order", "order.dlq", NOT_HERE)
    }
    assert counts == {"order": 1, "order.dlq": 1, NOT_HERE: 1}
