"""`systemctl start orderd`, and what an administrator sees then."""

import json

import pytest

from tests.system.machine import Machine
from tools.waiting import wait_until


def test_a_published_command_becomes_a_row_and_its_outcome_is_in_the_journal(
    orderd: Machine,
) -> None:
    product_id = orderd.product("Lamp", stock=5)
    after = f"--after-cursor={orderd.cursor()}"

    for request_id, quantity in (("few", 2), ("many", 9)):
        data = {"user_id": 1, "items": [{"product_id": product_id, "quantity": quantity}]}
        orderd.publish("order", "create", data, request_id)

    orderd.await_settled("many", 1)
    assert orderd.sql("SELECT stock_quantity FROM products WHERE name = 'Lamp'") == "3"
    (line,) = wait_until(
        lambda: orderd.log("--priority=warning", after), timeout_s=10, what="a warning"
    )
    assert (line["event"], line["id"]) == ("command.refused", "many")
    assert line["code"] == "insufficient_stock"


def test_the_journal_takes_the_priority_off_and_jq_reads_the_rest(orderd: Machine) -> None:
    (entry, *_) = orderd.guest.journal("--unit=orderd", "--grep=daemon.started")

    shown = orderd.shell(
        "journalctl -t orderd -o cat | jq -Rr 'fromjson? | .event + \" \" + .level'"
    )

    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "orderd"
    assert entry["_SYSTEMD_INVOCATION_ID"]
    assert json.loads(entry["MESSAGE"])["logger"] == "orderd"
    assert "daemon.started INFO" in shown.splitlines()


def test_it_is_ready_when_it_consumes_and_tells_what_it_does(orderd: Machine) -> None:
    after = f"--after-cursor={orderd.cursor()}"

    orderd.run("systemctl", "restart", "orderd")

    shown = orderd.unit("orderd", "Type", "ActiveState", "StatusText", "WatchdogUSec")

    assert shown["Type"] == "notify-reload"
    assert shown["ActiveState"] == "active"
    assert shown["StatusText"].startswith("running")
    assert shown["WatchdogUSec"] == "1min 30s"
    said = [entry["MESSAGE"] for entry in orderd.guest.journal("--unit=orderd", after)]
    (consuming,) = [place for place, text in enumerate(said) if "consumer.started" in text]
    (started,) = [place for place, text in enumerate(said) if text.startswith("Started ")]
    assert consuming < started


def test_a_reload_takes_over_new_settings_and_a_bad_file_changes_nothing(orderd: Machine) -> None:
    pid, after = orderd.pid(), f"--after-cursor={orderd.cursor()}"
    reload = ("systemctl", "reload", "orderd")

    orderd.write("/etc/orderd/orderd.toml", "batch_max = 77\n")
    orderd.run(*reload)
    orderd.write("/etc/orderd/conf.d/size.toml", "batch_max = 0\n")
    failed = orderd.guest.result(*reload)
    orderd.await_status("reload rejected: batch_max = 0 (file /etc/orderd/conf.d/size.toml)")
    orderd.run("rm", "/etc/orderd/conf.d/size.toml")
    orderd.run(*reload)

    assert failed.returncode != 0
    wait_until(
        lambda: "rejected" not in orderd.unit("orderd", "StatusText")["StatusText"],
        timeout_s=20,
        what="a status line without it",
    )
    lines = {line["event"]: line for line in orderd.log(after)}
    changes = [line["message"] for line in orderd.log(after, "--grep=config.reloaded")]
    assert changes == ["batch_max: 200 → 77", "no setting has changed"]
    assert "batch_max" in lines["config.rejected"]["message"]
    assert orderd.pid() == pid
    assert orderd.unit("orderd", "ActiveState")["ActiveState"] == "active"


@pytest.mark.parametrize(
    "page", ["orderd(8)", "orderctl(1)", "orderd.toml(5)", "orderd.systemd(7)"]
)
def test_the_manual_has_the_page(machine: Machine, page: str) -> None:
    name, _, section = page.rstrip(")").partition("(")

    text = machine.run("man", section, name)

    assert page.upper() in text.upper()


def test_the_shell_completes_orderctl(machine: Machine) -> None:
    script = "source /usr/share/bash-completion/completions/orderctl && complete -p orderctl"

    assert machine.run("bash", "-c", script).strip().endswith("orderctl")


def test_it_runs_on_what_debian_ships(machine: Machine) -> None:
    names = "pika, psycopg2, pydantic, pythonjsonlogger, rich, sdnotify"
    script = f"import {names}; print(*[module.__file__ for module in ({names})])"

    paths = machine.run("python3", "-c", script).split()

    assert all(path.startswith("/usr/lib/python3/dist-packages/") for path in paths)
    assert machine.run("python3", "--version").startswith("Python 3.13")
    assert machine.run("dpkg-query", "-W", "-f=${Version}", "python3-pika").startswith("1.3.2")
