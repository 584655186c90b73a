"""What RabbitMQ and PostgreSQL say of queues, outbox, ledger and schema, as samples of metrics."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orderd.ctl.broker_findings import queues_of
from orderd.ctl.client import client_of
from orderd.ctl.database import database_of
from orderd.ctl.errors import Failure
from orderd.ctl.queue_ages import Ages, ages_of
from orderd.db.migrations import pending_migrations
from orderd.protocol import metrics
from orderd.protocol.metrics import Metric
from orderd.protocol.names import Queue, dead_letter_queue
from orderd.runtime.prometheus import Samples

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_NO_LABELS: Final = ()

Look = Callable[["Settings"], Mapping[Metric, Samples]]


def live(settings: "Settings") -> tuple[dict[Metric, Samples], list[Failure]]:
    """Return the samples that could be had, and why others could not."""
    samples: dict[Metric, Samples] = {}
    failures: list[Failure] = []
    looks: tuple[Look, ...] = (_of_queues, _of_database)
    for look in looks:
        try:
            samples.update(look(settings))
        except Failure as failure:
            failures.append(failure)
    return samples, failures


def _of_queues(settings: "Settings") -> Mapping[Metric, Samples]:
    with client_of(settings) as client:
        depths = {queue: client.queue_depth(queue) for queue in queues_of(settings)}
        ages = ages_of(settings, client.connection, depths)
    there = {queue: depth for queue, depth in depths.items() if depth is not None}
    return {
        metrics.QUEUE_MESSAGES: [((queue,), depth.ready) for queue, depth in there.items()],
        metrics.QUEUE_CONSUMERS: [((queue,), depth.consumers) for queue, depth in there.items()],
        metrics.QUEUE_OLDEST: [
            ((queue,), age_s) for queue in Queue if (age_s := ages.get(queue)) is not None
        ],
        metrics.DEAD_LETTER_OLDEST: _oldest_dead_letter(ages),
    }


def _oldest_dead_letter(ages: Ages) -> Samples:
    """Return the age of the oldest one that is known, nothing where dead letters tell none."""
    found = [ages[name] for name in map(dead_letter_queue, Queue) if name in ages]
    known = [age_s for age_s in found if age_s is not None]
    oldest_s = max(known, default=0.0)
    # Others may be older than what is known, and without any that is no age.
    return [] if None in found and not oldest_s else [(_NO_LABELS, oldest_s)]


def _of_database(settings: "Settings") -> Mapping[Metric, Samples]:
    with database_of(settings) as database:
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
