"""The units, as far as they can be judged where no guest is booted."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.machine import HERE
from tools.debian_root import TREE

SYSTEMD = TREE / "systemd"
EXPOSURES = {
    "orderd.service": 1.0,
    "orderd@a.service": 1.0,
    "orderd-migrate.service": 1.0,
    "orderd-prune.service": 1.0,
    # It reaches servers anywhere, and is in orderd's group.
    "orderd-notify.service": 1.2,
}
# What an instance has of its own.
OF_INSTANCES = {
    "ReloadPropagatedFrom=orderd.target",
    "PartOf=orderd.target",
    "Environment=ORDERD_INSTANCE_NAME=%i",
    "EnvironmentFile=-/etc/orderd/%i.env",
    "RuntimeDirectory=orderd-%i",
    "Description=orderd %i, commands from RabbitMQ to PostgreSQL",
    "WantedBy=orderd.target",
    "DefaultInstance=1",
}
OF_THE_ONE = {
    "RuntimeDirectory=orderd",
    "Description=orderd, commands from RabbitMQ to PostgreSQL",
    "WantedBy=multi-user.target",
}
# What orderd-notify has of its own, besides its drop-in.
OF_NOTIFY = {
    "Description=orderd-notify, notifications by mail and webhooks",
    "Documentation=man:orderd-notify(8) man:orderd.toml(5)",
    "ExecStart=/usr/bin/orderd-notify",
    "ExecReload=/usr/bin/orderctl config check --program orderd-notify",
    "EnvironmentFile=-/etc/orderd/orderd-notify.env",
    "LoadCredential=orderd:/etc/orderd/notify-credentials",
    "RuntimeDirectory=orderd-notify",
    "SyslogIdentifier=orderd-notify",
}


def test_orderd_notify_is_started_reloaded_watched_and_stopped_as_orderd_is() -> None:
    orderd, notify = _directives("orderd.service"), _directives("orderd-notify.service")

    assert notify - orderd == OF_NOTIFY
    assert {line.partition("=")[0] for line in orderd - notify} == {
        line.partition("=")[0]
        for line in OF_NOTIFY - {"EnvironmentFile=-/etc/orderd/orderd-notify.env"}
    }


def test_the_sandbox_of_orderd_notify_opens_the_network_and_nothing_else() -> None:
    assert _directives("notify-sandbox.conf") == {
        "User=orderd-notify",
        "Group=orderd-notify",
        "SupplementaryGroups=orderd",
        "IPAddressDeny=",
        "IPAddressAllow=",
    }


def test_instances_differ_from_the_one_daemon_in_what_they_must_only() -> None:
    one, instance = _directives("orderd.service"), _directives("orderd@.service")

    assert instance - one == OF_INSTANCES
    assert one - instance == OF_THE_ONE


@pytest.mark.parametrize(
    ("script", "guide"), [("fresh_debian.sh", "install.md"), ("fresh_notify.sh", "notify.md")]
)
def test_the_documentation_says_what_the_system_tests_type(script: str, guide: str) -> None:
    typed = (HERE / script).read_text().splitlines()[1:]
    page = (TREE / "docs/how-to" / guide).read_text()

    assert [line for line in typed if line not in page] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize(("service", "at_most"), EXPOSURES.items())
def test_the_exposure_is_as_low_as_documented(tmp_path: Path, service: str, at_most: float) -> None:
    for unit in SYSTEMD.glob("orderd*.service"):
        shutil.copy(unit, tmp_path)
    for kind in ("orderd", "orderd@", "orderd-"):
        _drop_in(tmp_path, kind, "sandbox.conf", "10-sandbox.conf")
    _drop_in(tmp_path, "orderd-notify", "notify-sandbox.conf", "20-notify.conf")

    # The threshold is counted in tenths.
    threshold = f"--threshold={round(at_most * 10)}"
    analyze = ("systemd-analyze", "security", "--offline=yes", threshold, "--no-pager")
    done = subprocess.run(
        (*analyze, f"{tmp_path / service}"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _drop_in(folder: Path, unit: str, source: str, name: str) -> None:
    place = folder / f"{unit}.service.d"
    place.mkdir()
    shutil.copy(SYSTEMD / source, place / name)


def _directives(unit: str) -> set[str]:
    lines = (SYSTEMD / unit).read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "["))}
