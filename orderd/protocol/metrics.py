"""The metrics of a daemon: their names, kinds, labels, and what each of them says.

Source of the form: https://prometheus.io/docs/practices/naming/
"""

from enum import StrEnum
from typing import Final

from orderd.protocol.values import value


class Kind(StrEnum):
    """How a metric's values are to be read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class BatchPhase(StrEnum):
    """What a batch spends its time with."""

    DECODE = "decode"
    LOAD = "load"
    DECIDE = "decide"
    COMMIT = "commit"
    PUBLISH = "publish"
    CONFIRM = "confirm"


@value
class Metric:
    """One metric; `daemon` is a label of all, besides *labels*.

    *buckets* are the upper bounds of a histogram's buckets, without the last one, which has none.
    Where `is_live`, orderctl asks the servers for it; the daemon does not write it.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    is_live: bool = False


class UnsentReason(StrEnum):
    """Why a reply was not sent."""

    OWN_QUEUE = "own_queue"
    NOT_ALLOWED = "not_allowed"
    REFUSED = "refused"


DAEMON_LABEL: Final = "daemon"
# The action of a message that names none, or one that its queue does not have.
OTHER: Final = "other"
# What a message without code has there.
NO_CODE: Final = ""

_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_PHASES_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_CRITICAL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

MESSAGES: Final = Metric(
    "orderd_messages_total",
    Kind.COUNTER,
    "Messages by what became of them; code says why, where there is a reason.",
    ("queue", "action", "outcome", "code"),
)
BATCHES: Final = Metric("orderd_batches_total", Kind.COUNTER, "Batches that were committed.")
BATCH_MESSAGES: Final = Metric(
    "orderd_batch_messages", Kind.HISTOGRAM, "Messages of a batch.", buckets=_SIZES
)
BATCH_PHASES: Final = Metric(
    "orderd_batch_phase_seconds",
    Kind.HISTOGRAM,
    "Time that a batch spends in a phase; some of them overlap.",
    ("phase",),
    buckets=_PHASES_S,
)
CRITICAL_TIME: Final = Metric(
    "orderd_critical_time_seconds",
    Kind.HISTOGRAM,
    "Time from the publishing of a message to its outcome; from its arrival where that is unknown.",
    ("queue",),
    buckets=_CRITICAL_S,
)
EVENTS_PUBLISHED: Final = Metric(
    "orderd_events_published_total", Kind.COUNTER, "Events that RabbitMQ has confirmed.", ("type",)
)
EVENTS_REFUSED: Final = Metric(
    "orderd_events_refused_total", Kind.COUNTER, "Events that RabbitMQ has refused.", ("type",)
)
REPLIES_UNSENT: Final = Metric(
    "orderd_replies_unsent_total",
    Kind.COUNTER,
    "Replies that were not sent, or not accepted by RabbitMQ, by the reason; a missing reply queue "
    "is not counted.",
    ("reason",),
)
RETRIES: Final = Metric(
    "orderd_retries_total",
    Kind.COUNTER,
    "Messages that were sent to a retry queue.",
    ("queue", "code"),
)
DEAD_LETTERS: Final = Metric(
    "orderd_dead_letters_total",
    Kind.COUNTER,
    "Messages that were sent to a dead letter queue.",
    ("queue", "code"),
)
STATE: Final = Metric(
    "orderd_state", Kind.GAUGE, "1 for what the daemon is doing now, 0 for all else.", ("state",)
)
PAUSED_SECONDS: Final = Metric(
    "orderd_paused_seconds_total",
    Kind.COUNTER,
    "Time without work because a server was away.",
    ("dependency",),
)
RECONNECTS: Final = Metric(
    "orderd_reconnects_total",
    Kind.COUNTER,
    "Connections to a server after the first one.",
    ("dependency",),
)
QUEUE_PAUSED: Final = Metric(
    "orderd_queue_paused", Kind.GAUGE, "1 while a queue is paused by hand or tripped.", ("queue",)
)
IN_HAND: Final = Metric("orderd_in_hand_messages", Kind.GAUGE, "Unacknowledged messages.")
LAST_TURN: Final = Metric(
    "orderd_last_turn_timestamp_seconds", Kind.GAUGE, "When the daemon's loop last turned."
)
BUILD_INFO: Final = Metric(
    "orderd_build_info",
    Kind.GAUGE,
    "1; the versions are in the labels.",
    ("version", "python", "pika", "psycopg2"),
)
QUEUE_MESSAGES: Final = Metric(
    "orderd_queue_messages", Kind.GAUGE, "Messages that wait in a queue.", ("queue",), is_live=True
)
QUEUE_CONSUMERS: Final = Metric(
    "orderd_queue_consumers", Kind.GAUGE, "Consumers of a queue.", ("queue",), is_live=True
)
QUEUE_OLDEST: Final = Metric(
    "orderd_queue_oldest_seconds",
    Kind.GAUGE,
    "Age of the oldest message that waits in a queue, at most; absent where it is unknown.",
    ("queue",),
    is_live=True,
)
DEAD_LETTER_OLDEST: Final = Metric(
    "orderd_dead_letter_oldest_seconds",
    Kind.GAUGE,
    "Time since the oldest dead letter was rejected; absent where it is unknown.",
    is_live=True,
)
OUTBOX_ROWS: Final = Metric(
    "orderd_outbox_rows", Kind.GAUGE, "Events that are not known to be published.", is_live=True
)
OUTBOX_OLDEST: Final = Metric(
    "orderd_outbox_oldest_seconds", Kind.GAUGE, "Age of the oldest of these events.", is_live=True
)
LEDGER_ROWS: Final = Metric(
    "orderd_ledger_rows", Kind.GAUGE, "Requests in the ledger, estimated.", is_live=True
)
SCHEMA_OUTDATED: Final = Metric(
    "orderd_schema_outdated",
    Kind.GAUGE,
    "1 where migrations are missing in the database.",
    is_live=True,
)

METRICS: Final = (
    MESSAGES,
    BATCHES,
    BATCH_MESSAGES,
    BATCH_PHASES,
    CRITICAL_TIME,
    EVENTS_PUBLISHED,
    EVENTS_REFUSED,
    REPLIES_UNSENT,
    RETRIES,
    DEAD_LETTERS,
    STATE,
    PAUSED_SECONDS,
    RECONNECTS,
    QUEUE_PAUSED,
    IN_HAND,
    LAST_TURN,
    BUILD_INFO,
    QUEUE_MESSAGES,
    QUEUE_CONSUMERS,
    QUEUE_OLDEST,
    DEAD_LETTER_OLDEST,
    OUTBOX_ROWS,
    OUTBOX_OLDEST,
    LEDGER_ROWS,
    SCHEMA_OUTDATED,
)
