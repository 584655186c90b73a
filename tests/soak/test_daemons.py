"""Several daemons on the same queues, with products and ids that all of them meet."""

import random

import pytest

from tests.soak.arena import Arena, times
from tools.postgresql import PrivatePostgres

pytestmark = pytest.mark.soak

REQUESTS = 3_000
RATE = 400
HANDOVERS = 12


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


def test_daemons_that_take_turns_hand_over_at_kills_and_stops(
    arena: Arena, chance: random.Random
) -> None:
    arena.begin("12 handovers, exclusive", daemons=1, consume="exclusive")
    arena.hire(ready=False).wait_for_event("consumer.standby")

    for number in range(times(HANDOVERS)):
        arena.wait_for_work(chance.randint(10, 60))
        active, next_one = (one for one in arena.daemons if one.is_running)
        mark = next_one.mark()
        if number % 2:
            active.kill()
            arena.figures.kills += 1
        else:
            assert active.stop() == 0
        next_one.wait_for_event("consumer.took_over", after=mark)
        arena.hire(ready=False).wait_for_event("consumer.standby")

    arena.finish()
