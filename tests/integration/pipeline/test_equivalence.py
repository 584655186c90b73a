"""A batch is an optimisation that nobody can see: any cut gives what one by one gives."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderd.amqp.message import Delivery
from orderd.logs.events import LogEvent
from orderd.pipeline import commit as committer
from orderd.pipeline.results import Result
from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.shop.outcomes import Applied, Duplicate, Refused
from tests.integration.pipeline.requests import (
    CURSED,
    cursed_sequences,
    cut,
    sequences,
    sizes,
    stocked_shop,
)
from tests.integration.pipeline.shop import Shop, seen
from tests.support.commands import in_queue_order
from tools.servers import Servers

Pair = tuple[Shop, Shop]
# The special cases of the first test get a part of its examples.
fewer = settings(max_examples=settings().max_examples // 3)

arrivals = st.sampled_from([frozenset(), frozenset({Queue.PRODUCT, Queue.USER})])
queues = st.sampled_from(list(Queue))


@pytest.fixture(scope="module")
def shops(servers: Servers, template_database: str) -> Iterator[Pair]:
    """Two databases: one that is given batches, one that is given each delivery alone."""
    names = [f"{template_database}_{name}" for name in ("batched", "serial")]
    urls = [servers.postgres.create_database(name, template=template_database) for name in names]
    with Shop(urls[0]) as batched, Shop(urls[1]) as serial:
        for shop in (batched, serial):
            shop.query("ALTER TABLE processed_requests ADD CHECK (id <> %s)", CURSED)
        yield batched, serial
    for name in names:
        servers.postgres.drop_database(name)


@pytest.fixture(scope="module", autouse=True)
def nobody_is_in_the_way() -> Iterator[None]:
    """Fail where a batch met a conflict: with itself it must not have any."""

    def emit(event: LogEvent, why: str, **_: object) -> None:
        assert event is not LogEvent.BATCH_RETRIED, f"a batch was in conflict with itself: {why}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committer, "emit", emit)
        yield


def run_both(
    shops: Pair, batches: Sequence[Sequence[Delivery]], arriving: frozenset[Queue] = frozenset()
) -> tuple[list[Result], list[Result]]:
    """Return the results of the whole batches and of each delivery alone, both as delivered."""
    batched, serial = shops
    for shop in shops:
        shop.reset()
        shop.process(stocked_shop())
    in_batches = [result for batch in batches for result in batched.process(batch, arriving)]
    one_by_one = {
        one.tag: result
        for batch in batches
        for one in in_queue_order(batch)
        for result in serial.process([one], arriving)
    }
    return in_batches, [one_by_one[result.delivery.tag] for result in in_batches]


def assert_nobody_sees_a_difference(
    shops: Pair, batches: Sequence[Sequence[Delivery]], arriving: frozenset[Queue] = frozenset()
) -> None:
    in_batches, one_by_one = run_both(shops, batches, arriving)

    assert [seen(result) for result in in_batches] == [seen(result) for result in one_by_one]
    assert shops[0].tables() == shops[1].tables()
    for shop in shops:
        assert shop.broken_promises() == []
    assert_duplicates_are_told_the_same(in_batches)


def assert_duplicates_are_told_the_same(results: Sequence[Result]) -> None:
    told: dict[str | None, Response | None] = {}
    for result in sorted(results, key=lambda one: isinstance(one.outcome, Duplicate)):
        if isinstance(result.outcome, Duplicate):
            assert result.response == told[result.request_id]
        elif is_recorded(result):
            told[result.request_id] = result.response


def is_recorded(result: Result) -> bool:
    is_settled = isinstance(result.outcome, Applied | Refused)
    return is_settled and result.command is not None and result.command.is_recorded


@given(sequence=sequences(), batch_sizes=sizes(), arriving=arrivals)
def test_any_cut_gives_the_rows_replies_and_events_of_one_by_one(
    shops: Pair, sequence: list[Delivery], batch_sizes: list[int], arriving: frozenset[Queue]
) -> None:
    assert_nobody_sees_a_difference(shops, cut(sequence, batch_sizes), arriving)


@fewer
@given(data=st.data(), queue=queues, batch_sizes=sizes())
def test_commands_of_one_queue_take_effect_in_the_order_of_delivery(
    shops: Pair, data: st.DataObject, queue: Queue, batch_sizes: list[int]
) -> None:
    sequence = data.draw(sequences([queue]))

    # Of one queue, the order of a batch is the order of delivery.
    assert in_queue_order(sequence) == sequence
    assert_nobody_sees_a_difference(shops, cut(sequence, batch_sizes))


@fewer
@given(sequence=sequences(), batch_sizes=sizes(), arriving=arrivals)
def test_messages_in_the_order_of_the_queues_may_be_cut_anywhere(
    shops: Pair, sequence: list[Delivery], batch_sizes: list[int], arriving: frozenset[Queue]
) -> None:
    assert_nobody_sees_a_difference(shops, cut(in_queue_order(sequence), batch_sizes), arriving)


@fewer
@given(sequence=cursed_sequences(), batch_sizes=sizes())
def test_commands_that_cannot_be_written_change_nothing_for_their_neighbours(
    shops: Pair, sequence: list[Delivery], batch_sizes: list[int]
) -> None:
    assert_nobody_sees_a_difference(shops, cut(sequence, batch_sizes))
