"""One daemon after the other is stopped and replaced, under load."""

import random
import time

import pytest

from tests.soak.arena import Arena, times

pytestmark = pytest.mark.soak

DEPLOYS = 30
DRAIN_WITHIN_S = 10.0


def test_deploys_cost_nothing_and_end_in_time(arena: Arena, chance: random.Random) -> None:
    arena.begin("30 deploys under load", daemons=2)

    for _ in range(times(DEPLOYS)):
        arena.wait_for_work(chance.randint(10, 60))
        oldest = next(one for one in arena.daemons if one.is_running)
        started_s = time.monotonic()
        oldest.terminate()
        assert oldest.exit_code() == 0
        assert time.monotonic() - started_s < DRAIN_WITHIN_S
        arena.hire()

    arena.finish()
