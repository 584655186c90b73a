"""The health file of a running daemon, and what `orderctl health` makes of it."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.acceptance.shop import Shop, order, product
from tests.conftest import StartDaemon
from tests.support.tcp_proxy import proxy_before
from tools.daemon import clean_environment
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

PROBE_MAX_S = 0.15

Probe = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "health"


@pytest.fixture
def probe(file: Path) -> Probe:
    """Run `orderctl health --json ARGS` on the file; return exit code and document."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "orderd.ctl", "health", "--json", *arguments],
            env=clean_environment() | {"ORDERD_HEALTH_FILE": str(file)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)

    return run


def wait_for_state(
    probe: Probe, state: str, code: int, *, waiting_for: str | None = None
) -> dict[str, Any]:
    """Return the document once it has this state, with this exit code; it lives all the time."""

    def seen() -> dict[str, Any]:
        ended, document = probe()
        found = (ended, document.get("state"), document.get("waiting_for"))
        return document if found == (code, state, waiting_for) else {}

    document = wait_until(seen, timeout_s=20, what=f"health: {state}", poll_s=0.2)
    assert probe("--live")[0] == 0
    return document


def is_draining(file: Path) -> bool:
    with suppress(FileNotFoundError):
        return bool(json.loads(file.read_text())["state"] == "draining")
    return False


@pytest.mark.parametrize("server", ["database", "broker"])
def test_an_outage_makes_a_daemon_not_ready_but_it_lives(  # noqa: PLR0917
    daemon: StartDaemon, database_url: str, vhost_url: str, file: Path, probe: Probe, server: str
) -> None:
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[server]) as proxy:
        urls[server] = proxy.url
        orderd = daemon(
            ready=False,
            database_url=urls["database"],
            rabbitmq_url=urls["broker"],
            health_file=file,
        )
        document = wait_for_state(probe, "starting", 1, waiting_for=server)
        assert document["pid"] == orderd.pid

        proxy.open()
        wait_for_state(probe, "running", 0)
        proxy.shut()
        wait_for_state(probe, "paused", 1, waiting_for=server)
        proxy.open()
        wait_for_state(probe, "running", 0)

        assert orderd.stop() == 0
    assert probe("--live")[0] == 69
    assert not file.exists()


def test_a_database_that_does_not_answer_makes_it_not_ready(
    shop: Shop, daemon: StartDaemon, database_url: str, file: Path, probe: Probe
) -> None:
    with proxy_before(database_url) as proxy:
        proxy.open()
        daemon(database_url=proxy.url, health_file=file)
        proxy.silence()
        shop.send_all([product(id="in-hand")])

        wait_for_state(probe, "paused", 1, waiting_for="database")
        proxy.speak()

        wait_for_state(probe, "running", 0)
        assert shop.wait_for("in-hand") == {"in-hand": "applied"}


def test_a_broker_that_takes_nothing_makes_it_not_ready(
    shop: Shop, daemon: StartDaemon, private_rabbit: PrivateRabbit, file: Path, probe: Probe
) -> None:
    shop.open_with(stock=100)
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(50)])
    try:
        private_rabbit.ctl("set_vm_memory_high_watermark", "0")
        # The broker says so to who publishes: the daemon does, at its start.
        daemon(health_file=file)

        wait_for_state(probe, "blocked", 1)
    finally:
        private_rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
    wait_for_state(probe, "running", 0)


def test_a_drain_makes_it_not_ready(
    shop: Shop, daemon: StartDaemon, admin_database_url: str, file: Path, probe: Probe
) -> None:
    shop.open_with(stock=10)
    orderd = daemon(health_file=file)
    holder = psycopg2.connect(admin_database_url)
    holder.cursor().execute("SELECT FROM products FOR UPDATE")
    shop.send_all([order({1: 1}, id="held-up")])
    wait_until(
        lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted"),
        timeout_s=10,
        what="orderd waiting for the lock",
    )

    orderd.terminate()

    wait_until(lambda: is_draining(file), timeout_s=20, what="health: draining", poll_s=0.01)
    # It would be gone as soon as the lock's time-out is over.
    orderd.send(signal.SIGSTOP)
    assert probe()[0] == 1
    orderd.send(signal.SIGCONT)
    holder.close()
    assert orderd.exit_code() == 0


