"""`systemd/install`, for systems that have no package: tried in a guest of its own."""

import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import Machine
from tools.debian_root import TREE
from tools.guest import Guest
from tools.guest_deb import copy_tree

FETCH_TIMEOUT_S = 240
INSTALL_TIMEOUT_S = 300.0
INSTALL = "cd /root/orderd && systemd/install --wheels /root/wheels"
UNIT = "/usr/local/lib/systemd/system/orderd.service"
SETTINGS = "/etc/orderd/orderd.toml"
SHIPPED = "/usr/local/share/orderd/orderd.toml"
EDITED = (UNIT, SETTINGS)
# No wheel is published of it, but it has no part that would have to be compiled.
SOURCE_ONLY = "sdnotify"


@pytest.fixture(scope="module")
def elsewhere(bootable: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:  # noqa: ARG001
    """A guest without the package, with orderd installed from the tree, and started."""
    wheels = tmp_path_factory.mktemp("wheels")
    _fetch(wheels)
    with Guest() as guest:
        shutil.copytree(wheels, guest.root / "root/wheels")
        copy_tree(guest.root / "root/orderd")
        guest.run("apt-get", "install", "-qy", "python3-venv", timeout_s=INSTALL_TIMEOUT_S)
        guest.shell(INSTALL, timeout_s=INSTALL_TIMEOUT_S)
        guest.shell("""
            cd /
            runuser -u postgres -- createuser orderd
            runuser -u postgres -- createdb --owner=orderd orderd
            systemctl start orderd-migrate
            systemctl enable --quiet --now orderd
        """)
        yield Machine(guest)


def test_what_was_installed_works_in_the_same_sandbox(elsewhere: Machine) -> None:
    elsewhere.product("Lamp", stock=1)
    notify = elsewhere.run("systemd-analyze", "security", "--no-pager", "orderd-notify.service")

    executable = elsewhere.run("readlink", f"/proc/{elsewhere.pid()}/exe").strip()
    report = elsewhere.run("systemd-analyze", "security", "--no-pager", "orderd.service")
    (level,) = [line for line in report.splitlines() if "Overall exposure level" in line]
    assert executable == "/usr/bin/python3.13"
    assert elsewhere.shell(f"tr '\\0' ' ' </proc/{elsewhere.pid()}/cmdline").startswith("/opt/")
    assert float(level.split(": ")[1].split()[0]) <= 1.0, level
    assert float(notify.partition("exposure level for orderd-notify.service: ")[2][:3]) <= 1.2
    assert elsewhere.run("/usr/local/bin/orderd-notify", "--version").startswith("orderd-notify")
    assert "ORDERD" in elsewhere.run("man", "8", "orderd").upper()
    assert elsewhere.run("/usr/local/bin/orderctl", "--version").startswith("order")
    units = ("orderd.service", "orderd@a.service", "orderd-notify.service")
    verify = ("systemd-analyze", "verify", *units)
    verified = elsewhere.guest.result(*verify)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_settings_are_the_operators_and_their_defaults_lie_beside_the_program(
    elsewhere: Machine,
) -> None:
    settings = elsewhere.shell(f"cat {SETTINGS}").splitlines()
    shipped = elsewhere.shell(f"cat {SHIPPED}")
    rights = elsewhere.shell(f"stat --format='%a %U:%G' {SETTINGS} /etc/orderd/conf.d")

    assert SHIPPED in " ".join(settings)
    assert [line for line in settings if not line.startswith("#")] == []
    assert "#batch_max = 200" in shipped
    assert rights.splitlines() == ["640 root:orderd", "750 root:orderd"]


def test_a_notice_of_a_failure_has_the_sandbox_in_which_it_can_be_sent(elsewhere: Machine) -> None:
    unit = "orderd-failure@orderd.service.service"

    elsewhere.run("systemctl", "start", unit)

    said = elsewhere.run("journalctl", "--identifier=orderd-failure", "--output=cat")
    assert said.startswith("orderd.service has failed and is not started again")
    confined = {"User": "orderd", "ProtectSystem": "full", "NoExecPaths": ""}
    assert elsewhere.unit(unit, *confined) == confined


def test_installed_again_it_leaves_alone_what_was_edited_and_restarts_what_runs(
    elsewhere: Machine,
) -> None:
    elsewhere.shell(f"echo '# mine' >>{UNIT}; echo 'batch_max = 50' >>{SETTINGS}")
    elsewhere.run("systemctl", "enable", "--quiet", "--now", "orderd-exporter", "orderd@a")
    before = elsewhere.shell(f"cat {UNIT} {SETTINGS}")
    units = ("orderd", "orderd@a", "orderd-exporter")
    pids = {unit: elsewhere.pid(unit) for unit in units}

    said = elsewhere.shell(INSTALL, timeout_s=INSTALL_TIMEOUT_S)

    assert elsewhere.shell(f"cat {UNIT} {SETTINGS}") == before
    assert f"edited, and left alone: {UNIT}" in said
    assert "# mine" not in elsewhere.shell(f"cat {UNIT}.new")
    assert SETTINGS not in said
    assert elsewhere.shell("ls /etc/orderd/*.new 2>/dev/null || true") == ""
    for unit, pid in pids.items():
        assert elsewhere.pid(unit) not in (0, pid), unit
    elsewhere.product("Desk", stock=1)
    started = elsewhere.log("--grep=daemon.started", "--lines=1")
    assert "batches of up to 50," in started[0]["message"]


def test_uninstalled_it_leaves_only_what_is_not_its_own(elsewhere: Machine) -> None:
    elsewhere.write("/etc/orderd/credentials/rabbitmq_url", "amqp://a:b@localhost")
    elsewhere.shell(f"for file in {' '.join(EDITED)}; do echo '# mine' >>$file; done")

    said = elsewhere.shell("cd /root/orderd && systemd/install --uninstall")

    running = elsewhere.shell("grep --no-messages -lxE 'orderd|orderctl' /proc/[0-9]*/comm || true")
    found = elsewhere.shell("find /etc /opt /usr /var/lib/systemd -name '*orderd*'").split()
    assert running == ""
    assert f"edited, and left: {UNIT}" in said
    assert sorted(found) == sorted([*EDITED, "/etc/orderd"])
    assert elsewhere.shell("cat /etc/orderd/credentials/rabbitmq_url") == "amqp://a:b@localhost"
    assert "orderd" not in elsewhere.run("systemctl", "--failed", "--no-legend")


def _fetch(wheels: Path) -> None:
    """Gather wheels of the tree, and of all it needs with the guest's Python."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    needed = [one for one in project["dependencies"] if not one.startswith(SOURCE_ONLY)]
    own = [one for one in project["dependencies"] if one.startswith(SOURCE_ONLY)]
    _pip("wheel", "--no-deps", f"--wheel-dir={wheels}", f"{TREE}", *own)
    target = ("--python-version=3.13", f"--platform=manylinux2014_{platform.machine()}")
    _pip("download", "--only-binary=:all:", *target, f"--dest={wheels}", *needed)


def _pip(*argv: str) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    done = subprocess.run(
        (*pip, *argv), capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
