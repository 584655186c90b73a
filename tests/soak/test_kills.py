"""SIGKILL at every point of the way, under load; and messages that kill each time."""

import json
import random
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from tests.acceptance.shop import order
from tests.soak.audit import Pardon
from tests.soak.chaos_run import ChaosRun, times
from tests.soak.workload import Kind, Request
from tools.daemon import clean_environment
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

# Points on the way of the load's messages, with how many passes a killed daemon may live through.
ON_THE_WAY = {
    "received": 12,
    "decoded": 12,
    "tx_begun": 12,
    "loaded": 12,
    "decided": 12,
    "persisted": 12,
    "before_commit": 12,
    "after_commit": 12,
    "events_published": 12,
    "replies_published": 12,
    "dlq_published": 4,
    "events_confirmed": 12,
    "before_ack": 12,
    "after_ack": 12,
    "outbox_claimed": 3,
    "outbox_marked": 3,
}
ROUNDS = 2
DEATH_TIMEOUT_S = 30
QUARANTINE_TIMEOUT_S = 90
POISON = {"poison-1": "decoded", "poison-2": "decided", "poison-3": "before_commit"}


def test_kills_at_each_crash_point_cost_nothing(chaos: ChaosRun, chance: random.Random) -> None:
    chaos.begin("kill -9 at each crash point")
    points = [point for point in ON_THE_WAY for _ in range(times(ROUNDS))]
    chance.shuffle(points)

    for point in points:
        passes = chance.randint(1, ON_THE_WAY[point])
        one = chaos.hire(ready=False, failpoint=f"{point}:{passes}")
        assert one.exit_code(DEATH_TIMEOUT_S) == -signal.SIGKILL, point
        chaos.figures.kills += 1

    chaos.finish()


def test_kills_at_the_beginning_of_a_drain_cost_nothing(chaos: ChaosRun) -> None:
    chaos.begin("kill -9 in a drain")

    for _ in range(times(5)):
        one = chaos.hire(failpoint="drain_started")
        chaos.wait_for_work(30)
        one.terminate()
        assert one.exit_code(DEATH_TIMEOUT_S) == -signal.SIGKILL
        chaos.figures.kills += 1

    chaos.finish()


def test_poison_is_quarantined_and_its_neighbours_are_done(chaos: ChaosRun) -> None:
    failpoints = ",".join(f"{point}@{token}" for token, point in POISON.items())
    chaos.begin("poison", daemons=2, failpoint=failpoints)
    for token in POISON:
        chaos.send(Request(token, Kind.RECORDED, order({1: 1}, id=token), "order.created"))

    with closing(chaos.shop()) as shop:

        def quarantined() -> bool:
            chaos.replace_the_dead()
            put_aside = {
                line["message"] + str(line["timestamp"])
                for one in chaos.daemons
                for line in one.events("message.dead_lettered", code="poison")
            }
            return len(put_aside) >= len(POISON) and shop.ready("order.dlq") >= len(POISON)

        wait_until(quarantined, timeout_s=QUARANTINE_TIMEOUT_S, what="all poison put aside")

    found = chaos.finish(Pardon(poison=POISON.keys()))
    codes = {
        json.loads(letter.body)["id"]: letter.headers["orderd-code"]
        for letter in found.letters
        if b'"poison-' in letter.body
    }
    assert codes == dict.fromkeys(POISON, "poison")
    # Each message takes three daemons with it; several daemons may die of one at a time.
    assert chaos.figures.kills <= 4 * len(POISON)


def test_kills_in_the_midst_of_a_replay_cost_nothing(chaos: ChaosRun) -> None:
    chaos.begin("kill -9 in orderctl dlq replay")
    with closing(chaos.shop()) as shop:
        for number in range(times(5)):
            wait_until(
                lambda: shop.ready("product.dlq") >= 3, timeout_s=60, what="some dead letters"
            )
            code = _orderctl(
                chaos, "dlq", "replay", "product", ORDERD_FAILPOINT="dlq_replay_published"
            )
            assert code == -signal.SIGKILL, f"replay {number}"
            chaos.figures.kills += 1
        assert _orderctl(chaos, "dlq", "replay", "product") == 0

    chaos.finish()


def _orderctl(chaos: ChaosRun, *args: str, **env: str) -> int:
    urls = {"ORDERD_DATABASE_URL": chaos.database_url, "ORDERD_RABBITMQ_URL": chaos.rabbitmq_url}
    return subprocess.run(
        [sys.executable, "-m", "orderd.ctl", *args],
        env=clean_environment() | urls | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=False,
    ).returncode
