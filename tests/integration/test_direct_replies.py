"""Direct replies hold up nothing once the broker has confirmed them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from orderd.amqp.stepwise import StepwisePublisher
from tests.integration.worker import Worker, stock
from tools.waiting import wait_until


@pytest.fixture
def worker(database_url: str, vhost_url: str, tmp_path: Path) -> Iterator[Worker]:
    stock(database_url)
    with closing(Worker(database_url, vhost_url, tmp_path / "none")) as worker:
        yield worker


def test_a_confirm_that_was_read_before_is_not_waited_for(
    worker: Worker, mocker: MockerFixture
) -> None:
    reply_to = worker.connect_for_replies()
    replies = worker.app.direct_replies
    worker.send(1, reply_to)
    worker.take(1)
    worker.begin(1)

    def is_confirmed() -> bool:
        # As the loop does between two batches.
        replies.pump()
        return all(each.confirms.done for each in replies._own_sent())  # noqa: SLF001 - seen nowhere else

    wait_until(is_confirmed, timeout_s=20, what="the confirm of the reply")
    waits = mocker.spy(StepwisePublisher, "serve")

    worker.finish()

    assert waits.call_count == 0
    assert not replies.is_busy
