"""Ten thousand dead letters: programs that go through them are interrupted at any moment."""

import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from orderd.protocol.exit_codes import ExitCode
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.dlq_runs import Runs, ids_in, lamps
from tests.integration.ctl.letters import Broker, broker_at, bury_many, value, wait_for_value
from tools.waiting import wait_until

LETTERS = 10_000
PRODUCTS = "SELECT count(*) FROM products"
NAMES = "SELECT count(DISTINCT name) FROM products"
# No letter becomes older than an hour before this.
YOUNG = "2999-01-01T00:00:00Z"
# When to interrupt: while it starts, while it looks, while it moves.
MOMENTS_S = (0.3, 6.0)


def wait_until_all_are_back(url: str, *queues: str) -> None:
    """Return when the letters of a program that was killed are ready again."""
    with broker_at(url) as broker:
        wait_until(
            lambda: sum(map(broker.ready, queues)) >= LETTERS,
            timeout_s=60,
            what=f"{LETTERS} messages in {queues}",
        )


ALL = {f"letter-{number}" for number in range(LETTERS)}


def test_interruptions_of_a_replay_lose_and_double_nothing(
    runs: Runs, broker: Broker, orderctl: Orderctl, vhost_url: str, seed: int
) -> None:
    chance = random.Random(seed)
    broker.declare()
    bury_many(vhost_url, lamps(LETTERS))
    for number in (signal.SIGINT, signal.SIGKILL) * 2:
        runs.interrupt(number, chance.uniform(*MOMENTS_S), "replay")
        wait_until_all_are_back(vhost_url, "product", "product.dlq")

    done = orderctl("dlq", "replay")

    assert done.code == 0
    assert broker.ready("product.dlq") == 0
    found = ids_in(broker, "product")
    assert found.keys() == ALL
    # What was published as the kill came is there twice; the ledger applies it once.
    assert found.total() - LETTERS <= runs.kills


@pytest.mark.soak
@pytest.mark.parametrize("how", ["--limit=20000", "--stop-above=0", "--ramp"])
def test_letters_take_effect_once_however_often_a_replay_is_interrupted(
    runs: Runs, daemon: StartDaemon, database_url: str, seed: int, how: str
) -> None:
    chance = random.Random(seed)
    daemon(retry_delays="100ms")
    vhost_url = runs.vhost_url
    bury_many(vhost_url, lamps(LETTERS))
    for _ in range(20):
        number = chance.choice((signal.SIGINT, signal.SIGKILL))
        if not runs.interrupt(number, chance.uniform(0.3, 12), "replay", how):
            break

    assert runs.interrupt(signal.SIGKILL, 500, "replay", how) == ExitCode.DONE

    wait_for_value(database_url, PRODUCTS, LETTERS)
    assert value(database_url, NAMES) == LETTERS
    with broker_at(vhost_url) as after:
        after.wait_for("product", 0)
        # A copy that a kill left behind is skipped: the ledger knows it.
        assert after.ready("product.dlq") <= runs.kills


@pytest.mark.soak
def test_letters_are_imported_once_however_often_it_is_interrupted(
    runs: Runs, broker: Broker, vhost_url: str, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    broker.declare()
    bury_many(vhost_url, lamps(LETTERS))
    file = tmp_path / "letters"
    while runs.interrupt(signal.SIGKILL, chance.uniform(0.3, 15), "export", "--output", str(file)):
        assert not file.exists()
        wait_until_all_are_back(vhost_url, "product.dlq")
    assert len(file.read_bytes().splitlines()) == LETTERS
    wait_until_all_are_back(vhost_url, "product.dlq")
    broker.channel.queue_purge("product.dlq")
    for _ in range(20):
        number = chance.choice((signal.SIGINT, signal.SIGKILL))
        if not runs.interrupt(number, chance.uniform(0.3, 12), "import", str(file)):
            break

    assert runs.interrupt(signal.SIGKILL, 500, "import", str(file)) == ExitCode.DONE

    broker.wait_for("product.dlq", LETTERS)
    assert ids_in(broker, "product.dlq") == Counter(ALL)


@pytest.mark.soak
def test_a_purge_that_is_interrupted_deletes_only_what_is_old(
    runs: Runs, broker: Broker, vhost_url: str, seed: int
) -> None:
    chance = random.Random(seed)
    broker.declare()
    old = lamps(LETTERS)
    young = ((queue, body, {**headers, "orderd-failed-at": YOUNG}) for queue, body, headers in old)
    bury_many(vhost_url, (one for pair in zip(young, lamps(LETTERS), strict=True) for one in pair))
    for _ in range(8):
        number = chance.choice((signal.SIGINT, signal.SIGKILL))
        runs.interrupt(number, chance.uniform(0.3, 12), "purge", "--older-than", "1h", "--yes")

    ended = runs.interrupt(signal.SIGKILL, 500, "purge", "--older-than", "1h", "--yes")

    assert ended == ExitCode.DONE
    broker.wait_for("product.dlq", LETTERS)
    assert ids_in(broker, "product.dlq") == Counter(ALL)
