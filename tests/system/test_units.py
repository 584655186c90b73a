"""The units, as far as they can be judged where no guest is booted."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.machine import HERE
from tools.debian_root import TREE

SYSTEMD = TREE / "systemd"
SERVICES = ("orderd.service", "orderd@a.service", "orderd-migrate.service", "orderd-prune.service")
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


def test_instances_differ_from_the_one_daemon_in_what_they_must_only() -> None:
    one, instance = _directives("orderd.service"), _directives("orderd@.service")

    assert instance - one == OF_INSTANCES
    assert one - instance == OF_THE_ONE


def test_the_documentation_says_what_the_system_tests_type() -> None:
    typed = (HERE / "fresh_debian.sh").read_text().splitlines()[1:]
    page = (TREE / "docs/how-to/install.md").read_text()

    assert [line for line in typed if line not in page] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("service", SERVICES)
def test_the_exposure_is_at_most_1(tmp_path: Path, service: str) -> None:
    for unit in SYSTEMD.glob("orderd*.service"):
        shutil.copy(unit, tmp_path)
    for kind in ("orderd", "orderd@", "orderd-"):
        drop_ins = tmp_path / f"{kind}.service.d"
        drop_ins.mkdir()
        shutil.copy(SYSTEMD / "sandbox.conf", drop_ins)

    # The threshold is counted in tenths.
    analyze = ("systemd-analyze", "security", "--offline=yes", "--threshold=10", "--no-pager")
    done = subprocess.run(
        (*analyze, f"{tmp_path / service}"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _directives(unit: str) -> set[str]:
    lines = (SYSTEMD / unit).read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "["))}
