"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop


@pytest.fixture
def shop(vhost_url: str, database_url: str) -> Iterator[Shop]:
    """The virtual host and the database of a test, from outside; every event is kept."""
    one = Shop(vhost_url, database_url)
    one.listen()
    yield one
    one.close()
