"""Several daemons on the same queues, with products and ids that all of them meet."""

import random

import pytest

from tests.soak.chaos_run import ChaosRun, times
from tools.postgresql import PrivatePostgres

pytestmark = pytest.mark.soak

REQUESTS = 3_000
RATE = 400
HANDOVERS = 12


@pytest.mark.parametrize("count", [2, 4])
def test_daemons_side_by_side_do_everything_once_and_never_deadlock(
    chaos: ChaosRun, private_postgres: PrivatePostgres, count: int
) -> None:
    logged_bytes = private_postgres.log_path.stat().st_size
    chaos.begin(f"{count} daemons, hot products, same ids", daemons=count, rate=RATE)

    chaos.wait_for_work(times(REQUESTS))
    assert all(one.events("batch.committed") for one in chaos.daemons)

    chaos.finish()
    with private_postgres.log_path.open("rb") as log:
        log.seek(logged_bytes)
        assert b"deadlock detected" not in log.read()


def test_daemons_that_take_turns_hand_over_at_kills_and_stops(
    chaos: ChaosRun, chance: random.Random
) -> None:
    chaos.begin("12 handovers, exclusive", daemons=1, consume="exclusive")
    chaos.hire(ready=False).wait_for_event("consumer.standby")

    for number in range(times(HANDOVERS)):
        chaos.wait_for_work(chance.randint(10, 60))
        active, next_one = (one for one in chaos.daemons if one.is_running)
        mark = next_one.mark()
        if number % 2:
            active.kill()
            chaos.figures.kills += 1
        else:
            assert active.stop() == 0
        next_one.wait_for_event("consumer.took_over", after=mark)
        chaos.hire(ready=False).wait_for_event("consumer.standby")

    chaos.finish()
