"""The tools leave nothing behind, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools import remains
from tools.program import Program, descendants
from tools.waiting import wait_until

STAY = """
import signal
from tools.servers import Servers

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in background shells
with Servers(fsync=False) as servers:
    print(servers.scratch, flush=True)
    signal.pause()
"""


def test_what_a_program_spawned_ends_with_it(tmp_path: Path) -> None:
    script = "setsid sleep 600 & setsid sleep 600 & wait"
    log_path = tmp_path / "log"
    program = Program(["sh", "-c", script], env={}, log_path=log_path, cwd=tmp_path)
    wait_until(lambda: len(descendants(program.pid)) == 2, timeout_s=5, what="two children")
    spawned = descendants(program.pid)

    code = program.end(signal.SIGKILL)

    assert code == -signal.SIGKILL
    wait_until(lambda: not any(one.is_alive for one in spawned), timeout_s=5, what="all ended")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("private_rabbit")
def test_a_signal_stops_both_servers_and_removes_their_files(signum: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STAY], stdout=subprocess.PIPE, text=True) as stay:
        assert stay.stdout is not None
        scratch = Path(stay.stdout.readline().strip())
        spawned = descendants(stay.pid)

        stay.send_signal(signum)

        assert stay.wait(timeout=30) != 0
    assert len(spawned) > 2
    assert not any(one.is_alive for one in spawned)
    assert not scratch.exists()


@pytest.mark.usefixtures("private_rabbit")
def test_the_next_run_clears_what_a_killed_one_has_left() -> None:
    with subprocess.Popen([sys.executable, "-c", STAY], stdout=subprocess.PIPE, text=True) as stay:
        assert stay.stdout is not None
        scratch = Path(stay.stdout.readline().strip())
        spawned = descendants(stay.pid)
        remains.clear()
        assert all(one.is_alive for one in spawned)
        stay.kill()

    remains.clear()

    wait_until(lambda: not any(one.is_alive for one in spawned), timeout_s=20, what="all ended")
    assert len(spawned) > 2
    assert not scratch.exists()
