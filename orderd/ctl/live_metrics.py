"""What RabbitMQ and PostgreSQL say of queues, outbox, ledger and schema, as samples of metrics."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orderd.amqp.topology import QueueDepth
from orderd.ctl.broker_findings import depths_of
from orderd.ctl.client import client_of
from orderd.ctl.database import database_of
from orderd.ctl.errors import Failure
from orderd.ctl.queue_ages import Ages, QueueAges
from orderd.db.connection import Database
from orderd.db.migrations import pending_migrations
from orderd.protocol import metrics
from orderd.protocol.metrics import Metric
from orderd.protocol.names import QUEUES, dead_letter_queue
from orderd.runtime.prometheus import Samples

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_NO_LABELS: Final = ()

Look = Callable[[], Mapping[Metric, Samples]]


class LiveMetrics:
    """Looks at the servers of *settings*, again and again."""

    def __init__(self, settings: "Settings") -> None:
        """Begin without any look."""
        self._settings = settings
        self._ages = QueueAges(settings)

    def look(self) -> tuple[dict[Metric, Samples], list[Failure]]:
        """Return the samples that could be had, and why others could not."""
        samples: dict[Metric, Samples] = {}
        failures: list[Failure] = []
        looks: tuple[Look, ...] = (self._of_queues, self._of_database)
        for look in looks:
            try:
                samples.update(look())
            except Failure as failure:
                failures.append(failure)
        return samples, failures

    def _of_queues(self) -> Mapping[Metric, Samples]:
        with client_of(self._settings) as client:
            depths = depths_of(client, self._settings)
            ages = self._ages.look(client.connection, depths)
        return _samples_of_queues(depths, ages)

    def _of_database(self) -> Mapping[Metric, Samples]:
        with database_of(self._settings) as database:
            return _samples_of_database(database)


def _samples_of_queues(
    depths: Mapping[str, QueueDepth | None], ages: Ages
) -> Mapping[Metric, Samples]:
    there = {queue: depth for queue, depth in depths.items() if depth is not None}
    return {
        metrics.QUEUE_MESSAGES: [((queue,), depth.ready) for queue, depth in there.items()],
        metrics.QUEUE_CONSUMERS: [((queue,), depth.consumers) for queue, depth in there.items()],
        metrics.QUEUE_OLDEST: [
            ((queue,), age_s) for queue in QUEUES if (age_s := ages.get(queue)) is not None
        ],
        metrics.DEAD_LETTER_OLDEST: _oldest_dead_letter(ages),
    }


def _oldest_dead_letter(ages: Ages) -> Samples:
    """Return the age of the oldest one that is known, nothing where dead letters tell none."""
    found = [ages[name] for name in map(dead_letter_queue, QUEUES) if name in ages]
    known = [age_s for age_s in found if age_s is not None]
    oldest_s = max(known, default=0.0)
    # Others may be older than what is known, and without any that is no age.
    return [] if None in found and not oldest_s else [(_NO_LABELS, oldest_s)]


def _samples_of_database(database: Database) -> Mapping[Metric, Samples]:
    is_outdated = bool(pending_migrations(database))
    found: dict[Metric, Samples] = {metrics.SCHEMA_OUTDATED: [(_NO_LABELS, is_outdated)]}
    if is_outdated:
        return found
    with database.transaction() as tx:
        requests, _ = tx.row("measure_ledger")
        events, oldest_s = tx.row("count_outbox")
    found[metrics.LEDGER_ROWS] = [(_NO_LABELS, requests)]
    found[metrics.OUTBOX_ROWS] = [(_NO_LABELS, events)]
    found[metrics.OUTBOX_OLDEST] = [(_NO_LABELS, oldest_s)]
    return found
