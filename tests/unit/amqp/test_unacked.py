"""Deliveries are settled in as few steps as the broker allows."""

from hypothesis import given
from hypothesis import strategies as st

from orderd.amqp.unacked import Unacked

# The broker counts by channel, the process by deliveries.
FIRST = 1_000


def open_tags(*tags: int) -> Unacked:
    unacked = Unacked()
    for tag in tags:
        unacked.add(FIRST + tag, tag)
    return unacked


def ours(*tags: int) -> list[int]:
    return [FIRST + tag for tag in tags]


def test_the_oldest_go_in_one_step() -> None:
    assert open_tags(1, 2, 3, 4).settle(ours(3, 1, 2)) == [(3, True)]


def test_a_single_one_is_settled_singly() -> None:
    assert open_tags(1, 2).settle(ours(1)) == [(1, False)]


def test_a_gap_is_not_stepped_over() -> None:
    assert open_tags(1, 2, 3, 4, 5).settle(ours(1, 2, 4, 5)) == [(2, True), (4, False), (5, False)]


def test_newer_ones_go_one_by_one_in_order() -> None:
    assert open_tags(1, 2, 3).settle(ours(3, 2)) == [(2, False), (3, False)]


def test_unknown_and_settled_tags_are_left_out() -> None:
    unacked = open_tags(1, 2)
    unacked.settle(ours(1))

    assert unacked.settle(ours(1, 7)) == []


def test_nothing_is_left_after_clear() -> None:
    unacked = open_tags(1, 2)

    unacked.clear()

    assert unacked.settle(ours(1, 2)) == []


@given(st.lists(st.sets(st.integers(1, 40)), max_size=8))
def test_the_broker_forgets_exactly_what_was_settled(batches: list[set[int]]) -> None:
    unacked = open_tags(*range(1, 41))
    at_broker = set(range(1, 41))
    wanted = set(at_broker)

    for batch in batches:
        wanted -= batch
        for tag, multiple in unacked.settle(ours(*batch)):
            at_broker -= {one for one in at_broker if one <= tag} if multiple else {tag}

    assert at_broker == wanted


def test_bytes_are_those_of_the_open_ones() -> None:
    unacked = Unacked()
    for tag, body_bytes in ((1, 10), (2, 200), (3, 3_000)):
        unacked.add(tag, tag, body_bytes)

    unacked.settle([2])
    left = unacked.body_bytes
    unacked.clear()

    assert (left, unacked.body_bytes) == (3_010, 0)
