"""Fixtures of the soak tests, and the table of figures at the end."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import StartDaemon
from tests.harness.daemon import DaemonProcess
from tests.soak.arena import Arena
from tests.soak.figures import Figures, table

FIGURES = pytest.StashKey[list[Figures]]()
SEED_VARIABLE = "ORDERD_SOAK_SEED"


@pytest.fixture
def seed() -> int:
    """The seed of all chance in a test; ORDERD_SOAK_SEED repeats one."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(10**9))
    print(f"{SEED_VARIABLE}={seed}")  # noqa: T201 - pytest shows it with a failure
    return seed


@pytest.fixture
def chance(seed: int) -> random.Random:
    """The chance of a test's own doings."""
    return random.Random(seed)


@pytest.fixture
def open_arena(
    request: pytest.FixtureRequest, daemon: StartDaemon, vhost_url: str, seed: int
) -> Iterator[Callable[[str], Arena]]:
    """Make an arena on a database that is given."""
    opened: list[Arena] = []

    def open_one(database_url: str) -> Arena:
        def start(**settings: Any) -> DaemonProcess:
            return daemon(**{"database_url": database_url} | settings)

        one = Arena(start, vhost_url, database_url, seed)
        opened.append(one)
        return one

    yield open_one
    figures = request.config.stash.setdefault(FIGURES, [])
    figures += [one.figures for one in opened if one.figures.fault]
    for one in opened:
        one.abandon()


@pytest.fixture
def arena(open_arena: Callable[[str], Arena], database_url: str) -> Arena:
    """The stage of a fault, on a database of its own."""
    return open_arena(database_url)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what each fault has cost."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("faults")
        for line in table(figures):
            terminalreporter.write_line(line)
