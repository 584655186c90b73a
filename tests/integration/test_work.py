"""The work of a batch in numbers that are the same on every machine, where its time is not.

A change that adds work fails here and prints all that was done; one that saves some is to write
its numbers into the tables below.
"""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from pytest_mock import MockerFixture

from tests.integration.worker import Worker, stock
from tests.support.statements import StatementProxy
from tests.support.work import Counts, Work

# Orders of two lines each, spread over users and products, by the size of their batch.
BATCHES: Final = {
    1: Work(round_trips=3, statements=10, commits=1, publishes=1, acks=1, waits=1),
    10: Work(round_trips=3, statements=10, commits=1, publishes=1, acks=1, waits=1),
    200: Work(round_trips=4, statements=12, commits=1, publishes=1, acks=1, waits=1),
}
# Three of the largest, each settled while PostgreSQL works on the next one.
IN_A_ROW: Final = Work(round_trips=12, statements=36, commits=3, publishes=3, acks=3, waits=3)
# One order alone, by where its caller waits for the reply.
CALLS: Final = {
    "a queue": Work(round_trips=3, statements=10, commits=1, publishes=1, acks=1, waits=1),
    "direct reply-to": Work(round_trips=3, statements=10, commits=1, publishes=2, acks=1, waits=1),
}
# A row that is asked for: there is nothing to write.
QUERY: Final = Work(round_trips=2, statements=4, commits=1, publishes=1, acks=1, waits=1)
# Deleting sent events from the outbox, at the latest a second after the batch.
DELETION: Final = Work(round_trips=2, statements=5, commits=1, publishes=0, acks=0, waits=0)

# The most that a batch of 200 holds at a time, from the first byte read to the ack, in bytes a
# message; with Python 3.11. Versions of Python and of libraries differ.
MEMORY_BYTES: Final = 11_300
MEMORY_TOLERANCE: Final = 0.2
# What is still there after it: counters and caches, which do not grow with what was done.
KEPT_BYTES_MAX: Final = 100


@pytest.fixture
def stocked_url(database_url: str) -> str:
    """The URL of a database with users and products."""
    stock(database_url)
    return database_url


@pytest.fixture
def proxy(stocked_url: str) -> Iterator[StatementProxy]:
    with StatementProxy(stocked_url) as proxy:
        proxy.open()
        yield proxy


@pytest.fixture
def counts(
    proxy: StatementProxy,
    vhost_url: str,
    monkeypatch: pytest.MonkeyPatch,
    mocker: MockerFixture,
) -> Counts:
    return Counts(proxy, vhost_url, monkeypatch, mocker)


@pytest.fixture
def worker(proxy: StatementProxy, vhost_url: str, tmp_path: Path) -> Iterator[Worker]:
    """A worker whose work can be counted."""
    with closing(Worker(proxy.url, vhost_url, tmp_path / "none")) as worker:
        yield worker


@pytest.mark.parametrize("size", BATCHES)
def test_the_work_of_a_batch(worker: Worker, counts: Counts, size: int) -> None:
    worker.do(size)
    worker.send(size)
    worker.take(size)
    counts.begin()

    worker.begin(size)
    worker.finish()

    counts.check(BATCHES[size])


def test_the_work_of_batches_in_a_row(worker: Worker, counts: Counts) -> None:
    size = max(BATCHES)
    worker.do(size)
    worker.send(3 * size)
    counts.begin()

    for _ in range(3):
        worker.take(size)
        worker.begin(size)
    worker.finish()

    counts.check(IN_A_ROW)


@pytest.mark.parametrize("where", CALLS)
def test_the_work_of_a_call_alone(worker: Worker, counts: Counts, where: str) -> None:
    reply_to = worker.connect_queue() if where == "a queue" else worker.connect_for_replies()
    worker.do(1, reply_to)
    worker.send(1, reply_to)
    worker.take(1)
    counts.begin()

    worker.begin(1)
    worker.finish()

    counts.check(CALLS[where])


def test_the_work_of_a_query(worker: Worker, counts: Counts) -> None:
    reply_to = worker.connect_queue()
    worker.ask(reply_to)
    worker.take(1)
    worker.begin(1)
    worker.finish()
    worker.ask(reply_to)
    worker.take(1)
    counts.begin()

    worker.begin(1)
    worker.finish()

    counts.check(QUERY)


def test_the_work_of_deleting_what_was_sent(worker: Worker, counts: Counts) -> None:
    worker.do(200)
    counts.begin()

    worker.delete_sent()

    counts.check(DELETION)


def test_the_memory_of_a_batch(stocked_url: str, vhost_url: str, tmp_path: Path) -> None:
    size = max(BATCHES)
    # Not counted, for what counts takes memory, too.
    with closing(Worker(stocked_url, vhost_url, tmp_path / "none")) as worker:
        for _ in range(2):
            worker.do(size)
            worker.delete_sent()
        tracemalloc.start()
        try:
            peak_bytes, kept_bytes = [_memory(worker, size) for _ in range(3)][-1]
        finally:
            tracemalloc.stop()

    assert peak_bytes / size == pytest.approx(MEMORY_BYTES, rel=MEMORY_TOLERANCE)
    assert kept_bytes / size < KEPT_BYTES_MAX


def _memory(worker: Worker, size: int) -> tuple[int, int]:
    """Return what one batch holds at most, and what it leaves behind, in bytes."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    worker.do(size)
    _, peak = tracemalloc.get_traced_memory()
    worker.delete_sent()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return peak - before, after - before
