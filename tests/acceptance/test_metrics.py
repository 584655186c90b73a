"""What a daemon writes of itself for Prometheus."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.shop import Shop, command, product
from tests.conftest import StartDaemon
from tools.waiting import wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.prom"


def value(file: Path, name: str, **labels: str) -> float:
    """Return the sum of the samples with this name and these labels."""
    families = text_string_to_metric_families(file.read_text())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_what_was_done_is_in_the_file(shop: Shop, daemon: StartDaemon, file: Path) -> None:
    orderd = daemon(metrics_file=file, instance_name="one")
    shop.send_all(
        [product(id="a"), product(id="b"), product(id="a"), command("product", "smuggle")]
    )
    wait_until(
        lambda: file.exists() and value(file, "orderd_messages_total") == 4,
        timeout_s=40,
        what="the four messages in the metrics file",
    )

    assert value(file, "orderd_state", state="running") == 1
    assert value(file, "orderd_last_turn_timestamp_seconds", daemon="one") > 0
    assert orderd.stop() == 0
    count = "orderd_messages_total"
    assert value(file, count, queue="product", action="create", outcome="applied") == 2
    assert value(file, count, queue="product", action="create", outcome="duplicate") == 1
    assert value(file, count, action="other", outcome="invalid", code="unknown_action") == 1
    assert value(file, "orderd_events_published_total", type="product.created") == 2
    assert value(file, "orderd_dead_letters_total", queue="product", code="unknown_action") == 1
    assert value(file, "orderd_critical_time_seconds_count", queue="product") == 4
    assert value(file, "orderd_batches_total") >= 1
    for phase in ("decode", "load", "decide", "commit", "publish", "confirm"):
        assert value(file, "orderd_batch_phase_seconds_count", phase=phase) >= 1
    assert value(file, "orderd_in_hand_messages") == 0
