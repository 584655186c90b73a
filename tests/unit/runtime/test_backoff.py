import pytest

from orderd.runtime.backoff import Backoff, delay_s, in_vain_s


def test_the_wait_doubles_from_1_s_to_4_s() -> None:
    assert [delay_s(attempt, 1.0) for attempt in range(1, 8)] == [1, 2, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("attempt", [0, 1, 5, 10_000_000])
def test_half_of_the_wait_is_left_to_chance(attempt: int) -> None:
    assert delay_s(attempt, 0.0) == delay_s(attempt, 1.0) / 2
    assert 0.5 <= delay_s(attempt, 0.5) <= 4


def test_a_success_starts_the_waits_anew() -> None:
    backoff = Backoff(chance=lambda: 1.0)

    waits = [backoff.next(), backoff.next()]
    backoff.reset()
    waits.append(backoff.next())

    assert waits == [1, 2, 1]
    assert backoff.attempt == 1


def test_connections_in_vain_cost_nothing_at_first_and_then_up_to_30_s() -> None:
    assert [in_vain_s(times) for times in range(11)] == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_only_what_was_settled_ends_the_waits_for_connections_in_vain() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(9):
        backoff.note_lost(has_settled=False)
        backoff.reset()

    assert backoff.next() == 30
    backoff.note_lost(has_settled=True)
    backoff.reset()
    assert backoff.next() == 1
