"""Ten thousand dead letters: in constant memory, and interrupted at any moment."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from orderd.protocol.exit_codes import ExitCode
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import (
    CAUSES,
    Broker,
    Letter,
    broker_at,
    bury_many,
    letter_of,
    value,
    wait_for_value,
)
from tools.daemon import clean_environment
from tools.waiting import wait_until

LETTERS = 10_000
PADDING_BYTES = 4_000
# All of these bodies together are 40 MB.
MEMORY_MORE_KIB_MAX = 10 << 10
# Runs orderctl, then prints the most memory in KiB that it has had resident.
MEASURED = """
import sys
from orderd.ctl.__main__ import main
code = main()
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(peak, file=sys.stderr)
sys.exit(code)
"""
PRODUCTS = "SELECT count(*) FROM products"
NAMES = "SELECT count(DISTINCT name) FROM products"
# No letter becomes older than an hour before this.
YOUNG = "2999-01-01T00:00:00Z"
PROGRAM = ("-m", "orderd.ctl")
# When to interrupt: while it starts, while it looks, while it moves.
MOMENTS_S = (0.3, 6.0)


class Runs:
    """Runs of `orderctl dlq` on the test's servers; counts those that were killed."""

    def __init__(self, database_url: str, vhost_url: str) -> None:
        servers = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
        self._env = clean_environment() | servers | {"ORDERD_RETRY_DELAYS": "100ms"}
        self.vhost_url = vhost_url
        self.kills = 0

    def peak_kib(self, *arguments: str) -> int:
        """Run it to its end, and return the most memory that it has had resident."""
        with self._start(("-c", MEASURED), arguments) as program:
            _, told = program.communicate(timeout=300)
        assert program.returncode == 0, told
        return int(told.split()[-1])

    def interrupt(self, number: int, after_s: float, *arguments: str) -> int:
        """Send signal *number* so long after the start; return how the program ended."""
        with self._start(PROGRAM, arguments) as program:
            try:
                program.communicate(timeout=after_s)
            except subprocess.TimeoutExpired:
                program.send_signal(number)
                program.communicate(timeout=60)
        code = program.returncode
        self.kills += code == -signal.SIGKILL
        assert code in {ExitCode.DONE, -signal.SIGKILL, ExitCode.INTERRUPTED}
        return code

    def _start(self, program: Sequence[str], arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, *program, "dlq", *arguments],
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def runs(database_url: str, vhost_url: str) -> Runs:
    return Runs(database_url, vhost_url)


def lamps(count: int, padding: str = "") -> Iterator[Letter]:
    for number in range(count):
        content = {"name": f"lamp {number}", "price": "5.00", "stock_quantity": 1}
        queue, body, headers = letter_of(CAUSES[0], number, content)
        yield queue, body + padding.encode(), headers


def ids_in(broker: Broker, *queues: str) -> Counter[str]:
    return Counter(json.loads(body)["id"] for each in queues for body in broker.take_bodies(each))


def wait_until_all_are_back(url: str, *queues: str) -> None:
    """Return when the letters of a program that was killed are ready again."""
    with broker_at(url) as broker:
        wait_until(
            lambda: sum(map(broker.ready, queues)) >= LETTERS,
            timeout_s=60,
            what=f"{LETTERS} messages in {queues}",
        )


ALL = {f"letter-{number}" for number in range(LETTERS)}


def test_ten_thousand_letters_need_no_more_memory_than_a_few(
    runs: Runs, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    bury_many(vhost_url, lamps(100, " " * PADDING_BYTES))
    few_kib = runs.peak_kib("groups")
    broker.channel.queue_purge("product.dlq")
    bury_many(vhost_url, lamps(LETTERS, " " * PADDING_BYTES))

    many_kib = runs.peak_kib("groups")

    assert many_kib - few_kib < MEMORY_MORE_KIB_MAX


@pytest.mark.soak
def test_each_verb_needs_no_more_memory_for_ten_thousand_letters(
    runs: Runs, broker: Broker, daemon: StartDaemon, vhost_url: str, tmp_path: Path
) -> None:
    daemon(retry_delays="100ms")
    broker.wait_for("product.dlq", 0)
    file = str(tmp_path / "letters")
    verbs = (
        ("list", "--json", "--limit", "20000"),
        ("export", "--output", file),
        ("import", file),
        ("replay", "--dry-run"),
        ("replay", "--stop-above", "0"),
        ("purge", "--older-than", "1s", "--yes"),
    )
    peaks_kib: list[dict[tuple[str, ...], int]] = []
    for count in (100, LETTERS):
        peaks_kib.append({})
        for verb in verbs:
            if broker.ready("product.dlq") < count:
                bury_many(vhost_url, lamps(count, " " * 1000))
            peaks_kib[-1][verb] = runs.peak_kib(*verb)

    few, many = peaks_kib
    more = {verb: many[verb] - few[verb] for verb in verbs}
    assert {verb: kib for verb, kib in more.items() if kib > MEMORY_MORE_KIB_MAX} == {}


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
