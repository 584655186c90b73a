"""A daemon's metrics: each of them, in the form that Prometheus reads."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orderd import __version__
from orderd.daemon.exposition import Exposition
from orderd.daemon.lifecycle import Lifecycle
from orderd.pipeline.measures import Measures
from orderd.pipeline.shop_labels import shop_labels
from orderd.protocol.metrics import METRICS
from tests.unit.pipeline.results import APPLIED, result

IN_HAND: Final = 7
# As others know them: what is here must not change.
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "orderd_messages_total": ("queue", "action", "outcome", "code"),
    "orderd_batches_total": (),
    "orderd_batch_messages": (),
    "orderd_batch_phase_seconds": ("phase",),
    "orderd_critical_time_seconds": ("queue",),
    "orderd_events_published_total": ("type",),
    "orderd_events_refused_total": ("type",),
    "orderd_replies_unsent_total": ("reason",),
    "orderd_retries_total": ("queue", "code"),
    "orderd_dead_letters_total": ("queue", "code"),
    "orderd_state": ("state",),
    "orderd_paused_seconds_total": ("dependency",),
    "orderd_reconnects_total": ("dependency",),
    "orderd_queue_paused": ("queue",),
    "orderd_in_hand_messages": (),
    "orderd_last_turn_timestamp_seconds": (),
    "orderd_build_info": ("version", "python", "pika", "psycopg2"),
}


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle()


@pytest.fixture
def measures() -> Measures:
    return Measures(shop_labels())


@pytest.fixture
def exposition(measures: Measures, lifecycle: Lifecycle) -> Exposition:
    return Exposition("orderd-1", measures, lifecycle, lambda: IN_HAND)


def samples(exposition: Exposition) -> dict[tuple[Any, ...], float]:
    """Return each sample by its name and its labels' values, by label, without the daemon's."""
    found = {}
    for family in text_string_to_metric_families(exposition.text().decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("daemon") == "orderd-1"
            found[sample.name, *(labels[name] for name in sorted(labels))] = sample.value
    return found


def test_every_metric_has_the_name_and_the_labels_that_others_know() -> None:
    written = {metric.name: metric.labels for metric in METRICS if not metric.is_live}

    assert written == LABELS


def test_every_metric_is_written_from_the_start(exposition: Exposition) -> None:
    names = {name for name, *_ in samples(exposition)}

    for metric in LABELS:
        assert metric in names or f"{metric}_bucket" in names


def test_what_was_counted_is_told(exposition: Exposition, measures: Measures) -> None:
    measures.count([result(APPLIED), result(APPLIED)])
    measures.batch(2)
    measures.events.published["user.created"] += 2

    found = samples(exposition)

    assert found["orderd_messages_total", "create", "", "applied", "user"] == 2
    assert found["orderd_batches_total",] == 1
    assert found["orderd_batch_messages_bucket", "1.0"] == 0
    assert found["orderd_batch_messages_bucket", "2.0"] == 1
    assert found["orderd_batch_messages_bucket", "+Inf"] == 1
    assert found["orderd_batch_messages_sum",] == 2
    assert found["orderd_critical_time_seconds_count", "user"] == 2
    assert found["orderd_events_published_total", "user.created"] == 2
    assert found["orderd_in_hand_messages",] == IN_HAND


def test_the_state_is_one_of_all(exposition: Exposition, lifecycle: Lifecycle) -> None:
    def states() -> set[str]:
        found = samples(exposition).items()
        return {str(key[1]) for key, value in found if key[0] == "orderd_state" and value}

    assert states() == {"starting"}
    lifecycle.run()
    assert states() == {"running"}
    lifecycle.pause("broker")
    assert states() == {"paused"}


def test_the_versions_are_labels(exposition: Exposition) -> None:
    (versions,) = [key for key in samples(exposition) if key[0] == "orderd_build_info"]

    assert __version__ in versions
