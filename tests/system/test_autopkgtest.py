"""What Debian's own tools do with the package: autopkgtest runs its tests, apt shows its news."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from orderd import __version__
from tests.system.machine import repacked
from tools import guest_deb, guest_root
from tools.debian_changelog import of_the_tree
from tools.guest import Guest, trial

PACKAGES: Final = ("apt-listchanges", "autopkgtest", "dpkg-dev", *guest_root.DOWNLOADS)
SOURCE: Final = "/root/orderd"
TIMEOUT_S: Final = 500.0
# The guest is what they ask for, a machine that can be broken, but nothing tells autopkgtest so.
GIVEN: Final = "--ignore-restrictions=isolation-container,breaks-testbed"


@pytest.fixture(scope="module")
def testbed(package: Path) -> Iterator[Guest]:
    """A guest with RabbitMQ, PostgreSQL and the source package, without orderd."""
    if reason := trial(PACKAGES):
        pytest.skip(f"no guest with autopkgtest can be booted: {reason}")
    with Guest(packages=PACKAGES) as guest:
        shutil.copy(package, guest.root / "root")
        guest_deb.copy_source(guest.root / SOURCE.removeprefix("/"))
        yield guest


def test_an_upgrade_shows_what_the_newest_release_tells_to_do(testbed: Guest) -> None:
    demands = of_the_tree(__version__)[0].groups["Before you upgrade"]
    # What the installed version told already would not be shown again.
    testbed.shell(repacked("older", sign="~", change="rm usr/share/doc/orderd/NEWS.Debian.gz"))
    testbed.run("apt-get", "install", "-qy", "/root/older.deb", timeout_s=TIMEOUT_S)

    shown = testbed.shell(
        "APT_LISTCHANGES_FRONTEND=text apt-get install -qy /root/orderd_*_all.deb",
        timeout_s=TIMEOUT_S,
    )

    testbed.run("apt-get", "purge", "-qy", "orderd", timeout_s=TIMEOUT_S)
    told = " ".join(shown.split())
    assert f"orderd ({__version__}) unstable; urgency=medium" in told
    assert [demand for demand in demands if demand not in told] == []


def test_the_tests_of_the_package_pass(testbed: Guest, package: Path) -> None:
    run = ("autopkgtest", "--no-built-binaries", "--summary-file=/root/summary", GIVEN)

    done = testbed.result(
        *run, f"/root/{package.name}", f"{SOURCE}/", "--", "null", timeout_s=TIMEOUT_S
    )

    assert done.returncode == 0, done.stdout + done.stderr
    summary = testbed.shell("cat /root/summary")
    results = dict(line.split(None, 1) for line in summary.splitlines())
    assert results == {"installed": "PASS (superficial)", "daemon": "PASS"}
