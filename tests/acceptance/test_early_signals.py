"""Signals while a program loads its modules, while it waits and while it ends: no traceback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.acceptance.shop import Shop
from tests.conftest import StartDaemon
from tools.daemon import clean_environment
from tools.waiting import wait_until

NOWHERE = {
    "ORDERD_DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "ORDERD_RABBITMQ_URL": "amqp://127.0.0.1:1/",
}
# What ends a process unless it says otherwise, and is nothing that orderd is asked by.
MEANINGLESS = (
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGPIPE,
    signal.SIGXCPU,
    signal.SIGXFSZ,
    signal.SIGRTMIN,
    signal.SIGRTMAX,
)
MOMENTS = 40
LETTERS = 900
SPAN_S = 0.6
# Python itself handles SIGINT from its start on, so the handler of orderctl cannot be seen from
# outside. What comes before its first line waits here until that one stands.
ORDERCTL = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
install = signal.signal
def install_and_go_on(*arguments):
    install(*arguments)
    signal.signal = install
    print("begun", flush=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
signal.signal = install_and_go_on
from orderd.ctl.__main__ import main
sys.exit(main())
"""


@contextmanager
def started(argv: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        # Whoever runs the tests in the background ignores SIGINT, and so would all that they start.
        ["env", "--default-signal=INT", *argv],
        env=clean_environment() | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def handles(pid: int, number: int) -> bool:
    """Return whether the program has a handler for the signal."""
    return _is_in("SigCgt:", pid, number)


def ignores(pid: int, number: int) -> bool:
    """Return whether the process ignores the signal."""
    return _is_in("SigIgn:", pid, number)


def _is_in(name: str, pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith(name))
    return bool(int(mask, 16) >> (number - 1) & 1)


def end_of(program: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Return how it ended, and what it said on stderr."""
    _, complaint = program.communicate(timeout=30)
    return program.returncode, complaint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_orderd_ends_in_good_order_whenever_the_signal_comes(number: signal.Signals) -> None:
    for moment in range(MOMENTS):
        with started([sys.executable, "-m", "orderd"], NOWHERE) as orderd:
            # Its own handler of SIGTERM, not Python's of SIGINT.
            wait_until(
                lambda: handles(orderd.pid, signal.SIGTERM) or orderd.poll() is not None,
                timeout_s=20,
                what="a handler",
            )
            if number is signal.SIGINT:
                wait_until(lambda: handles(orderd.pid, number), timeout_s=20, what="both")
            time.sleep(moment * SPAN_S / MOMENTS)
            orderd.send_signal(number)

            assert end_of(orderd) == (0, b""), f"after {moment * SPAN_S / MOMENTS} s"


def test_other_signals_while_orderd_loads_are_ignored() -> None:
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        with started([sys.executable, "-m", "orderd"], NOWHERE) as orderd:
            wait_until(lambda: handles(orderd.pid, signal.SIGTERM), timeout_s=20, what="a handler")
            deadline_s = time.monotonic() + SPAN_S
            while time.monotonic() < deadline_s:
                orderd.send_signal(number)
                time.sleep(0.01)
            assert orderd.poll() is None
            orderd.send_signal(signal.SIGTERM)

            assert end_of(orderd) == (0, b"")


def test_only_stops_quit_and_kill_end_a_daemon(daemon: StartDaemon) -> None:
    orderd = daemon()
    before = orderd.mark()

    for number in MEANINGLESS:
        os.kill(orderd.pid, number)
    orderd.send(signal.SIGTSTP)
    orderd.send(signal.SIGCONT)
    orderd.send(signal.SIGUSR1)

    orderd.wait_for_event("status.logged", after=before)
    assert orderd.log_lines[before:] == orderd.events("status.logged", after=before)
    orderd.send(signal.SIGQUIT)
    assert orderd.exit_code() == -signal.SIGQUIT


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", "<&- >&-", ">&-", "<&-"])
def test_closed_descriptors_at_the_start_are_no_pipe_of_the_signals(redirections: str) -> None:
    argv = ["bash", "-c", f"exec {sys.executable} -m orderd {redirections}"]
    with started(argv, NOWHERE) as orderd:
        wait_until(lambda: handles(orderd.pid, signal.SIGUSR1), timeout_s=20, what="its handlers")
        opened = [Path(f"/proc/{orderd.pid}/fd/{number}").readlink() for number in range(3)]
        for _ in range(3):
            orderd.send_signal(signal.SIGUSR1)
        orderd.send_signal(signal.SIGTERM)

        assert end_of(orderd) == (0, b"")
    closed = [number for number, mark in enumerate(("<&-", ">&-", "2>&-")) if mark in redirections]
    assert {opened[number] for number in closed} == {Path(os.devnull)}


def test_many_stops_of_orderd_are_as_good_as_one() -> None:
    with started([sys.executable, "-m", "orderd"], NOWHERE) as orderd:
        wait_until(lambda: b"disconnected" in line(orderd), timeout_s=20, what="the wait")
        while orderd.poll() is None:
            orderd.send_signal(signal.SIGTERM)

        assert end_of(orderd) == (0, b"")


def line(program: subprocess.Popen[bytes]) -> bytes:
    assert program.stdout is not None
    return program.stdout.readline()


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """The URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"amqp://127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.parametrize(
    "arguments",
    [("call", "user", "list"), ("status",), ("dlq", "list")],
)
def test_ctrl_c_ends_orderctl_without_a_word_whenever_it_comes(
    silent_broker: str, arguments: tuple[str, ...]
) -> None:
    argv = [sys.executable, "-c", ORDERCTL, *arguments]
    for moment in range(MOMENTS):
        with started(argv, NOWHERE | {"ORDERD_RABBITMQ_URL": silent_broker}) as orderctl:
            assert line(orderctl) == b"begun\n"
            time.sleep(moment * SPAN_S / MOMENTS)
            orderctl.send_signal(signal.SIGINT)

            assert end_of(orderctl) == (130, b""), f"after {moment * SPAN_S / MOMENTS} s"


def test_a_second_ctrl_c_ends_orderctl_at_once(silent_broker: str) -> None:
    argv = [sys.executable, "-c", ORDERCTL, "status"]
    with started(argv, NOWHERE | {"ORDERD_RABBITMQ_URL": silent_broker}) as orderctl:
        assert line(orderctl) == b"begun\n"
        while orderctl.poll() is None:
            orderctl.send_signal(signal.SIGINT)

        assert end_of(orderctl) == (130, b"")


def test_who_ignores_ctrl_c_at_the_start_is_not_interrupted() -> None:
    ignoring = 'trap "" INT; exec "$@"'
    argv = ["sh", "-c", ignoring, "sh", sys.executable, "-m", "orderd.ctl", "status"]
    with started(argv, NOWHERE) as orderctl:
        # The shell first, and then what it becomes.
        wait_until(lambda: ignores(orderctl.pid, signal.SIGINT), timeout_s=20, what="no interrupt")
        while orderctl.poll() is None:
            orderctl.send_signal(signal.SIGINT)
            time.sleep(0.01)

        assert end_of(orderctl) == (1, b"")


@pytest.mark.parametrize(
    "arguments",
    [("call", "user", "list", "--timeout", "30"), ("dlq", "list"), ("ledger", "list")],
)
def test_ctrl_c_in_the_middle_of_real_work_ends_it_without_a_word(
    shop: Shop,
    vhost_url: str,
    database_url: str,
    admin_database_url: str,
    arguments: tuple[str, ...],
) -> None:
    """The wait for a reply, for many letters, for a lock of the database."""
    env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    shop.channel.queue_declare("user", durable=True)
    shop.channel.queue_declare("user.dlq", durable=True, arguments={"x-queue-type": "quorum"})
    for _ in range(LETTERS):
        shop.channel.basic_publish("", "user.dlq", b"{}")
    with closing(psycopg2.connect(admin_database_url)) as holder:
        holder.cursor().execute("LOCK TABLE processed_requests")
        for moment in range(MOMENTS // 2):
            with started([sys.executable, "-c", ORDERCTL, *arguments], env) as orderctl:
                assert line(orderctl) == b"begun\n"
                time.sleep(moment * 2 * SPAN_S / MOMENTS)
                orderctl.send_signal(signal.SIGINT)

                code, said = end_of(orderctl)

                assert code == 130, f"moment {moment}"
                # Of a request that was sent, its id is told, and nothing else.
                assert all(b"id " in one or b" as " in one for one in said.splitlines()), said
    wait_until(lambda: shop.ready("user.dlq") >= LETTERS, timeout_s=20, what="all letters")
    assert shop.ready("user.dlq") == LETTERS
