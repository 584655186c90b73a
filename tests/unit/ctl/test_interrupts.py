"""An interrupt comes after what must not be left half done, and is not forgotten."""

import signal
from collections.abc import Iterator

import pytest

from orderd.ctl.interrupts import uninterrupted


@pytest.fixture(autouse=True)
def _default_interrupts() -> Iterator[None]:
    """Whoever runs the tests in the background may ignore them."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    done = []

    def publish_and_ack() -> None:
        with uninterrupted():
            done.append("published")
            # To this thread, not the process: pytest-xdist has one more that would take it.
            signal.raise_signal(signal.SIGINT)
            done.append("acked")

    with pytest.raises(KeyboardInterrupt):
        publish_and_ack()

    assert done == ["published", "acked"]


def test_interrupts_come_again_after_the_block_has_failed() -> None:
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
