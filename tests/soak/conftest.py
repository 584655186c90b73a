"""Fixtures of the soak tests, and the table of figures at the end."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import StartDaemon
from tests.soak.chaos_run import ChaosRun
from tests.soak.figures import Figures, table
from tests.soak.notify_run import NotifyFigures
from tools.daemon import DaemonProcess

FIGURES = pytest.StashKey[list[Figures]]()
NOTIFY_FIGURES = pytest.StashKey[list[NotifyFigures]]()

KeepFigures = Callable[[ChaosRun], None]
KeepNotifyFigures = Callable[[NotifyFigures], None]


@pytest.fixture
def chance(seed: int) -> random.Random:
    """The chance of a test's own doings."""
    return random.Random(seed)


@pytest.fixture
def keep_figures(pytestconfig: pytest.Config) -> KeepFigures:
    """End the load of a chaos run, and keep its figures for the table."""
    kept = pytestconfig.stash.setdefault(FIGURES, [])

    def keep(one: ChaosRun) -> None:
        one.abandon()
        if one.figures.fault:
            kept.append(one.figures)

    return keep


@pytest.fixture
def keep_notify_figures(pytestconfig: pytest.Config) -> KeepNotifyFigures:
    """Keep the figures of notifications for the end."""
    return pytestconfig.stash.setdefault(NOTIFY_FIGURES, []).append


@pytest.fixture
def open_chaos_run(
    keep_figures: KeepFigures, daemon: StartDaemon, vhost_url: str, seed: int
) -> Iterator[Callable[[str], ChaosRun]]:
    """Make a chaos run on a database that is given."""
    opened: list[ChaosRun] = []

    def open_one(database_url: str) -> ChaosRun:
        def start(**settings: Any) -> DaemonProcess:
            return daemon(**{"database_url": database_url} | settings)

        one = ChaosRun(start, vhost_url, database_url, seed)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        keep_figures(one)


@pytest.fixture
def chaos(open_chaos_run: Callable[[str], ChaosRun], database_url: str) -> ChaosRun:
    """The stage of a fault, on a database of its own."""
    return open_chaos_run(database_url)


def pytest_terminal_summary(
    terminalreporter: "pytest.TerminalReporter", config: pytest.Config
) -> None:
    """Print what each fault has cost."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("faults")
        for line in table(figures):
            terminalreporter.write_line(line)
    for one in config.stash.get(NOTIFY_FIGURES, []):
        terminalreporter.section("notifications")
        terminalreporter.write_line(str(one))
