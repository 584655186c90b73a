"""A shop that is open, and others who work on the same database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

from tests.integration.batch.requests import stocked_shop
from tests.integration.batch.shop import Connection, Shop


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    """A shop with two users, three products and two orders."""
    with Shop(database_url) as shop:
        shop.process(stocked_shop())
        yield shop


@pytest.fixture
def rival(database_url: str, shop: Shop) -> Iterator[Shop]:
    """Another daemon's processor on the same database."""
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
