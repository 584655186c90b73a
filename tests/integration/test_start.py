"""What a start asks the servers is counted: each question is a round trip, however far they are."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from pytest_mock import MockerFixture

from orderd.amqp.connection import Connection
from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.db.connection import Database
from orderd.db.migrations import check_schema
from orderd.db.transaction import Transaction
from orderd.protocol.names import Queue
from orderd.protocol.tenants import ORDERD

RETRY_DELAYS_S = (5, 30, 300)
# To ask and to declare with, one for each queue; RabbitMQ before 3.12 closes another one.
CHANNELS_MAX = 2 + len(Queue) + 1
# For each queue: whether it and its dead letter queue are there, and as they should be; its retry
# queues; its consumers, before and after; prefetch and consumer. Then the exchange.
QUESTIONS_MAX = len(Queue) * (3 + len(RETRY_DELAYS_S) + 2 + 2) + 3
# Names, migrations, columns, sequences, keys, references, checks, limits and COMMIT.
STATEMENTS = 9


@pytest.fixture
def consumer(vhost_url: str) -> Iterator[Consumer]:
    endpoint = BrokerEndpoint((vhost_url,), "orderd-test")
    with closing(Consumer(endpoint, ORDERD, 400, RETRY_DELAYS_S, "")) as consumer:
        yield consumer


def test_a_start_asks_the_broker_a_few_questions_for_each_queue(
    consumer: Consumer, mocker: MockerFixture
) -> None:
    consumer.connect()
    consumer.close()
    channels = mocker.spy(Connection, "open_channel")
    questions = mocker.spy(Connection, "call")

    consumer.connect()

    assert consumer.is_ready
    assert channels.call_count <= CHANNELS_MAX
    assert questions.call_count <= QUESTIONS_MAX


def test_a_start_checks_the_schema_in_one_transaction(
    database_url: str, mocker: MockerFixture
) -> None:
    with closing(Database(database_url)) as database:
        database.connect()
        round_trips = mocker.spy(Transaction, "_send")

        assert check_schema(database) == []

    assert round_trips.call_count == STATEMENTS
