"""Several daemons on the same queues, with products and ids that all of them meet."""

import pytest

from tests.harness.postgresql import PrivatePostgres
from tests.soak.arena import Arena, times

pytestmark = pytest.mark.soak

REQUESTS = 3_000
RATE = 400


@pytest.mark.parametrize("count", [2, 4])
def test_daemons_side_by_side_do_everything_once_and_never_deadlock(
    arena: Arena, private_postgres: PrivatePostgres, count: int
) -> None:
    logged_bytes = private_postgres.log_path.stat().st_size
    arena.begin(f"{count} daemons, hot products, same ids", daemons=count, rate=RATE)

    arena.wait_for_work(times(REQUESTS))
    assert all(one.events("batch.committed") for one in arena.daemons)

    arena.finish()
    with private_postgres.log_path.open("rb") as log:
        log.seek(logged_bytes)
        assert b"deadlock detected" not in log.read()
