"""The sandbox holds: tried from inside, by a program that runs as orderd does."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.machine import HERE, Machine

REMOTE = "198.51.100.7"
PLACES = "/etc,/etc/orderd,/usr,/usr/local,/var/lib,/var/log,/opt,/srv,/run,/run/orderd-probe,/tmp"
PORT = 5999
PROBE = """[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/python3 /usr/local/share/probe.py {places} {addresses}
Restart=no
"""


@pytest.fixture
def listener(orderd: Machine) -> Iterator[Machine]:
    """The guest with an address that is not localhost, where somebody listens."""
    orderd.run("ip", "address", "replace", f"{REMOTE}/32", "dev", "lo")
    serve = ("python3", "-m", "http.server", "--bind=::", f"{PORT}")
    orderd.run("systemd-run", "--quiet", "--unit=listener", *serve)
    script = f"until (: </dev/tcp/{REMOTE}/{PORT}) 2>/dev/null; do sleep 0.1; done"
    orderd.shell(script, timeout_s=30)
    yield orderd
    orderd.run("systemctl", "stop", "listener")


def test_a_program_in_the_sandbox_can_do_its_work_and_nothing_else(listener: Machine) -> None:
    found = _probe(listener)

    allowed = [place for place, came in found["writes"].items() if came == "done"]
    # Its own directory, and a /tmp that nobody else sees.
    assert allowed == ["/run/orderd-probe", "/tmp"]  # noqa: S108
    assert found["addresses"]["127.0.0.1"] == "done"
    assert found["addresses"][REMOTE] != "done"
    assert found["status"]["NoNewPrivs"] == "1"
    assert found["status"]["Seccomp"] == "2"
    assert {int(found["status"][name], 16) for name in ("CapEff", "CapBnd")} == {0}
    tried = {name: came for name, came in found.items() if isinstance(came, str)}
    assert {name for name, came in tried.items() if came == "done"} == set(), tried
    assert listener.shell("find /tmp /var/tmp -name probe -not -path '*/systemd-private-*'") == ""


def test_addresses_of_the_slice_are_allowed_to_its_services(listener: Machine) -> None:
    listener.drop_in("orderd.slice", f"[Slice]\nIPAddressAllow={REMOTE}\n")

    found = _probe(listener)

    assert found["addresses"] == {"127.0.0.1": "done", REMOTE: "done"}


@pytest.mark.parametrize(
    ("credential", "url"),
    [
        ("rabbitmq_url", f"amqp://orderd:PASSWORD@{REMOTE}/%2F"),
        ("database_url", f"postgresql://orderd:PASSWORD@{REMOTE}/orderd"),
    ],
)
def test_a_server_that_the_filter_keeps_away_is_told_with_what_allows_it(
    listener: Machine, credential: str, url: str
) -> None:
    before = listener.shell("cat /etc/orderd/credentials/rabbitmq_url")
    listener.run("systemctl", "stop", "orderd")
    listener.write(f"/etc/orderd/credentials/{credential}", url)
    try:
        listener.run("systemctl", "start", "--no-block", "orderd")
        listener.await_status(f"the sandbox refuses {REMOTE}: add IPAddressAllow= to orderd.slice")
    finally:
        listener.write("/etc/orderd/credentials/rabbitmq_url", before)
        listener.run("systemctl", "stop", "orderd")


@pytest.mark.parametrize("unit", ["orderd@a", "orderd-migrate", "orderd-prune", "orderd-exporter"])
def test_all_services_reach_the_same_addresses(machine: Machine, unit: str) -> None:
    names = ("IPAddressAllow", "IPAddressDeny", "Slice")

    assert machine.unit(f"{unit}.service", *names) == machine.unit("orderd.service", *names)


def test_the_daemon_itself_is_in_it(orderd: Machine) -> None:
    shown = orderd.shell(f"cat /proc/{orderd.pid()}/status")

    status = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["CapBnd"], 16) == 0
    owner = orderd.run("stat", "--format=%U", f"/proc/{orderd.pid()}").strip()
    assert owner == "orderd"


def test_secrets_are_in_neither_environment_nor_command_line(orderd: Machine) -> None:
    pid = orderd.pid()
    told = orderd.shell(f"tr '\\0' '\\n' </proc/{pid}/environ; tr '\\0' ' ' </proc/{pid}/cmdline")
    shown = orderd.run("systemctl", "show", "orderd") + orderd.run("systemctl", "cat", "orderd")

    assert "CREDENTIALS_DIRECTORY=" in told
    assert "PASSWORD" not in told + shown
    connections = orderd.run("rabbitmqctl", "-q", "list_connections", "user")
    assert "orderd" in connections.split()


def test_encrypted_credentials_work_as_the_example_says(orderd: Machine) -> None:
    orderd.shell("""
        cd /etc/orderd
        mkdir -m 700 credentials.encrypted
        encrypt() { systemd-creds encrypt --name="$1" - "credentials.encrypted/$1"; }
        echo 'postgresql:///orderd' | encrypt database_url
        encrypt rabbitmq_url <credentials/rabbitmq_url
        mkdir -p /etc/systemd/system/orderd.service.d
        cd /usr/share/doc/orderd/examples
        cp encrypted-credentials.conf /etc/systemd/system/orderd.service.d
        systemctl daemon-reload
        systemctl restart orderd
    """)

    assert "PASSWORD" not in orderd.shell("cat /etc/orderd/credentials.encrypted/*")
    listed = orderd.run("ls", "/run/credentials/orderd.service").split()
    assert listed == ["database_url", "rabbitmq_url"]
    assert orderd.unit("orderd", "ActiveState")["ActiveState"] == "active"


@pytest.mark.parametrize(
    "unit", ["orderd", "orderd@a", "orderd-migrate", "orderd-prune", "orderd-exporter"]
)
def test_the_exposure_is_at_most_1(machine: Machine, unit: str) -> None:
    report = machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")

    (level,) = [line for line in report.splitlines() if "Overall exposure level" in line]
    assert float(level.split(": ")[1].split()[0]) <= 1.0, level


def test_the_units_are_without_fault(machine: Machine) -> None:
    names = ("orderd.service", "orderd@a.service", "orderd.target", "orderd.slice")
    more = ("orderd-migrate.service", "orderd-prune.service", "orderd-prune.timer")
    notices = ("orderd-exporter.service", "orderd-failure@orderd.service.service")

    verified = machine.guest.result("systemd-analyze", "verify", *names, *more, *notices)

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def _probe(machine: Machine) -> dict[str, Any]:
    """Run the probe in place of a daemon, and return what it found."""
    machine.write("/usr/local/share/probe.py", (HERE / "probe.py").read_text())
    addresses = f"127.0.0.1,{REMOTE}"
    machine.drop_in("orderd@probe.service", PROBE.format(places=PLACES, addresses=addresses))
    machine.run("systemctl", "start", "orderd@probe")
    (found,) = machine.log("--lines=1", "--identifier=orderd", unit="orderd@probe")
    return found
