"""The closed sets of log events, with level and meaning of each, and of the fields of a line."""

from enum import StrEnum
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING
from typing import Self, TypedDict

from orderd.protocol.names import Queue


class LogEvent(StrEnum):
    """What a log line is about; `level` is the usual one, `meaning` is for the documentation."""

    level: int
    meaning: str

    def __new__(cls, value: str, level: int, meaning: str) -> Self:
        """Make a member that is its name, and carries level and meaning along."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.level = level
        member.meaning = meaning
        return member

    DAEMON_STARTED = "daemon.started", INFO, "The daemon runs; its version, name and limits."
    DAEMON_DRAINING = "daemon.draining", INFO, "A stop was asked for; what is in hand is finished."
    DAEMON_STOPPED = "daemon.stopped", INFO, "The daemon ends as asked."
    DAEMON_FAILED = "daemon.failed", CRITICAL, "The daemon ends by a fault that it cannot outlive."
    CONFIG_RELOADED = "config.reloaded", INFO, "A reload; what changed and what needs a restart."
    CONFIG_REJECTED = "config.rejected", ERROR, "The configuration is wrong: every wrong key."
    CONFIG_WARNING = "config.warning", WARNING, "A setting is allowed, but hardly wise."
    STATUS_LOGGED = "status.logged", INFO, "The state of the daemon, as SIGUSR1 asks for."
    BROKER_CONNECTED = "broker.connected", INFO, "Connected to RabbitMQ."
    BROKER_DISCONNECTED = "broker.disconnected", WARNING, "RabbitMQ is lost or not reachable."
    BROKER_REFUSED = (
        "broker.refused",
        ERROR,
        "RabbitMQ refuses login or virtual host, or has too low a limit; said again every minute.",
    )
    BROKER_BLOCKED = "broker.blocked", WARNING, "RabbitMQ takes no messages: an alarm of its own."
    BROKER_UNBLOCKED = "broker.unblocked", INFO, "RabbitMQ takes messages again."
    TOPOLOGY_MISMATCHED = (
        "topology.mismatched",
        CRITICAL,
        "A queue or exchange exists in a way orderd cannot use, or too few channels are allowed.",
    )
    CONSUMER_STARTED = "consumer.started", INFO, "Commands are taken from the queues."
    CONSUMER_STANDBY = (
        "consumer.standby",
        INFO,
        "Queues are left to another daemon; this one takes over when it has gone.",
    )
    CONSUMER_TOOK_OVER = (
        "consumer.took_over",
        INFO,
        "Commands are taken from queues that were left to another daemon.",
    )
    CONSUMER_SHARED = (
        "consumer.shared",
        INFO,
        "A queue has further consumers: the order in which commands were sent is not kept.",
    )
    QUEUE_FAILING = (
        "queue.failing",
        WARNING,
        "A queue cannot be consumed; the others go on, and it is tried again with a back-off.",
    )
    QUEUE_RECOVERED = "queue.recovered", INFO, "Commands are taken from such a queue again."
    QUEUE_OUTDATED = (
        "queue.outdated",
        WARNING,
        "A retry queue of a former version loses a message whose queue is full or away.",
    )
    DATABASE_CONNECTED = "database.connected", INFO, "Connected to PostgreSQL."
    DATABASE_DISCONNECTED = "database.disconnected", WARNING, "PostgreSQL is lost or cannot write."
    DURABILITY_WEAKENED = (
        "durability.weakened",
        WARNING,
        "PostgreSQL runs with fsync or full_page_writes off: a power cut may lose or damage data.",
    )
    SESSION_TERMINATED = (
        "session.terminated",
        WARNING,
        "The session of a daemon that stands still in the middle of an answer was ended.",
    )
    DATABASE_REFUSED = (
        "database.refused",
        ERROR,
        "PostgreSQL refuses the login or the database; said again every minute.",
    )
    SCHEMA_OUTDATED = (
        "schema.outdated",
        CRITICAL,
        "Migrations are missing; the daemon ends with 78.",
    )
    SCHEMA_WEAKENED = (
        "schema.weakened",
        WARNING,
        "A unique index, foreign key or CHECK that orderd relies on is gone; the work goes on.",
    )
    INTAKE_PAUSED = "intake.paused", WARNING, "No commands are taken until a server is back."
    INTAKE_RESUMED = "intake.resumed", INFO, "Commands are taken again."
    BATCH_COMMITTED = "batch.committed", INFO, "A batch is in the database; its size and duration."
    BATCH_RETRIED = (
        "batch.retried",
        WARNING,
        "A transaction collided with another; it is done again.",
    )
    BATCH_SPLIT = "batch.split", WARNING, "A batch could not be written; its culprit is sought."
    TABLE_LOCKED = (
        "table.locked",
        WARNING,
        "Another session has locked a table: commands that need it wait, and no others.",
    )
    TABLE_UNLOCKED = "table.unlocked", INFO, "A table is no longer locked by another session."
    COMMAND_APPLIED = "command.applied", DEBUG, "A command took effect."
    COMMAND_ANSWERED = "command.answered", DEBUG, "A query was answered."
    COMMAND_DUPLICATED = "command.duplicated", DEBUG, "A known id; the stored reply is sent again."
    COMMAND_REFUSED = "command.refused", WARNING, "A business rule said no."
    COMMAND_DEFERRED = "command.deferred", WARNING, "A command is tried again later."
    COMMAND_POSTPONED = (
        "command.postponed",
        DEBUG,
        "A command waits behind a deferred one that changes the same row, or still for a lock.",
    )
    MESSAGE_DEAD_LETTERED = "message.dead_lettered", ERROR, "A message went to the dead letters."
    MESSAGE_HELD_BACK = (
        "message.held_back",
        WARNING,
        "A queue refuses a retry or dead letter; it is kept, unacked, and sent again.",
    )
    MESSAGE_RENEWED = (
        "message.renewed",
        WARNING,
        "Copies took the place of messages near their queue's delivery limit.",
    )
    MESSAGE_REQUEUED = "message.requeued", INFO, "Messages went back to the broker, uncharged."
    MESSAGE_TRUNCATED = (
        "message.truncated",
        ERROR,
        "RabbitMQ takes no dead letter of that size: it goes with the beginning of its body.",
    )
    MESSAGE_QUARANTINED = (
        "message.quarantined",
        WARNING,
        "A message was in hand at an earlier crash.",
    )
    REPLY_DROPPED = "reply.dropped", DEBUG, "The reply queue is gone."
    REPLY_REFUSED = (
        "reply.refused",
        WARNING,
        "RabbitMQ did not take replies: too large, no right to, no answer; at most every 10 s.",
    )
    REPLIES_REROUTED = (
        "replies.rerouted",
        WARNING,
        "No connection for direct replies (a limit?): they go by the publishing one meanwhile.",
    )
    REPLIES_RESTORED = "replies.restored", INFO, "Direct replies have a connection again."
    REPLY_IGNORED = "reply.ignored", WARNING, "A reply_to that orderd does not send to."
    REQUEST_UNIDENTIFIED = (
        "request.unidentified",
        WARNING,
        "A command without id has no protection against doing it twice; once per daemon run.",
    )
    QUERY_UNANSWERED = "query.unanswered", WARNING, "A query names no queue for its reply."
    QUERY_FAILED = "query.failed", WARNING, "A query could not be answered; the reply says why."
    OUTBOX_REFUSED = (
        "outbox.refused",
        WARNING,
        "Events are not taken, by the exchange or a listener's queue; they are sent again later.",
    )
    OUTBOX_SET_ASIDE = (
        "outbox.set_aside",
        ERROR,
        "An event that AMQP cannot carry stays in the outbox until an operator acts.",
    )
    OUTBOX_CLEANUP_DELAYED = (
        "outbox.cleanup_delayed",
        WARNING,
        "Rows of sent events cannot be deleted: locked, or protected by others; tried again later.",
    )
    OUTBOX_RECOVERED = "outbox.recovered", WARNING, "Events left behind by a crash were published."
    HEALTH_FAILED = (
        "health.failed",
        WARNING,
        "The health file cannot be written; the work goes on.",
    )
    SYSTEMD_FAILED = (
        "systemd.failed",
        WARNING,
        "The socket in NOTIFY_SOCKET cannot be used; the work goes on.",
    )
    FAILPOINT_ARMED = "failpoint.armed", WARNING, "A crash point is armed: for tests only."
    LIBRARY_LOGGED = "library.logged", WARNING, "A line of a library that orderd uses."
    LOG_DROPPED = "log.dropped", WARNING, "Log lines were lost while stdout took none; how many."


class LogFields(TypedDict, total=False):
    """What a line may say besides; a closed set, so that searches can rely on it."""

    queue: str | None
    action: str | None
    id: str | None
    correlation_id: str | None
    outcome: str | None
    code: str | None
    attempt: int | None
    order_id: int | None
    product_id: int | None
    user_id: int | None
    batch_size: int | None
    duration_ms: float | None


# Each entity's rows are told by a field of their own; those of the first ones are typed above.
_ROW_IDS = tuple(f"{q}_id" for q in Queue if f"{q}_id" not in LogFields.__annotations__)
FIELD_NAMES = (*LogFields.__annotations__, *_ROW_IDS, "error")
