"""`systemctl start orderd` runs the container: what systemd is told through podman."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any, Final

import pytest

from orderd.config.settings import Settings
from tools.guest import Guest
from tools.podman import TREE
from tools.waiting import wait_until

pytestmark = pytest.mark.container

QUADLET: Final = TREE / "systemd" / "orderd.container"
UNITS: Final = "etc/containers/systemd"
DROP_INS: Final = f"{UNITS}/orderd.container.d"
SECRETS: Final = {
    "orderd_database_url": "postgresql://orderd:s3cret@127.0.0.1/orderd",
    "orderd_rabbitmq_url": "amqp://guest:guest@127.0.0.1/",
}
DATABASE: Final = """
    runuser -u postgres -- psql --quiet -c "CREATE ROLE orderd LOGIN PASSWORD 's3cret'" \
        -c "CREATE DATABASE orderd OWNER orderd"
"""
MOUNTS: Final = tuple(
    f"--secret=orderd_{key},target={key},uid=10001,mode=0400"
    for key in ("database_url", "rabbitmq_url")
)
PRODUCT: Final = '{"name":"Laptop","price":1299.99,"stock_quantity":25}'
# The times of the Quadlet, but short.
QUICK: Final = """
[Container]
Environment=ORDERD_WATCHDOG=6s
StopTimeout=2
[Service]
WatchdogSec=6s
TimeoutAbortSec=2s
"""
CHANNEL: Final = '[[notify.channel]]\nkind = "log"\nname = "journal"\nfor = "admins"\n'
START_TIMEOUT_S: Final = 60
SHOWN: Final = ("ActiveState", "Result", "ExecMainStatus", "NRestarts", "StatusText", "MainPID")


@pytest.fixture(scope="module")
def machine(guest: Guest, image: str) -> Guest:
    """The guest with the Quadlet installed as documented, and the schema migrated."""
    (guest.root / DROP_INS).mkdir(parents=True)
    shutil.copyfile(QUADLET, guest.root / UNITS / QUADLET.name)
    _drop_in(guest, "local", f"[Container]\nImage={image}\nNetwork=host\n")
    for name, value in SECRETS.items():
        guest.run("podman", "secret", "create", name, "-", stdin=value)
    guest.shell(DATABASE)
    run = ("podman", "run", "--rm", "--read-only", "--network=host", "--health-cmd=none", *MOUNTS)
    guest.run(*run, image, "orderctl", "migrate")
    return guest


@pytest.fixture
def unit(machine: Guest) -> Iterator[Guest]:
    """The guest, in which orderd does not run yet."""
    machine.run("systemctl", "daemon-reload")
    yield machine
    machine.run("systemctl", "stop", "orderd.service")
    machine.run("systemctl", "reset-failed", "orderd.service", check=False)
    for drop_in in (machine.root / DROP_INS).glob("test*.conf"):
        drop_in.unlink()


def test_systemd_hears_ready_status_and_watchdog_and_a_stop_drains(unit: Guest) -> None:
    unit.run("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)

    # `start` has returned, so it is ready; and what is ready answers.
    assert json.loads(_orderctl(unit, "call", "product", "create", PRODUCT))["status"] == "ok"
    assert _shown(unit)["StatusText"].startswith("running")
    first = unit.unit("orderd.service", "WatchdogTimestampMonotonic")
    wait_until(
        lambda: unit.unit("orderd.service", "WatchdogTimestampMonotonic") != first,
        timeout_s=30,
        what="a ping of the watchdog",
    )
    unit.run("systemctl", "stop", "orderd.service")

    shown = _shown(unit)
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == (
        *("inactive", "success"),
        "0",
    )
    assert _events(unit)[-1] == "daemon.stopped"


def test_orderd_notify_has_a_quadlet_that_tells_the_same_and_takes_its_file(
    unit: Guest, image: str
) -> None:
    name, place = "orderd-notify.container", unit.root / UNITS
    shutil.copyfile(TREE / "systemd" / name, place / name)
    (place / f"{name}.d").mkdir()
    (place / f"{name}.d" / "local.conf").write_text(f"[Container]\nImage={image}\nNetwork=host\n")
    for key, value in SECRETS.items():
        secret = key.replace("orderd_", "orderd_notify_")
        unit.run("podman", "secret", "create", secret, "-", stdin=value)
    (unit.root / "etc/orderd").mkdir()
    (unit.root / "etc/orderd/orderd.toml").write_text(CHANNEL)
    unit.run("systemctl", "daemon-reload")

    unit.run("systemctl", "start", "orderd-notify.service", timeout_s=START_TIMEOUT_S)
    shown = unit.run("podman", "exec", "orderd-notify", "orderctl", "config", "show")
    unit.run("systemctl", "reload", "orderd-notify.service")
    status = unit.unit("orderd-notify.service", "StatusText")["StatusText"]
    unit.run("systemctl", "stop", "orderd-notify.service")

    ended = unit.unit("orderd-notify.service", "ActiveState", "Result", "ExecMainStatus")
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert status.startswith("running")
    assert "journal" in shown


def test_it_runs_as_nobody_with_no_privilege_and_its_secrets_are_files(unit: Guest) -> None:
    unit.run("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)

    (told,) = json.loads(unit.run("podman", "inspect", "orderd"))
    files = unit.run("podman", "exec", "orderd", "ls", "-ln", "/run/secrets").splitlines()[1:]

    assert told["HostConfig"]["ReadonlyRootfs"] is True
    assert not told["BoundingCaps"]
    assert told["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert told["Config"]["User"] == "10001:10001"
    assert [(line.split()[0], line.split()[2], line.split()[-1]) for line in files] == [
        ("-r--------", "10001", "database_url"),
        ("-r--------", "10001", "rabbitmq_url"),
    ]
    assert "s3cret" not in json.dumps(told)


def test_the_journal_has_json_with_priorities(unit: Guest) -> None:
    since = unit.run("date", "+%s.%N").strip()
    unit.run("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)
    refused = _orderctl(unit, "call", "product", "update", '{"id":999,"price":1}', check=False)
    assert json.loads(refused)["code"] == "product_not_found"

    def warnings() -> list[dict[str, Any]]:
        lines = unit.journal("--unit=orderd", f"--since=@{since}", "--priority=warning..warning")
        return [json.loads(line["MESSAGE"]) for line in lines if line["_TRANSPORT"] == "stdout"]

    (warning,) = wait_until(warnings, timeout_s=20, what="the refusal in the journal")
    assert warning["event"] == "command.refused"


def test_a_reload_reaches_orderd(unit: Guest) -> None:
    unit.run("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)

    unit.run("systemctl", "reload", "orderd.service")

    wait_until(lambda: _events(unit)[-1] == "config.reloaded", timeout_s=20, what="reloaded")


def test_a_daemon_that_is_frozen_is_started_again(unit: Guest) -> None:
    _drop_in(unit, "test-watchdog", QUICK)
    unit.run("systemctl", "daemon-reload")
    unit.run("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)
    before = _shown(unit)

    unit.run("podman", "kill", "--signal=STOP", "orderd")

    def is_back() -> bool:
        shown = _shown(unit)
        return (shown["ActiveState"], shown["NRestarts"]) == ("active", "1")

    wait_until(is_back, timeout_s=60, what="started again")
    assert _shown(unit)["MainPID"] != before["MainPID"]
    assert "Watchdog timeout" in unit.run("journalctl", "--unit=orderd", "--output=cat")


def test_a_bad_configuration_is_78_and_is_not_tried_again(unit: Guest) -> None:
    _drop_in(unit, "test-bad", "[Container]\nEnvironment=ORDERD_BATCH_MAX=many\n")
    unit.run("systemctl", "daemon-reload")

    started = unit.result("systemctl", "start", "orderd.service", timeout_s=START_TIMEOUT_S)

    assert started.returncode != 0
    wait_until(lambda: _shown(unit)["ActiveState"] == "failed", timeout_s=20, what="failed")
    shown = _shown(unit)
    assert (shown["ExecMainStatus"], shown["NRestarts"]) == ("78", "0")


def test_the_time_to_stop_is_longer_than_the_drain(unit: Guest) -> None:
    drain_s = Settings.model_fields["shutdown_timeout"].default
    found = re.search(r"(?m)^StopTimeout=(\d+)$", QUADLET.read_text())
    assert found is not None

    systemd = unit.unit("orderd.service", "TimeoutStopUSec", "ExecStart")

    assert f"--stop-timeout {found[1]} " in systemd["ExecStart"]
    assert drain_s < int(found[1]) < 60
    assert systemd["TimeoutStopUSec"] == "1min"


def _drop_in(guest: Guest, name: str, text: str) -> None:
    (guest.root / DROP_INS / f"{name}.conf").write_text(text)


def _shown(guest: Guest) -> dict[str, str]:
    return guest.unit("orderd.service", *SHOWN)


def _orderctl(guest: Guest, *args: str, check: bool = True) -> str:
    return guest.run("podman", "exec", "orderd", "orderctl", *args, check=check)


def _events(guest: Guest) -> list[str]:
    lines = guest.journal("--unit=orderd", "--grep=^{")
    return [json.loads(line["MESSAGE"])["event"] for line in lines]
