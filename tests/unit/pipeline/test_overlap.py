"""What is done while PostgreSQL works: in order, until it has answered, and without raising."""

from collections.abc import Callable

import pytest

from orderd.amqp.faults import BrokerFault
from orderd.pipeline.overlap import Overlap


def steps(names: list[str], name: str, count: int) -> Callable[[], bool]:
    """Return a job of so many steps, which notes each."""

    def job() -> bool:
        names.append(name)
        return names.count(name) < count

    return job


def answered_after(looks: int) -> Callable[[], bool]:
    """Return what tells, from the look after so many others on, that the answer has come."""
    left = iter(range(looks))
    return lambda: next(left, None) is None


def failing() -> bool:
    raise BrokerFault("lost")


@pytest.mark.parametrize(
    ("looks", "done"),
    [(0, []), (1, ["a"]), (3, ["a", "a", "b"]), (9, ["a", "a", "b", "b", "b"])],
)
def test_jobs_are_done_in_steps_until_the_answer_comes(looks: int, done: list[str]) -> None:
    names: list[str] = []
    overlap = Overlap()
    overlap.jobs = (steps(names, "a", 2), steps(names, "b", 3))

    overlap.work(answered_after(looks))

    assert names == done


def test_a_fault_is_kept_and_raised_once_and_ends_all_jobs_until_then() -> None:
    names: list[str] = []
    overlap = Overlap()
    overlap.jobs = (failing, steps(names, "a", 1))

    overlap.work(lambda: False)
    overlap.work(lambda: False)

    assert overlap.has_failed
    assert names == []
    with pytest.raises(BrokerFault, match="lost"):
        overlap.raise_fault()
    overlap.raise_fault()
    assert not overlap.has_failed


def test_a_fault_of_what_was_given_up_is_forgotten() -> None:
    overlap = Overlap()
    overlap.jobs = (failing,)
    overlap.work(lambda: False)

    overlap.forget_fault()

    overlap.raise_fault()
