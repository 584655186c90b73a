"""Servers and a name server on another machine, for which a network namespace stands.

They are refused, and the error says by what, until the documented drop-in allows them.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.system.machine import HERE, PATIENCE_S, Machine
from tests.system.test_exporter import FETCH
from tools.waiting import wait_until

SERVERS: Final = "203.0.113.7"
NAME_SERVER: Final = "203.0.113.53"
# Both servers run there, the name server knows them, and the guest has a cable to it.
SET_UP: Final = f"""
    ip netns add remote
    ip link add remote type veth peer name eth0 netns remote
    ip address add 203.0.113.1/24 dev remote
    ip -n remote address add {SERVERS}/24 dev eth0
    ip -n remote address add {NAME_SERVER}/24 dev eth0
    for name in lo eth0; do ip -n remote link set $name up; done
    ip link set remote up
    cd /etc/postgresql/*/main
    cp --preserve=all pg_hba.conf pg_hba.before
    echo 'host orderd orderd 203.0.113.0/24 scram-sha-256' >>pg_hba.conf
    echo "listen_addresses = '*'" >conf.d/remote.conf
    runuser -u postgres -- psql -qc "ALTER ROLE orderd PASSWORD 'PASSWORD'"
    for unit in rabbitmq-server postgresql@; do
        mkdir -p /run/systemd/system/$unit.service.d
        printf '[Service]\nNetworkNamespacePath=/run/netns/remote\n' \
            >/run/systemd/system/$unit.service.d/remote.conf
    done
    systemctl daemon-reload
    systemctl stop orderd
    systemctl restart 'postgresql@*' rabbitmq-server
    systemd-run --quiet --unit=name-server --property=NetworkNamespacePath=/run/netns/remote \
        python3 /root/name_server.py {NAME_SERVER} {SERVERS}
    echo nameserver {NAME_SERVER} >/etc/resolv.conf
"""
TAKE_DOWN: Final = """
    systemctl stop orderd name-server
    rm -rf /run/systemd/system/{rabbitmq-server,postgresql@}.service.d /etc/resolv.conf
    cd /etc/postgresql/*/main
    mv pg_hba.before pg_hba.conf
    rm conf.d/remote.conf
    systemctl daemon-reload
    systemctl restart 'postgresql@*' rabbitmq-server
    ip netns delete remote
"""
EXAMPLE: Final = "/usr/share/doc/orderd/examples/remote-servers.conf"
REFUSED: Final = "the sandbox refuses {}: add IPAddressAllow= to orderd.slice"


@pytest.fixture(scope="module")
def cable(machine: Machine) -> Iterator[Machine]:
    """The guest with its servers on the other machine."""
    machine.begin_anew()
    local = machine.shell("cat /etc/orderd/credentials/rabbitmq_url")
    machine.write("/root/name_server.py", (HERE / "name_server.py").read_text())
    machine.shell(SET_UP)
    yield machine
    machine.shell(TAKE_DOWN)
    machine.write("/etc/orderd/credentials/rabbitmq_url", local)
    machine.begin_anew()


@pytest.fixture
def remote(cable: Machine) -> Iterator[Machine]:
    """The same with a stopped daemon, to which no address is allowed yet."""
    _allow(cable, "localhost")
    yield cable
    cable.run("systemctl", "stop", "orderd", "orderd-exporter")
    cable.run("systemctl", "reset-failed")


def test_by_address_every_unit_says_what_is_refused_and_works_once_it_is_allowed(
    remote: Machine,
) -> None:
    refused = REFUSED.format(SERVERS)
    _point(remote, broker=SERVERS, database=SERVERS)

    remote.run("systemctl", "start", "--no-block", "orderd")
    remote.await_status(refused)
    assert remote.guest.result("systemctl", "start", "orderd-migrate").returncode != 0
    assert f"timeout expired; {refused}" in _said(remote, "orderd-migrate")[-1]
    # It does not wait for the daemon, which waits itself.
    remote.run("systemctl", "start", "orderd-exporter")
    for server in ("broker", "database"):
        _await_said(remote, "orderd-exporter", f"orderctl: {server}: ", refused)

    _allow(remote, SERVERS)
    remote.run("systemctl", "restart", "orderd")
    remote.run("systemctl", "start", "orderd-migrate")
    assert remote.run("orderctl", "status").startswith("OK: ")
    _applies_a_command(remote, "by-address")


def test_by_name_the_name_server_has_to_be_allowed_as_well(remote: Machine) -> None:
    _point(remote, broker="mq.example.com", database="db.example.com")
    remote.run("systemctl", "start", "--no-block", "orderd")
    remote.await_status(REFUSED.format(NAME_SERVER))
    remote.run("systemctl", "stop", "orderd")

    _allow(remote, NAME_SERVER)
    remote.run("systemctl", "start", "--no-block", "orderd")
    remote.await_status(f'"db.example.com" ({SERVERS})')
    remote.await_status(REFUSED.format(SERVERS))

    _allow(remote, f"{SERVERS} {NAME_SERVER}")
    remote.run("systemctl", "restart", "orderd")
    _applies_a_command(remote, "by-name")


def test_a_broker_is_refused_by_name_as_a_database_is(remote: Machine) -> None:
    _point(remote, broker="mq.example.com", database=None)
    remote.run("systemctl", "start", "--no-block", "orderd")
    remote.await_status(REFUSED.format(NAME_SERVER))
    remote.run("systemctl", "stop", "orderd")

    _allow(remote, NAME_SERVER)
    remote.run("systemctl", "start", "--no-block", "orderd")
    remote.await_status("waiting for the broker: mq.example.com:5672/")
    remote.await_status(REFUSED.format(SERVERS))


def _allow(machine: Machine, addresses: str) -> None:
    """Do what docs/how-to/install.md says to reach remote servers."""
    place = "/etc/systemd/system/orderd.slice.d"
    machine.shell(f"""
        mkdir -p {place}
        sed '/^IPAddressAllow=/d' {EXAMPLE} >{place}/remote-servers.conf
        echo 'IPAddressAllow={addresses}' >>{place}/remote-servers.conf
        systemctl daemon-reload
    """)


def _point(machine: Machine, *, broker: str, database: str | None) -> None:
    """Write the credentials of servers with these hosts; None is the socket on this machine."""
    url = f"postgresql://orderd:PASSWORD@{database}/orderd" if database else "postgresql:///orderd"
    machine.write("/etc/orderd/credentials/rabbitmq_url", f"amqp://orderd:PASSWORD@{broker}/%2F")
    for role in ("credentials", "owner-credentials"):
        machine.write(f"/etc/orderd/{role}/database_url", url)


def _applies_a_command(machine: Machine, name: str) -> None:
    data = f'{{"username": "{name}", "email": "{name}@example.com"}}'
    machine.run("orderctl", "publish", "--id", name, "user", "create", data)
    machine.await_settled(name, 1)
    assert machine.sql(f"SELECT count(*) FROM users WHERE username = '{name}'") == "1"  # noqa: S608


def _said(machine: Machine, unit: str) -> list[str]:
    """Return what the unit's program has said, without what systemd says of it."""
    entries = machine.guest.journal(f"--identifier={unit}")
    return [entry["MESSAGE"] for entry in entries]


def _await_said(machine: Machine, unit: str, *texts: str) -> None:
    """Return once one line of the unit has all of these; each scrape makes it look again."""

    def is_said() -> bool:
        machine.guest.result(*FETCH)
        return any(all(text in line for text in texts) for line in _said(machine, unit))

    wait_until(is_said, timeout_s=PATIENCE_S, what=f"{texts} said by {unit}", poll_s=1.0)
