import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from orderd.runtime.signals import Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    signals = Signals()
    signals.install()
    yield signals
    signals.uninstall()


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_nothing_is_wanted_before_a_signal(signals: Signals) -> None:
    assert not signals.stop_requested
    assert not signals.stop_now
    assert signals.stop_signal == ""
    assert not signals.take_reload()
    assert not signals.take_status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_stop_asks_for_a_drain(signals: Signals, number: signal.Signals) -> None:
    send(number)

    assert signals.stop_requested
    assert not signals.stop_now
    assert signals.stop_signal == number.name


def test_the_second_stop_gives_up_whichever_it_is(signals: Signals) -> None:
    send(signal.SIGTERM)
    send(signal.SIGINT)
    send(signal.SIGINT)

    assert signals.stop_now
    assert signals.stop_signal == "SIGTERM"


def test_reload_and_status_are_taken_once(signals: Signals) -> None:
    send(signal.SIGHUP)
    send(signal.SIGUSR1)

    assert (signals.take_reload(), signals.take_reload()) == (True, False)
    assert (signals.take_status(), signals.take_status()) == (True, False)
    assert not signals.stop_requested


def test_a_signal_ends_a_wait_at_once(signals: Signals) -> None:
    timer = threading.Timer(0.05, send, [signal.SIGTERM])
    timer.start()
    began_s = time.monotonic()

    assert signals.wait(120)

    timer.join()
    assert time.monotonic() - began_s < 60
    assert signals.stop_requested


def test_a_signal_that_came_before_the_wait_is_not_slept_through(signals: Signals) -> None:
    send(signal.SIGHUP)

    assert signals.wait(10)
    assert not signals.wait(0.01)


def test_a_flood_of_signals_neither_blocks_nor_warns(signals: Signals) -> None:
    for _ in range(70_000):
        send(signal.SIGUSR1)

    assert signals.take_status()
    assert signals.wait(0)


def test_a_closed_pipe_kills_nobody(signals: Signals) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)

    with pytest.raises(BrokenPipeError):
        os.write(write_end, b"x")

    os.close(write_end)
    assert not signals.stop_requested


def test_without_handlers_a_wait_just_sleeps() -> None:
    began_s = time.monotonic()

    assert not Signals().wait(0.02)
    assert time.monotonic() - began_s >= 0.02


def test_install_can_be_repeated_and_undone() -> None:
    signals = Signals()
    signals.install()
    signals.install()
    signals.uninstall()
    signals.uninstall()

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
