"""The alert rules: they name what orderd exposes, are tested, and lead to their runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from orderd.ctl.main import build_parser
from tests.unit.monitoring.known import faults, labels_of
from tests.unit.monitoring.promql import names
from tests.unit.test_documentation import TREE, anchors, resolves

MONITORING: Final = TREE / "monitoring"
RUNBOOK: Final = TREE / "docs/how-to/runbook.md"
RUNBOOK_URL: Final = "https://orderd.invalid/"
MONITOR: Final = TREE / "docs/how-to/monitor.md"
SEVERITIES: Final = {"critical", "warning"}
BULLETS: Final = ["Means", "Users see", "Look", "Do", "Ends"]
PLACEHOLDERS: Final = {"QUEUE": "order", "ID": "web-7"}
COMMANDS: Final = sorted({*re.findall(r"`(orderctl [^`|>]+)", RUNBOOK.read_text())})

ALERTS: Final = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
TESTS: Final = yaml.safe_load((MONITORING / "alerts.test.yml").read_text())["tests"]

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])


@each_alert
def test_an_alert_asks_for_metrics_and_labels_that_orderd_exposes(alert: dict[str, Any]) -> None:
    assert faults(alert["expr"]) == []


@each_alert
def test_an_alert_says_only_labels_that_its_metrics_have(alert: dict[str, Any]) -> None:
    found = names(alert["expr"])
    labels = set[str]().union(*(labels_of(each.name) for each in found.selectors))

    assert set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])) <= labels


@each_alert
def test_an_alert_leads_to_its_section_of_the_runbook(alert: dict[str, Any]) -> None:
    url = alert["annotations"]["runbook_url"]
    path, _, anchor = url.removeprefix(RUNBOOK_URL).partition("#")

    assert url.startswith(RUNBOOK_URL)
    assert anchor == alert["alert"].lower()
    assert resolves(TREE / "README.md", f"{path}#{anchor}")


@each_alert
def test_an_alert_has_a_severity(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in SEVERITIES


@each_alert
def test_an_alert_is_tested_to_fire_and_not_to_fire(alert: dict[str, Any]) -> None:
    fires = {
        bool(check["exp_alerts"])
        for test in TESTS
        for check in test["alert_rule_test"]
        if check["alertname"] == alert["alert"]
    }

    assert fires == {True, False}


@each_alert
def test_a_section_says_what_users_see_where_to_look_and_what_to_do(alert: dict[str, Any]) -> None:
    section = RUNBOOK.read_text().split(f"### {alert['alert']}\n")[1].split("\n#")[0]

    assert re.findall(r"^- \*\*(.+)\*\*: ", section, re.MULTILINE) == BULLETS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_runbook_exists(command: str) -> None:
    words = [PLACEHOLDERS.get(word, word) for word in command.split()[1:]]

    assert build_parser().parse_args(words).run is not None


def test_the_list_of_alerts_has_each_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(\S+\) \| (\w+) \|", MONITOR.read_text(), re.MULTILINE)

    assert rows == [(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS]


def test_every_section_of_the_runbook_is_about_an_alert() -> None:
    alerts = {alert["alert"].lower() for alert in ALERTS}

    assert {each for each in anchors(RUNBOOK) if each.startswith("orderd")} == alerts


def test_tests_of_rules_feed_series_that_orderd_exposes() -> None:
    series = [each["series"] for test in TESTS for each in test["input_series"]]

    assert {each: found for each in series if (found := faults(each))} == {}


def test_prometheus_accepts_the_rules_and_their_tests(promtool: str) -> None:
    check([promtool, "check", "rules", "alerts.yml"])
    check([promtool, "test", "rules", "alerts.test.yml"])


def test_prometheus_accepts_the_example_of_a_configuration(promtool: str) -> None:
    check([promtool, "check", "config", "--syntax-only", "prometheus.yml"])


@pytest.fixture
def promtool() -> str:
    """Prometheus' tool, which `tools/install --tests` installs."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    return path


def check(command: list[str], *, folder: Path = MONITORING) -> None:
    """Run *command* in *folder*; it has to succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
