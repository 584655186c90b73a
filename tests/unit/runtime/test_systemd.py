import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orderd.runtime.systemd import Notifier


class Manager:
    """The receiving end of a notification socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(path)

    def received(self) -> list[list[str]]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    yield manager
    manager.close()


Make = Callable[..., Notifier]


@pytest.fixture
def make_notifier() -> Iterator[Make]:
    notifiers: list[Notifier] = []

    def make(**options: Any) -> Notifier:
        notifiers.append(Notifier(**options))
        return notifiers[-1]

    yield make
    for notifier in notifiers:
        notifier.close()


def test_the_life_of_a_daemon_is_told(manager: Manager, make_notifier: Make) -> None:
    notifier = make_notifier()

    notifier.ready("consuming")
    notifier.stopping()
    notifier.extend_timeout()
    notifier.failed(78, "schema outdated", errno=2)

    assert manager.received() == [
        ["READY=1", "STATUS=consuming"],
        ["STOPPING=1"],
        ["EXTEND_TIMEOUT_USEC=60000000"],
        ["ERRNO=2", "EXIT_STATUS=78", "STATUS=schema outdated"],
    ]


def test_a_reload_carries_its_time_stamp(manager: Manager, make_notifier: Make) -> None:
    make_notifier().reloading()

    [[reloading, stamp]] = manager.received()
    assert reloading == "RELOADING=1"
    assert stamp.removeprefix("MONOTONIC_USEC=").isdecimal()


def test_a_status_is_one_line_of_ascii_and_sent_when_it_changes(
    manager: Manager, make_notifier: Make
) -> None:
    notifier = make_notifier()

    notifier.status("paused: café\nREADY=1")
    notifier.status("paused: café\nREADY=1")
    notifier.status("x" * 600)

    assert manager.received() == [["STATUS=paused: caf? READY=1"], ["STATUS=" + "x" * 500]]


def test_the_watchdog_is_pinged_at_a_third_of_its_interval(
    manager: Manager, make_notifier: Make
) -> None:
    clock = iter([0.0, 29.9, 30.0, 30.1, 61.0])
    notifier = make_notifier(now_s=lambda: next(clock))

    for _ in range(5):
        notifier.watchdog()

    assert notifier.ping_interval_s == 30.0
    assert manager.received() == [["WATCHDOG=1"]] * 3


def test_a_watchdog_for_another_pid_is_not_pinged(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, make_notifier: Make
) -> None:
    monkeypatch.setenv("WATCHDOG_PID", "1")

    make_notifier().watchdog()

    assert manager.received() == []


@pytest.mark.parametrize("usec", ["0", "soon", "9" * 400, "9" * 5_000])
def test_an_interval_that_is_none_means_no_pings(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, usec: str, make_notifier: Make
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)

    make_notifier().watchdog()

    assert manager.received() == []


def test_without_an_interval_pings_are_sent_all_the_same(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, make_notifier: Make
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC")
    monkeypatch.delenv("WATCHDOG_PID")

    make_notifier().watchdog()

    assert manager.received() == [["WATCHDOG=1"]]


def test_children_do_not_inherit_the_socket(manager: Manager, make_notifier: Make) -> None:
    notifier = make_notifier()

    left = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()

    assert left == set()
    notifier.ready()
    assert manager.received() == [["READY=1"]]


def test_an_abstract_socket_works(monkeypatch: pytest.MonkeyPatch, make_notifier: Make) -> None:
    name = f"orderd-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")

    make_notifier().ready()

    assert manager.received() == [["READY=1"]]
    manager.close()


def test_a_socket_that_was_made_anew_is_found_again(manager: Manager, make_notifier: Make) -> None:
    notifier = make_notifier()
    manager.close()
    notifier.ready()
    Path(manager.path).unlink()
    successor = Manager(manager.path)

    notifier.stopping()

    # Also what was said while nobody was there.
    assert successor.received() == [["READY=1"], ["STOPPING=1"]]
    successor.close()


@pytest.mark.parametrize("address", ["/" + "x" * 300, "/x" * 150, "@" + "x" * 300, "/nowhere"])
def test_a_socket_that_cannot_be_used_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch, address: str, make_notifier: Make
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    notifier = make_notifier()

    assert not notifier.is_present
    assert notifier.fault.startswith(address[:200] + ": ")


@pytest.mark.parametrize("address", ["", "/nonexistent/notify"])
def test_where_nobody_listens_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str, make_notifier: Make
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notifier = make_notifier()

    notifier.ready("consuming")
    notifier.watchdog()

    assert not notifier.is_present
    assert notifier.ping_interval_s is None


def test_a_manager_that_does_not_read_holds_nobody_up_and_misses_no_change_of_state(
    manager: Manager, make_notifier: Make
) -> None:
    notifier = make_notifier()
    queued_max = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    for number in range(queued_max + 5):
        notifier.status(str(number))
    started_s = time.monotonic()

    for _ in range(1_000):
        notifier.watchdog()
        notifier.status("last")
    notifier.ready()
    notifier.stopping()

    # A wait for each of them would be minutes.
    assert time.monotonic() - started_s < 20
    assert len(manager.received()) <= queued_max + 1
    notifier.watchdog()
    notifier.status("last")
    assert manager.received() == [["READY=1"], ["STOPPING=1"], ["WATCHDOG=1"], ["STATUS=last"]]


def test_a_longer_start_is_asked_for_again_and_again(manager: Manager, make_notifier: Make) -> None:
    clock = iter([0.0, 9.9, 10.0, 10.1])
    notifier = make_notifier(now_s=lambda: next(clock))

    for _ in range(4):
        notifier.extend_timeout()

    assert manager.received() == [["EXTEND_TIMEOUT_USEC=60000000"]] * 2


@pytest.mark.parametrize(("setting_s", "interval_s"), [(9.0, 3.0), (0.0, None)])
def test_where_the_manager_tells_no_interval_the_setting_counts(
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
    make_notifier: Make,
    setting_s: float,
    interval_s: float | None,
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC")
    notifier = make_notifier()

    notifier.expect_watchdog(setting_s)

    assert notifier.ping_interval_s == interval_s
    assert manager.received() == []


def test_the_interval_that_the_manager_tells_counts_more_than_the_setting(
    manager: Manager, make_notifier: Make
) -> None:
    notifier = make_notifier()

    notifier.expect_watchdog(3)

    assert notifier.ping_interval_s == 30
    assert manager.received() == []
