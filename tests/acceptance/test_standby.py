"""Daemons that stand by are ready, and everybody can see what they leave to which other."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service_manager import ServiceManager
from tests.acceptance.shop import Shop, user
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess, clean_environment
from tools.waiting import wait_until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path / "notify")
    yield manager
    manager.close()


def await_state(file: Path, state: str) -> None:
    wait_until(
        lambda: file.exists() and json.loads(file.read_text())["state"] == state,
        timeout_s=20,
        what=f"{state} in the health file",
    )


def told_by(file: Path) -> dict[str, Any]:
    """Return what `orderctl health --json` says of a daemon that is ready."""
    done = subprocess.run(
        [sys.executable, "-m", "orderd.ctl", "health", "--json", "--file", str(file)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["live"], document["ready"]) == (0, True, True)
    assert isinstance(document, dict)
    return document


def test_one_that_stands_by_for_all_is_ready_and_says_so(
    daemon: StartDaemon,
    vhost_url: str,
    database_url: str,
    manager: ServiceManager,
    tmp_path: Path,
) -> None:
    active = daemon(consume="exclusive", health_file=tmp_path / "active")
    standby = DaemonProcess(
        {
            "ORDERD_DATABASE_URL": database_url,
            "ORDERD_RABBITMQ_URL": vhost_url,
            "ORDERD_CONSUME": "exclusive",
            "ORDERD_HEALTH_FILE": str(tmp_path / "standby"),
            "NOTIFY_SOCKET": str(manager.path),
            "WATCHDOG_USEC": "3000000",
        }
    )
    try:
        said = standby.wait_for_event("consumer.standby")["message"]
        assert said == (
            "left to another daemon: user: it has 1 other consumer; product: it has 1 other "
            "consumer; order: it has 1 other consumer"
        )
        status = manager.wait_for_status("standby")
        assert status == "standby: user, product, order left to another daemon"
        manager.wait_for(lambda told: "READY=1" in told.lines)
        wait_until(lambda: len(manager.pings_s()) > 3, timeout_s=20, what="pings of the watchdog")
        await_state(tmp_path / "standby", "standby")
        found = told_by(tmp_path / "standby")
        assert (found["state"], found["standing_by"]) == ("standby", ["user", "product", "order"])
        assert told_by(tmp_path / "active")["state"] == "running"

        assert active.stop() == 0

        taken = standby.wait_for_event("consumer.took_over")["message"]
        assert taken == "consuming from user, product, order"
        manager.wait_for_status("running: ")
        found = told_by(tmp_path / "standby")
        assert (found["state"], found["standing_by"]) == ("running", [])
        assert standby.stop() == 0
    finally:
        standby.kill()


def test_one_that_stands_by_for_some_works_on_the_others(
    shop: Shop, daemon: StartDaemon, tmp_path: Path
) -> None:
    daemon(consume__order="exclusive")
    second = daemon(consume__order="exclusive", health_file=tmp_path / "second")

    left = second.wait_for_event("consumer.standby")
    (started,) = second.events("consumer.started")
    assert left["message"].startswith("left to another daemon: order: ")
    assert started["message"] == "consuming from user, product"
    await_state(tmp_path / "second", "running")
    assert told_by(tmp_path / "second")["standing_by"] == ["order"]
    numbers = count()

    def has_worked() -> bool:
        shop.send_all([user(f"user{next(numbers)}")])
        return bool(second.events("batch.committed"))

    wait_until(has_worked, timeout_s=20, what="one of the users made by the second")


def test_several_that_share_a_queue_say_what_that_does_to_the_order(daemon: StartDaemon) -> None:
    first, second = daemon(), daemon()

    shared = second.wait_for_event("consumer.shared")
    assert shared["message"].startswith("several consumers: user (2), product (2), order (2): ")
    assert 'set consume = "exclusive" to keep the order' in shared["message"]
    assert first.events("consumer.shared") == []
