"""A daemon's metrics in Prometheus' text format."""

import platform
import time
from collections.abc import Callable, Mapping
from typing import Final

from orderd import __version__
from orderd.amqp.connection import PIKA_VERSION
from orderd.daemon.lifecycle import Lifecycle
from orderd.db.connection import PSYCOPG2_VERSION
from orderd.pipeline.measures import Measures
from orderd.protocol import metrics
from orderd.protocol.metrics import Metric
from orderd.runtime.histogram import Histogram
from orderd.runtime.phase import Phase
from orderd.runtime.prometheus import Samples, rendered

_NO_LABELS: Final = ()


class Exposition:
    """Renders what *measures* and *lifecycle* have counted."""

    def __init__(
        self, daemon: str, measures: Measures, lifecycle: Lifecycle, in_hand: Callable[[], int]
    ) -> None:
        """Name the daemon *daemon*; *in_hand* tells how many messages are unacknowledged."""
        self._daemon = daemon
        self._measures = measures
        self._lifecycle = lifecycle
        self._in_hand = in_hand

    def text(self) -> bytes:
        """Return all metrics of the daemon, as they are now."""
        return rendered(self._daemon, self.samples())

    def samples(self) -> Mapping[Metric, Samples]:
        """Return the samples of each metric that a daemon writes."""
        measures, lifecycle = self._measures, self._lifecycle
        return {
            metrics.MESSAGES: measures.messages.items(),
            metrics.BATCHES: [(_NO_LABELS, measures.batches)],
            metrics.BATCH_MESSAGES: [(_NO_LABELS, measures.batch_messages)],
            metrics.BATCH_PHASES: _by_name(measures.phases),
            metrics.CRITICAL_TIME: _by_name(measures.critical),
            metrics.EVENTS_PUBLISHED: _by_name(measures.events.published),
            metrics.EVENTS_REFUSED: _by_name(measures.events.refused),
            metrics.REPLIES_UNSENT: _by_name(measures.replies_unsent),
            metrics.RETRIES: measures.retries.items(),
            metrics.DEAD_LETTERS: measures.dead_letters.items(),
            metrics.STATE: [((phase,), phase is lifecycle.phase) for phase in Phase],
            metrics.PAUSED_SECONDS: _by_name(lifecycle.paused_s_by_dependency),
            metrics.RECONNECTS: _by_name(lifecycle.reconnects),
            metrics.QUEUE_PAUSED: [((q,), q in lifecycle.paused_queues) for q in measures.queues],
            metrics.IN_HAND: [(_NO_LABELS, self._in_hand())],
            metrics.LAST_TURN: [(_NO_LABELS, time.time())],
            metrics.BUILD_INFO: [(_versions(), 1)],
        }


def _by_name(values: Mapping[str, float] | Mapping[str, Histogram]) -> Samples:
    return [((name,), value) for name, value in values.items()]


def _versions() -> tuple[str, ...]:
    return __version__, platform.python_version(), PIKA_VERSION, PSYCOPG2_VERSION
