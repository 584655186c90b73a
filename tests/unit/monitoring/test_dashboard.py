"""The dashboard: it can be imported, and its panels name what orderd exposes."""

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from orderd.protocol.metrics import METRICS
from tests.support.dashboard import DASHBOARD, PANELS, expressions
from tests.unit.monitoring.known import SERIES, faults, labels_of
from tests.unit.monitoring.promql import names

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
# What Grafana puts in their place.
VARIABLES: Final = {
    "$__rate_interval": "5m",
    "$daemon": "shop1",
    "$queue": "user|product|order",
}

# Of those that Grafana has, the ones that may be of use here: what it does not know is shown bare.
UNITS: Final = {"short", "none", "s", "ms", "ops", "cpm", "percentunit", "percent", "bytes"}
TYPES: Final = {"row", "stat", "timeseries", "table"}
# Of Grafana 10; later ones migrate it at the import.
SCHEMA_VERSIONS: Final = range(36, 40)
COLUMNS: Final = 24

each_panel = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])


@each_panel
def test_a_panel_asks_for_metrics_and_labels_that_orderd_exposes(panel: dict[str, Any]) -> None:
    assert [
        fault for expression in expressions(panel, VARIABLES) for fault in faults(expression)
    ] == []


@each_panel
def test_a_panel_names_its_lines_by_labels_that_they_have(panel: dict[str, Any]) -> None:
    for target, expression in zip(panel["targets"], expressions(panel, VARIABLES), strict=True):
        found = names(expression)
        known = set[str]().union(*(labels_of(each.name) for each in found.selectors))
        grouped = found.grouping or known

        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped


@each_panel
def test_a_panel_takes_its_figures_from_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == SOURCE
    assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(set(numbers)) == len(numbers)
    assert [
        (one["title"], other["title"])
        for one, other in combinations(DASHBOARD["panels"], 2)
        if overlap(one["gridPos"], other["gridPos"])
    ] == []


@each_panel
def test_a_panel_has_a_type_and_units_that_grafana_knows(panel: dict[str, Any]) -> None:
    config = panel["fieldConfig"]
    overridden = [
        each["value"]
        for override in config["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]

    assert panel["type"] in TYPES
    assert {config["defaults"]["unit"], *overridden} <= UNITS


@each_panel
def test_a_panel_has_a_letter_for_each_query_and_a_text_on_what_it_shows(
    panel: dict[str, Any],
) -> None:
    letters = [target["refId"] for target in panel["targets"]]

    assert len(set(letters)) == len(letters) > 0
    assert panel["description"]


def test_panels_fit_into_the_columns_below_the_row_that_they_belong_to() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]

    assert DASHBOARD["panels"][0]["type"] == "row"
    assert [place for place in places if place["x"] + place["w"] > COLUMNS] == []
    assert [place["y"] for place in places] == sorted(place["y"] for place in places)


def test_the_dashboard_is_of_a_version_that_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] in SCHEMA_VERSIONS
    # Numbers are given by the Grafana that imports it; the uid keeps links to it alive.
    assert DASHBOARD.get("id") is None
    assert DASHBOARD["uid"] == "orderd"


def test_variables_ask_for_labels_that_orderd_exposes() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

    assert {f"${name}" for name in variables} == {"$datasource", "$daemon", "$queue"}
    for name in ("daemon", "queue"):
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables[name]["query"]["query"])
        assert asked is not None
        assert asked[1] in SERIES
        assert asked[2] in labels_of(asked[1])


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        SERIES[each.name].name
        for panel in PANELS
        for expression in expressions(panel, VARIABLES)
        for each in names(expression).selectors
        if each.name in SERIES
    }

    assert shown == {metric.name for metric in METRICS}


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    every = [expression for panel in PANELS for expression in expressions(panel, VARIABLES)]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(every)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    done = subprocess.run(
        ["promtool", "check", "rules", f"{file}"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )
