"""How long messages have waited at most, from looks at their queue."""

from collections import deque
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.ctl.queue_history import QueueHistory

START_S = 1_000.0
# RabbitMQ's channels tell what they have delivered every 5 s.
LATE_S = 5
STEPS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans())


def ages(*looks: tuple[float, int, int | None]) -> list[float | None]:
    """Return the age after each of *looks*: after so many seconds, so many ready and delivered."""
    history = QueueHistory()
    return [history.note(ready, delivered, START_S + at_s) for at_s, ready, delivered in looks]


def test_nothing_is_known_of_what_was_there_at_the_first_look() -> None:
    assert ages((0, 5, 100), (30, 5, 100), (60, 5, 100)) == [None, None, None]


def test_what_came_into_an_empty_queue_came_after_the_last_look_that_found_it_empty() -> None:
    assert ages((0, 0, 100), (30, 0, 100), (60, 1, 100), (90, 7, 100)) == [0, 0, 30, 60]


def test_an_empty_queue_needs_no_counter() -> None:
    assert ages((0, 0, None), (30, 1, None), (60, 1, None), (90, 0, None)) == [0, 30, 60, 0]


def test_once_as_many_are_delivered_as_were_ready_all_others_came_later() -> None:
    found = ages((0, 5, 100), (30, 9, 100), (60, 9, 104), (90, 9, 105), (120, 9, 114))

    # At 90 s those of the first look are gone, at 120 s those of the third one too.
    assert found == [None, None, None, 90, 60]
    assert ages((0, 5, 100), (30, 9, 100), (60, 9, 100), (90, 9, 109))[-1] == 60


def test_deliveries_that_are_counted_late_are_not_taken_for_later_ones() -> None:
    # 50 were delivered before the first look, and counted after it.
    found = ages((0, 20, 100), (5, 20, 150), (11, 20, 150), (41, 20, 150), (71, 20, 170))

    assert found == [None, None, None, None, 60]


def test_a_counter_that_begins_again_says_nothing_of_looks_before() -> None:
    found = ages((0, 0, 100), (30, 5, 100), (60, 5, 0), (90, 5, 0), (120, 5, 4), (150, 5, 5))

    assert found == [0, 30, 60, 90, 120, 90]


def test_without_a_counter_the_age_grows_on() -> None:
    assert ages((0, 0, 1), (30, 5, 1), (60, 5, None), (90, 5, None))[-1] == 90


@pytest.mark.parametrize("count", [100, 2_000])
def test_a_queue_that_stood_still_for_long_is_known_again_once_it_moves(count: int) -> None:
    looks = [(30.0 * number, 7, 50) for number in range(count)]

    found = ages(*looks, (30.0 * count, 7, 57))

    assert set(found[:-1]) == {None}
    assert found[-1] in {60, 90}


@given(st.lists(STEPS, max_size=200))
def test_no_command_is_older_than_that(steps: list[tuple[int, int, bool]]) -> None:
    """In each second some commands come, some are delivered in their order, and maybe one looks."""
    history, queue = QueueHistory(), deque[float]()
    taken = [0] * LATE_S
    for second, (coming, wanted, is_looking) in enumerate(steps):
        now_s = START_S + second
        queue.extend([now_s] * coming)
        taken.append(min(wanted, len(queue)))
        for _ in range(taken[-1]):
            queue.popleft()
        if is_looking:
            counted = [*accumulate(taken)][-1 - LATE_S]
            at_most_s = history.note(len(queue), counted, now_s)
            assert at_most_s is None or at_most_s >= now_s - (queue[0] if queue else now_s)