def test_a_daemon_that_is_stopped_or_killed_lives_no_more(
    daemon: StartDaemon, file: Path, probe: Probe
) -> None:
    orderd = daemon(health_file=file)
    wait_for_state(probe, "running", 0)

    orderd.send(signal.SIGSTOP)
    wait_until(lambda: probe("--live", "--max-age", "3s")[0] == 69, timeout_s=20, what="not live")
    orderd.send(signal.SIGCONT)
    wait_until(lambda: probe("--max-age", "3s")[0] == 0, timeout_s=20, what="live again")
    orderd.kill()

    code, document = probe("--live")
    assert (code, document["why"]) == (69, f"process {orderd.pid} is gone")


def test_a_fifo_in_place_of_the_file_holds_no_start_up(
    daemon: StartDaemon, file: Path, probe: Probe
) -> None:
    os.mkfifo(file)

    orderd = daemon(health_file=file)

    [dropped] = orderd.events("health.failed")
    assert "not a regular file" in dropped["message"]
    assert probe()[0] == 69
    assert orderd.stop() == 0
    assert file.is_fifo()


def test_a_probe_takes_less_than_150_ms(daemon: StartDaemon, file: Path, probe: Probe) -> None:
    daemon(health_file=file)
    wait_for_state(probe, "running", 0)
    took_s = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        probe()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    # Its own time, and the least of it: whatever else this machine has to do is not the probe's.
    assert min(took_s) < PROBE_MAX_S


@pytest.fixture
def roomy_directory(tmp_path: Path) -> Iterator[Path]:
    """A small file system with room for some pages."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=4", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.fixture
def full_directory(roomy_directory: Path) -> Path:
    """A file system without room for even one more byte."""
    fill(roomy_directory)
    return roomy_directory


def test_a_full_file_system_holds_no_work_up_and_is_said_once(
    shop: Shop, daemon: StartDaemon, full_directory: Path
) -> None:
    orderd = daemon(health_file=full_directory / "health")
    for n in range(3):
        shop.send_all([product(id=f"p-{n}")])
        shop.wait_for(f"p-{n}")

    assert shop.outcomes() == {f"p-{n}": "applied" for n in range(3)}
    dropped = orderd.wait_for_event("health.failed")
    assert "No space left" in dropped["message"]
    assert orderd.events("health.failed") == [dropped]
    (full_directory / "filling").unlink()
    wait_until(lambda: content(full_directory / "health"), timeout_s=20, what="the file")
    assert orderd.stop() == 0


def test_a_file_system_that_fills_up_makes_no_daemon_look_dead(
    daemon: StartDaemon, roomy_directory: Path
) -> None:
    file = roomy_directory / "health"
    file.write_text("left by a daemon that was killed")
    fill(roomy_directory)

    orderd = daemon(health_file=file)

    turned = content(file)
    assert turned["pid"] == orderd.pid
    wait_until(
        lambda: content(file)["monotonic_s"] > turned["monotonic_s"], timeout_s=20, what="a turn"
    )
    assert orderd.events("health.failed") == []
    assert orderd.stop() == 0


def test_a_second_daemon_with_the_same_file_is_refused(
    daemon: StartDaemon, file: Path, probe: Probe
) -> None:
    first = daemon(health_file=file)
    first.send(signal.SIGSTOP)

    second = daemon(ready=False, health_file=file)

    assert second.exit_code() == 78
    [rejected] = second.events("config.rejected")
    assert f"{file}: another daemon, pid {first.pid}, writes to it" in rejected["message"]
    wait_until(lambda: probe("--live", "--max-age", "1s")[0] == 69, timeout_s=20, what="not live")
    first.kill()
    third = daemon(health_file=file)
    wait_until(lambda: probe()[0] == 0, timeout_s=20, what="ready")
    assert third.stop() == 0


def content(file: Path) -> dict[str, Any]:
    """Return what the file says; it is changed in place."""
    found: dict[str, Any] = {}

    def read() -> bool:
        with suppress(ValueError):
            found.update(json.loads(file.read_text()))
        return bool(found)

    wait_until(read, timeout_s=20, what="content")
    return found


def fill(directory: Path) -> None:
    with (directory / "filling").open("wb", buffering=0) as filling, suppress(OSError):
        while True:
            filling.write(b"x" * 4096)
