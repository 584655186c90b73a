"""One booted guest for all tests of this directory, set up as docs/how-to/install.md says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import HERE, SHIPPED, Machine
from tools import guest_deb
from tools.guest import Guest, trial

INSTALL_TIMEOUT_S = 300.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a guest, so that it can be left out where minutes count."""
    for item in items:
        if "bootable" in getattr(item, "fixturenames", ()) and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def bootable() -> None:
    """Skip what asks for it, and say why, where this machine can boot no guest."""
    if reason := trial(guest_deb.tools()):
        pytest.skip(f"no guest can be booted: {reason}")


@pytest.fixture(scope="session")
def package(bootable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """The Debian package, built from this tree."""
    return guest_deb.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def machine(package: Path) -> Iterator[Machine]:
    """The guest, with orderd installed and started as documented."""
    with Guest() as guest:
        shutil.copy(package, guest.root / "root")
        script = (
            (HERE / "fresh_debian.sh").read_text().replace("apt install", "apt-get install -qy")
        )
        guest.shell(f"cd /root\n{script}", timeout_s=INSTALL_TIMEOUT_S)
        guest.run("cp", "/etc/orderd/orderd.toml", SHIPPED)
        machine = Machine(guest)
        user = {"username": "ada", "email": "ada@example.com"}
        machine.publish("user", "create", user, "first-user")
        machine.await_settled("first-user", 1)
        yield machine


@pytest.fixture
def orderd(machine: Machine) -> Machine:
    """The same with orderd running, freshly started, and nothing left of an earlier test."""
    machine.begin_anew()
    return machine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Put what the guest's journal says of orderd under a test that failed."""
    report: Any = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.failed and machine is not None:
        journal = machine.run("journalctl", "--unit=orderd*", "--lines=60", check=False)
        report.sections.append(("journal of the guest", journal))
    return report
