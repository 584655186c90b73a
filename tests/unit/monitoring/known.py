"""The series that orderd exposes, and what is wrong with an expression on others."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Final

from orderd.config.settings import Settings
from orderd.daemon.exposition import Exposition
from orderd.daemon.lifecycle import Lifecycle
from orderd.notify.labels import notice_labels
from orderd.pipeline.measures import Measures
from orderd.pipeline.shop_labels import shop_labels
from orderd.protocol.metrics import BUILD_INFO, DAEMON_LABEL, METRICS, Kind, Metric
from orderd.protocol.names import QUEUES as CONSUMED
from orderd.protocol.names import dead_letter_queue, retry_queue
from tests.unit.monitoring.promql import Matcher, Selector, names

# Of Prometheus itself and of node_exporter, with their labels.
FOREIGN: Final[Mapping[str, set[str]]] = {
    "up": set(),
    "ALERTS": {"alertname", "alertstate"},
    "node_memory_MemAvailable_bytes": set(),
    "node_cpu_seconds_total": {"cpu", "mode"},
}
# Given to each series by Prometheus, or by the setting instance_name.
EVERYWHERE: Final = {"job", "instance", DAEMON_LABEL}
BUCKET_LABEL: Final = "le"
DELAYS_S: Final = Settings.model_fields["retry_delays"].default
QUEUES: Final = [
    *CONSUMED,
    *(retry_queue(queue, delay_s) for queue in CONSUMED for delay_s in DELAYS_S),
    *(dead_letter_queue(queue) for queue in CONSUMED),
]


def metrics_by_series() -> dict[str, Metric]:
    """Return each name of a series with its metric; a histogram has three."""
    found = {}
    for metric in METRICS:
        is_histogram = metric.kind is Kind.HISTOGRAM
        for ending in ("_bucket", "_sum", "_count") if is_histogram else ("",):
            found[f"{metric.name}{ending}"] = metric
    return found


SERIES: Final = metrics_by_series()


def faults(expression: str) -> list[str]:
    """Return what *expression* names and nothing exposes."""
    found = names(expression)
    assert found.selectors, f"no metric in {expression!r}"
    labels = set[str]().union(*(labels_of(each.name) for each in found.selectors))
    unknown = [f"grouped by {label}" for label in sorted(found.grouping - labels)]
    return unknown + [fault for each in found.selectors for fault in selector_faults(each)]


def selector_faults(selector: Selector) -> Iterator[str]:
    """Yield what is unknown of the metric, its labels, and the values that are asked for."""
    if selector.name not in SERIES and selector.name not in FOREIGN:
        yield f"no metric {selector.name}"
        return
    known = labels_of(selector.name)
    if unknown := [each.label for each in selector.matchers if each.label not in known]:
        yield f"{selector.name} has no label {', '.join(unknown)}"
        return
    for matchers in product(*(each.alternatives() for each in selector.matchers)):
        if not is_selected(selector.name, matchers):
            yield f"nothing is selected by {selector.name} {[*matchers]}"


def labels_of(series: str) -> set[str]:
    """Return the labels that *series* can have; none but the common ones if it is unknown."""
    metric = SERIES.get(series)
    own = FOREIGN.get(series, set()) if metric is None else {*metric.labels}
    return own | EVERYWHERE | ({BUCKET_LABEL} if series.endswith("_bucket") else set())


def is_selected(series: str, matchers: Sequence[Matcher]) -> bool:
    """Return whether a daemon or the exporter exposes a series that all *matchers* accept."""
    metric = SERIES.get(series)
    if metric is None or metric is BUILD_INFO:
        return True
    own = [each for each in matchers if each.label in metric.labels]
    samples = (dict(zip(metric.labels, labels, strict=True)) for labels in _exposed()[metric])
    return any(all(each.accepts(sample[each.label]) for each in own) for sample in samples)


@cache
def _exposed() -> dict[Metric, list[tuple[str, ...]]]:
    """Return the labels of what both daemons expose from their start, and of the live figures."""
    exposed: dict[Metric, list[tuple[str, ...]]] = {}
    for labels in (shop_labels(), notice_labels()):
        samples = Exposition("shop1", Measures(labels), Lifecycle(), lambda: 0).samples()
        for metric, found in samples.items():
            exposed.setdefault(metric, []).extend(tuple(map(str, own)) for own, _ in found)
    for metric in METRICS:
        if metric.is_live:
            exposed[metric] = [(str(queue),) for queue in QUEUES] if metric.labels else [()]
    return exposed
