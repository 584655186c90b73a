"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import pytest

from tests.acceptance.shop import Shop


@pytest.fixture
def shop(vhost_url: str, database_url: str) -> Iterator[Shop]:
    """This test's virtual host and database, from outside; events are kept from the beginning."""
    one = Shop(vhost_url, database_url)
    one.listen()
    yield one
    one.close()
