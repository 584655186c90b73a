"""Metrics in Prometheus' text format, by prometheus_client, which only this module loads."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from orderd.protocol.metrics import DAEMON_LABEL, Kind, Metric
from orderd.runtime.histogram import Histogram

Samples = Iterable[tuple[tuple[str, ...], float | Histogram]]
"""Values of a metric's labels, in their order, each with the value or the histogram they have."""


def rendered(daemon: str, samples: Mapping[Metric, Samples]) -> bytes:
    """Return the text that tells *samples* of *daemon*, metric by metric."""
    registry = CollectorRegistry()
    registry.register(_Families([_family(each, daemon, found) for each, found in samples.items()]))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families


def _family(metric: Metric, daemon: str, samples: Samples) -> Family:
    """Return *metric* of *daemon* with these *samples*, as prometheus_client has it."""
    labels = (DAEMON_LABEL, *metric.labels)
    match metric.kind:
        case Kind.COUNTER:
            found: Any = CounterMetricFamily(metric.name, metric.help, labels=labels)
        case Kind.GAUGE:
            found = GaugeMetricFamily(metric.name, metric.help, labels=labels)
        case Kind.HISTOGRAM:
            found = HistogramMetricFamily(metric.name, metric.help, labels=labels)
    for values, sample in samples:
        own = [daemon, *map(str, values)]
        if isinstance(sample, Histogram):
            buckets = [(_bound(bound), count) for bound, count in sample.buckets()]
            found.add_metric(own, buckets, sample.total)
        else:
            found.add_metric(own, float(sample))
    return found


def _bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
