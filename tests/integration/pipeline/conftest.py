"""A shop that is open, and others who work on the same database."""

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from tests.integration.pipeline.requests import stocked_shop
from tests.integration.pipeline.shop import Connection, Shop

PASSWORD = "s3cret"
FIGURES = pytest.StashKey[str]()


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    """A shop with two users, three products and two orders."""
    with Shop(database_url) as shop:
        shop.process(stocked_shop())
        yield shop


@pytest.fixture
def rival(database_url: str, shop: Shop) -> Iterator[Shop]:
    """Another daemon's committer on the same database."""
    assert shop.database.is_connected
    with Shop(database_url) as rival:
        yield rival


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """Somebody else's transaction: psycopg2 begins it with the first statement."""
    with closing(psycopg2.connect(database_url)) as session:
        yield session


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for what blocks until somebody else goes on."""
    with ThreadPoolExecutor() as threads:
        yield threads


@pytest.fixture
def limited_url(shop: Shop, database_url: str) -> Iterator[str]:
    """The URL for a role that has the documented rights and no others."""
    role = f"orderd_test_{secrets.token_hex(4)}"
    page = (Path(__file__).parents[3] / "docs/reference/database.md").read_text(encoding="utf-8")
    grants = re.findall(r"^GRANT .* TO orderd;$", page, re.MULTILINE)
    assert len(grants) >= 5
    shop.query(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    for grant in grants:
        shop.query(grant.replace("TO orderd", f"TO {role}"))
    yield make_dsn(database_url, user=role, password=PASSWORD)
    shop.query(f"DROP OWNED BY {role}")
    shop.query(f"DROP ROLE {role}")


def pytest_terminal_summary(
    terminalreporter: "pytest.TerminalReporter", config: pytest.Config
) -> None:
    """Print what was tried, where everything was right."""
    if FIGURES in config.stash:
        terminalreporter.write_line(config.stash[FIGURES])
