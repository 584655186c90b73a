"""Batches whose settling, reading and decoding go on while PostgreSQL works on the next one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from orderd.amqp.faults import BrokerFault
from orderd.db.connection import Database
from orderd.pipeline import decode
from orderd.pipeline.settle import Settler
from tests.integration.worker import Worker, stock


@pytest.fixture
def worker(database_url: str, vhost_url: str, tmp_path: Path) -> Iterator[Worker]:
    stock(database_url)
    with closing(Worker(database_url, vhost_url, tmp_path / "none")) as worker:
        yield worker


def orders(database: Database) -> int:
    """Return how many orders are committed."""
    with database.transaction() as tx:
        (count,) = tx.row("count_orders", status=None, user_id=None, rows_max=1_000)
    return int(count)


def committed_and_not_published(worker: Worker, mocker: MockerFixture) -> None:
    """Commit one order, whose results wait to be published with those of the next."""
    worker.send(2)
    worker.take(2)
    mocker.patch.object(Settler, "step", return_value=False)
    worker.begin(1)
    mocker.stopall()
    assert len(worker.app.consumer.inbox) == 1


def test_what_is_to_come_is_decoded_while_the_transaction_before_waits(
    worker: Worker, mocker: MockerFixture
) -> None:
    worker.send(60)
    worker.take(60)
    worker.begin(30)
    decoded = mocker.spy(decode, "decode")

    requests, invalid = worker.app.work.decoder.decode(list(worker.app.consumer.inbox))

    assert (len(requests), len(invalid), decoded.call_count) == (30, 0, 0)


def test_what_was_decoded_ahead_is_forgotten_where_the_policy_changes(worker: Worker) -> None:
    worker.send(60)
    worker.take(60)
    worker.begin(30)
    worker.app.policy.grants = {}

    worker.app.work.take_over(worker.app.settings)
    requests, invalid = worker.app.work.decoder.decode(list(worker.app.consumer.inbox))

    assert (len(requests), len(invalid)) == (0, 30)


def test_a_fault_meanwhile_costs_the_batch_nothing_but_its_try(
    worker: Worker, mocker: MockerFixture
) -> None:
    worker.send(2)
    worker.take(2)
    mocker.patch.object(worker.app.overlap, "jobs", (mocker.Mock(side_effect=BrokerFault("lost")),))

    worker.begin(2)

    assert orders(worker.app.database) == 0
    assert len(worker.app.consumer.inbox) == 2
    with pytest.raises(BrokerFault, match="lost"):
        worker.app.overlap.raise_fault()
    mocker.stopall()
    worker.begin(2)
    worker.finish()
    assert orders(worker.app.database) == 2


def test_who_gives_up_a_lost_connection_loses_no_committed_result(
    worker: Worker, mocker: MockerFixture
) -> None:
    committed_and_not_published(worker, mocker)
    published = mocker.spy(worker.app.publisher, "publish")
    # As on a connection that was given up.
    mocker.patch.object(worker.app.consumer, "ack", side_effect=BrokerFault("no answer"))

    worker.app.settler.ack_at_last()

    (messages,) = published.call_args.args
    assert [each.routing_key for each in messages] == ["order.created"]
