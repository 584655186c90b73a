import pytest

from orderd.ops.backoff import Backoff, delay_s


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
