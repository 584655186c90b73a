"""`orderctl dlq` needs no more memory for many dead letters than for a few."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.dlq_runs import Runs, lamps
from tests.integration.ctl.letters import broker_at, bury_many

FEW = 100
MANY = 20_000
PADDING = " " * 4_000
# All of these bodies together are 80 MB.
MORE_KIB_MAX = 10 << 10
LAST = f"letter-{FEW - 1}"
# Each letter of the queue goes by, whatever is printed or moved; with how many are left then.
VERBS = {
    ("list", "--limit", f"{MANY}"): MANY,
    ("list", "--json", "--limit", f"{MANY}"): MANY,
    ("show", "--limit", f"{MANY}"): MANY,
    ("show", "--json", "--limit", f"{MANY}"): MANY,
    ("show", "--id", LAST): MANY,
    ("groups",): MANY,
    ("export",): MANY,
    ("replay", "--dry-run"): MANY,
    ("discard", "--dry-run"): MANY,
    ("edit", LAST): MANY - 1,
    ("replay",): 0,
    ("discard", "--yes"): 0,
    ("purge", "--older-than", "1s", "--yes"): 0,
}
WATCHED = (("replay", "--stop-above", "0"), ("replay", "--ramp"))


def bury(url: str, count: int) -> None:
    """Leave so many letters, and nothing else, in the queues of products."""
    with broker_at(url) as broker:
        broker.declare()
        for queue in ("product", "product.dlq"):
            broker.channel.queue_purge(queue)
    bury_many(url, lamps(count, PADDING))


def wait_for_left(url: str, count: int) -> None:
    with broker_at(url) as broker:
        broker.wait_for("product.dlq", count)


def assert_bounded(few_kib: int, many_kib: int, *verb: str) -> None:
    print(f"{' '.join(verb)}: {few_kib} KiB for {FEW} letters, then {many_kib} KiB")  # noqa: T201
    assert many_kib - few_kib < MORE_KIB_MAX


def test_groups_of_ten_thousand_letters(runs: Runs, vhost_url: str) -> None:
    bury(vhost_url, FEW)
    few_kib = runs.peak_kib("groups")
    bury(vhost_url, 10_000)

    many_kib = runs.peak_kib("groups")

    assert_bounded(few_kib, many_kib, "groups")


@pytest.mark.soak
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_each_verb_with_twenty_thousand_letters(
    runs: Runs, vhost_url: str, verb: Sequence[str]
) -> None:
    bury(vhost_url, FEW)
    few_kib = runs.peak_kib(*verb)
    bury(vhost_url, MANY)

    many_kib = runs.peak_kib(*verb)

    wait_for_left(vhost_url, VERBS[tuple(verb)])
    assert_bounded(few_kib, many_kib, *verb)


@pytest.mark.soak
@pytest.mark.parametrize("verb", WATCHED, ids=" ".join)
def test_watched_replays_of_twenty_thousand_letters(
    runs: Runs, daemon: StartDaemon, vhost_url: str, verb: Sequence[str]
) -> None:
    bury(vhost_url, FEW)
    daemon(retry_delays="100ms")
    few_kib = runs.peak_kib(*verb)
    bury(vhost_url, MANY)

    many_kib = runs.peak_kib(*verb)

    assert_bounded(few_kib, many_kib, *verb)


@pytest.mark.soak
def test_an_import_of_twenty_thousand_letters(runs: Runs, vhost_url: str, tmp_path: Path) -> None:
    peaks_kib = []
    for count in (FEW, MANY):
        bury(vhost_url, count)
        file = str(tmp_path / f"{count}")
        runs.peak_kib("export", "--output", file)
        bury(vhost_url, 0)
        peaks_kib.append(runs.peak_kib("import", file))
        wait_for_left(vhost_url, count)

    few_kib, many_kib = peaks_kib
    assert_bounded(few_kib, many_kib, "import")
