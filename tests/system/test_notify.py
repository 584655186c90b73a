"""orderd-notify.service, set up as docs/how-to/notify.md says, with a mail server elsewhere."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.system.machine import HERE, PATIENCE_S, Machine
from tools.waiting import wait_until

UNIT: Final = "orderd-notify"
# An address that the sandbox of the other services keeps away.
RELAY: Final = "198.51.100.25"
PORT: Final = 2525
MAILS: Final = "/root/mails"
SETTINGS: Final = "/etc/orderd/conf.d/notify.toml"
CREDENTIALS: Final = "/etc/orderd/notify-credentials"
TEMPLATE: Final = "/etc/orderd/templates/order.created.txt"
WATCHDOG_S: Final = 6
CHANNELS: Final = f"""
[[notify.channel]]
kind = "smtp"
name = "users"
for = "users"
url = "smtp://orders@{RELAY}:{PORT}"
starttls = false
from = "Shop <orders@example.com>"

[[notify.channel]]
kind = "log"
name = "journal"
for = "admins"
"""
PROBE: Final = """[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/python3 /usr/local/share/probe.py {places} {addresses}
Restart=no
"""
PLACES: Final = "/etc,/etc/orderd,/usr,/var/lib,/opt,/run,/run/orderd,/run/orderd-notify,/tmp"


@pytest.fixture(scope="module")
def relay(machine: Machine) -> Iterator[Machine]:
    """The guest with a mail server on an address that is not localhost."""
    machine.run("ip", "address", "replace", f"{RELAY}/32", "dev", "lo")
    machine.write("/usr/local/share/mail_server.py", (HERE / "mail_server.py").read_text())
    serve = ("python3", "/usr/local/share/mail_server.py", RELAY, f"{PORT}", MAILS)
    machine.run("systemd-run", "--quiet", "--unit=relay", *serve)
    machine.shell(f"until (: </dev/tcp/{RELAY}/{PORT}) 2>/dev/null; do sleep 0.1; done")
    yield machine
    machine.run("systemctl", "stop", "relay")


@pytest.fixture(scope="module")
def was_off(relay: Machine) -> Iterator[str]:
    """Set orderd-notify up; give what systemd called it before."""
    relay.begin_anew()
    before = relay.run("systemctl", "is-enabled", UNIT, check=False).strip()
    relay.shell((HERE / "fresh_notify.sh").read_text(), timeout_s=120)
    yield before
    relay.shell(f"""
        systemctl disable --quiet --now {UNIT}
        rm -f {CREDENTIALS}/*
        rabbitmqadmin -f bash list queues | tr ' ' '\\n' | grep _notifications |
            while read -r queue; do rabbitmqadmin --quiet delete queue name="$queue"; done
    """)


@pytest.fixture
def notify(relay: Machine, was_off: str) -> Machine:  # noqa: ARG001
    """The guest with orderd and orderd-notify running, by mail to users."""
    relay.begin_anew()
    relay.write(f"{CREDENTIALS}/notify_users", "secret\n")
    relay.write(SETTINGS, CHANNELS)
    relay.shell(f"chgrp orderd {SETTINGS} && chmod 640 {SETTINGS} && systemctl restart {UNIT}")
    return relay


def test_it_is_off_until_it_is_enabled_and_then_ready(notify: Machine, was_off: str) -> None:
    shown = notify.unit(UNIT, "ActiveState", "SubState", "NRestarts")
    listed = notify.run("ls", f"/run/credentials/{UNIT}.service").split()
    user = notify.run("ps", "-o", "euser=,egroup=", "-p", f"{notify.pid(UNIT)}").split()
    health = notify.run("orderctl", "health", "--file=/run/orderd-notify/health")
    as_nobody = ("runuser", "-u", "nobody", "--")
    metrics = wait_until(
        lambda: notify.guest.result(*as_nobody, "cat", "/run/orderd-notify/metrics.prom").stdout,
        timeout_s=PATIENCE_S,
        what="metrics",
    )

    assert was_off == "disabled"
    assert shown == {"ActiveState": "active", "SubState": "running", "NRestarts": "0"}
    assert listed == ["orderd_notify_users", "orderd_rabbitmq_url"]
    # ps cuts what is too long for its column.
    assert {name[:6] for name in user} == {"orderd"}
    assert user != ["orderd", "orderd"]
    assert health.startswith("live, ready")
    assert 'orderd_state{daemon="guest-notify",state="running"} 1' in metrics


def test_a_user_is_mailed_once_what_became_of_an_order(notify: Machine) -> None:
    product_id = notify.product("Candle", stock=10)
    before = len(_mails(notify))

    _order(notify, "candle", product_id)

    mails = _await_mails(notify, before + 1)
    notify.await_status("running", UNIT)
    assert mails[-1]["to"] == ["ada@example.com"]
    assert mails[-1]["id"].endswith("@example.com>")
    noted = "SELECT channel, recipient, state, attempts FROM notifications WHERE channel = 'users'"
    assert notify.sql(f"{noted} ORDER BY created_at DESC LIMIT 1") == "users|user/1|sent|1"
    connected = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orderd-notify'"
    assert int(notify.sql(connected)) > 0


def test_root_tries_a_channel_with_the_account_of_orderd_notify(notify: Machine) -> None:
    before = len(_mails(notify))

    notify.run("orderctl", "notify", "test", "users", "--to", "ops@example.com")
    listed = notify.run("orderctl", "notify", "list", "--limit=5")

    assert _await_mails(notify, before + 1)[-1]["to"] == ["ops@example.com"]
    assert "order.created" in listed


def test_a_reload_takes_other_channels_and_a_wrong_one_leaves_them(notify: Machine) -> None:
    pid = notify.pid(UNIT)
    product_id = notify.product("Torch", stock=10)
    before = len(_mails(notify))
    ends = []
    for file, text in (
        (SETTINGS, CHANNELS.replace("log", "lgo")),
        (TEMPLATE, "subject: {{ order\n"),
    ):
        notify.write(file, text)
        ends.append(notify.guest.result("systemctl", "reload", UNIT).returncode)
        notify.shell(f"rm {file}")
    notify.write(SETTINGS, CHANNELS)
    _order(notify, "torch-1", product_id)
    _await_mails(notify, before + 1)

    notify.write(TEMPLATE, "subject: Torch {{ data.id }}\n\nThank you.\n")
    notify.write(SETTINGS, CHANNELS.replace("@example.com>", "@example.org>"))
    notify.run("systemctl", "reload", UNIT)
    notify.run("rm", TEMPLATE)
    _order(notify, "torch-2", product_id)

    former, latter = _await_mails(notify, before + 2)[before:]
    assert ends == [1, 1]
    assert notify.pid(UNIT) == pid
    assert former["id"].endswith("@example.com>")
    assert latter["id"].endswith("@example.org>")
    assert latter["subject"].startswith("Torch ")


def test_killed_or_frozen_it_is_started_again_and_loses_nothing(notify: Machine) -> None:
    product_id = notify.product("Lantern", stock=10)
    before = len(_mails(notify))
    notify.drop_in(f"{UNIT}.service", f"[Service]\nWatchdogSec={WATCHDOG_S}s\n")
    notify.run("systemctl", "restart", UNIT)
    after = f"--after-cursor={notify.cursor()}"

    notify.run("kill", "-STOP", f"{notify.pid(UNIT)}")
    _order(notify, "lantern-1", product_id)
    wait_until(lambda: notify.restarts(UNIT) == 1, timeout_s=PATIENCE_S, what="restart")
    notify.await_state("active", UNIT)
    _await_mails(notify, before + 1)
    notify.run("systemctl", "kill", "--signal=KILL", UNIT)
    _order(notify, "lantern-2", product_id)
    wait_until(lambda: notify.restarts(UNIT) == 2, timeout_s=PATIENCE_S, what="restart")
    notify.await_state("active", UNIT)

    mails = _await_mails(notify, before + 2)[before:]
    said = [entry["MESSAGE"] for entry in notify.guest.journal(f"--unit={UNIT}", after)]
    assert len({mail["id"] for mail in mails}) == len(mails) == 2
    assert any("signal SIGABRT" in text for text in said)


def test_a_stop_ends_well_and_what_comes_meanwhile_waits(notify: Machine) -> None:
    product_id = notify.product("Match", stock=10)
    before = len(_mails(notify))
    notify.run("systemctl", "stop", UNIT)
    shown = notify.unit(UNIT, "Result", "ExecMainStatus")

    _order(notify, "match", product_id)
    wait_until(
        lambda: notify.ready("user_notifications") == 1, timeout_s=PATIENCE_S, what="a message"
    )
    notify.run("systemctl", "start", UNIT)

    assert shown == {"Result": "success", "ExecMainStatus": "0"}
    assert len(_await_mails(notify, before + 1)) == before + 1


def test_a_new_version_starts_it_again(notify: Machine) -> None:
    pid = notify.pid(UNIT)

    notify.run("dpkg-reconfigure", "--frontend=noninteractive", "orderd", timeout_s=120)

    assert notify.pid(UNIT) not in (0, pid)
    assert notify.restarts(UNIT) == 0


def test_a_program_in_its_sandbox_reaches_other_machines_and_can_do_nothing_else(
    notify: Machine,
) -> None:
    listen = ("python3", "-m", "http.server", "--bind=::", "5999")
    notify.run("systemd-run", "--quiet", "--unit=listener", *listen)
    notify.shell(f"until (: </dev/tcp/{RELAY}/5999) 2>/dev/null; do sleep 0.1; done")
    notify.write("/usr/local/share/probe.py", (HERE / "probe.py").read_text())
    addresses = f"127.0.0.1,{RELAY}"
    notify.drop_in(f"{UNIT}.service", PROBE.format(places=PLACES, addresses=addresses))
    notify.run("systemctl", "stop", UNIT)
    try:
        notify.run("systemctl", "start", UNIT)
        (found,) = notify.log("--lines=1", f"--identifier={UNIT}", unit=UNIT)
    finally:
        notify.run("systemctl", "stop", "listener")

    assert found["addresses"] == {"127.0.0.1": "done", RELAY: "done"}
    allowed = [place for place, came in found["writes"].items() if came == "done"]
    assert allowed == ["/run/orderd-notify", "/tmp"]  # noqa: S108
    assert found["status"]["NoNewPrivs"] == "1"
    assert found["status"]["Seccomp"] == "2"
    assert {int(found["status"][name], 16) for name in ("CapEff", "CapBnd")} == {0}
    tried = {name: came for name, came in found.items() if isinstance(came, str)}
    assert {name for name, came in tried.items() if came == "done"} == set(), tried


def test_its_exposure_is_as_low_as_documented_and_the_unit_without_fault(machine: Machine) -> None:
    report = machine.run("systemd-analyze", "security", "--no-pager", f"{UNIT}.service")
    verified = machine.guest.result("systemd-analyze", "verify", f"{UNIT}.service")

    (level,) = [line for line in report.splitlines() if "Overall exposure level" in line]
    assert float(level.split(": ")[1].split()[0]) <= 1.2, level
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert machine.unit(f"{UNIT}.service", "IPAddressDeny") == {"IPAddressDeny": ""}


def _order(notify: Machine, request_id: str, product_id: int) -> None:
    data = {"user_id": 1, "items": [{"product_id": product_id, "quantity": 1}]}
    notify.publish("order", "create", data, request_id)
    notify.await_settled(request_id, 1)


def _mails(notify: Machine) -> list[Mapping[str, Any]]:
    """Return the mails so far, the oldest first."""
    return [json.loads(line) for line in notify.shell(f"touch {MAILS}; cat {MAILS}").splitlines()]


def _await_mails(notify: Machine, count: int) -> list[Mapping[str, Any]]:
    wait_until(lambda: len(_mails(notify)) >= count, timeout_s=PATIENCE_S, what=f"{count} mails")
    return _mails(notify)
