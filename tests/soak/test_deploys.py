"""One daemon after the other is stopped and replaced, under load."""

import random
import time

import pytest

from tests.soak.chaos_run import ChaosRun, times

pytestmark = pytest.mark.soak

DEPLOYS = 30
DRAIN_WITHIN_S = 10.0


def test_deploys_cost_nothing_and_end_in_time(chaos: ChaosRun, chance: random.Random) -> None:
    chaos.begin("30 deploys under load", daemons=2)

    for _ in range(times(DEPLOYS)):
        chaos.wait_for_work(chance.randint(10, 60))
        oldest = next(one for one in chaos.daemons if one.is_running)
        started_s = time.monotonic()
        oldest.terminate()
        assert oldest.exit_code() == 0
        assert time.monotonic() - started_s < DRAIN_WITHIN_S
        chaos.hire()

    chaos.finish()
