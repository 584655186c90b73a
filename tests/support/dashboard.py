"""The dashboard for Grafana, and what its panels ask for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MONITORING: Final = Path(__file__).parents[2] / "monitoring"
DASHBOARD: Final = json.loads((MONITORING / "dashboard.json").read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions(panel: Mapping[str, Any], variables: Mapping[str, str]) -> Sequence[str]:
    """Return the queries of *panel*, with texts in the place of Grafana's variables (`$daemon`)."""
    return [_filled(target["expr"], variables) for target in panel["targets"]]


def _filled(expression: str, variables: Mapping[str, str]) -> str:
    for name, text in variables.items():
        expression = expression.replace(name, text)
    assert "$" not in expression
    return expression
