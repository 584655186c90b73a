"""The closed set of log events, with level and meaning of each."""

from enum import StrEnum
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING
from typing import Self


class LogEvent(StrEnum):
    """The kind of a log line, with its usual `level` and its `meaning` for the documentation."""

    level: int
    meaning: str

    def __new__(cls, value: str, level: int, meaning: str) -> Self:
        """Make a member whose value is its name, with level and meaning as attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.level = level
        member.meaning = meaning
        return member

    DAEMON_STARTED = (
        "daemon.started",
        INFO,
        "The daemon has started; the message has its version, name and limits.",
    )
    DAEMON_DRAINING = (
        "daemon.draining",
        INFO,
        "A stop was requested; the daemon finishes its unacked messages.",
    )
    DAEMON_STOPPED = "daemon.stopped", INFO, "The daemon has stopped as requested."
    DAEMON_FAILED = (
        "daemon.failed",
        CRITICAL,
        "The daemon exits because of a fault that it cannot recover from.",
    )
    CONFIG_RELOADED = (
        "config.reloaded",
        INFO,
        "The configuration was reloaded; the message says what changed and what needs a restart.",
    )
    CONFIG_REJECTED = (
        "config.rejected",
        ERROR,
        "The configuration is invalid; the message names every wrong key.",
    )
    CONFIG_WARNING = "config.warning", WARNING, "A setting is allowed but not recommended."
    STATUS_LOGGED = "status.logged", INFO, "The counts of the daemon, logged on SIGUSR1."
    BROKER_CONNECTED = "broker.connected", INFO, "Connected to RabbitMQ."
    BROKER_DISCONNECTED = (
        "broker.disconnected",
        WARNING,
        "The connection to RabbitMQ is lost or cannot be made.",
    )
    BROKER_REFUSED = (
        "broker.refused",
        ERROR,
        "RabbitMQ refuses login or virtual host, TLS fails, or a limit is too low; every minute.",
    )
    BROKER_BLOCKED = (
        "broker.blocked",
        WARNING,
        "RabbitMQ blocks publishers because of a memory or disk alarm.",
    )
    BROKER_UNBLOCKED = "broker.unblocked", INFO, "RabbitMQ no longer blocks publishers."
    TOPOLOGY_MISMATCHED = (
        "topology.mismatched",
        CRITICAL,
        "A queue or exchange is declared in a way orderd cannot use, or channel_max is too low.",
    )
    CONSUMER_STARTED = "consumer.started", INFO, "The daemon consumes the queues."
    CONSUMER_STANDBY = (
        "consumer.standby",
        INFO,
        "Another daemon consumes the queues; this one takes over when it ends.",
    )
    CONSUMER_TOOK_OVER = (
        "consumer.took_over",
        INFO,
        "The daemon consumes queues that another daemon consumed before.",
    )
    CONSUMER_SHARED = (
        "consumer.shared",
        INFO,
        "A queue has other consumers, so commands may not take effect in the order sent.",
    )
    QUEUE_FAILING = (
        "queue.failing",
        WARNING,
        "A queue cannot be consumed; it is retried with a back-off, and the others continue.",
    )
    QUEUE_RECOVERED = "queue.recovered", INFO, "A failing queue is consumed again."
    QUEUE_PAUSED = (
        "queue.paused",
        WARNING,
        "A queue is paused, by an operator or because its commands failed one after the other.",
    )
    QUEUE_RESUMED = "queue.resumed", INFO, "A paused queue is consumed again."
    QUEUE_OUTDATED = (
        "queue.outdated",
        WARNING,
        "A retry queue of an earlier version loses messages whose queue is full or missing.",
    )
    DATABASE_CONNECTED = "database.connected", INFO, "Connected to PostgreSQL."
    DATABASE_DISCONNECTED = (
        "database.disconnected",
        WARNING,
        "The connection to PostgreSQL is lost, or it cannot write.",
    )
    DURABILITY_WEAKENED = (
        "durability.weakened",
        WARNING,
        "fsync or full_page_writes is off in PostgreSQL: a power failure may lose or damage data.",
    )
    SESSION_TERMINATED = (
        "session.terminated",
        WARNING,
        "The database session of a frozen daemon was terminated.",
    )
    DATABASE_REFUSED = (
        "database.refused",
        ERROR,
        "PostgreSQL refuses the login or the database, or TLS fails; repeated every minute.",
    )
    SCHEMA_OUTDATED = (
        "schema.outdated",
        CRITICAL,
        "Migrations are missing; the daemon exits with 78.",
    )
    SCHEMA_WEAKENED = (
        "schema.weakened",
        WARNING,
        "A unique index, foreign key or CHECK that orderd relies on is missing; work continues.",
    )
    INTAKE_PAUSED = (
        "intake.paused",
        WARNING,
        "The daemon takes no commands until a server is available again.",
    )
    INTAKE_RESUMED = "intake.resumed", INFO, "The daemon takes commands again."
    BATCH_COMMITTED = (
        "batch.committed",
        INFO,
        "A batch was committed; the fields have its size and duration.",
    )
    BATCH_RETRIED = (
        "batch.retried",
        WARNING,
        "A transaction conflicted with another and is retried.",
    )
    BATCH_SPLIT = (
        "batch.split",
        WARNING,
        "A batch could not be written; it is split to find the command at fault.",
    )
    TABLE_LOCKED = (
        "table.locked",
        WARNING,
        "Another session has locked a table; only the commands that need it wait.",
    )
    TABLE_UNLOCKED = "table.unlocked", INFO, "A table is no longer locked by another session."
    COMMAND_APPLIED = "command.applied", DEBUG, "A command took effect."
    COMMAND_ANSWERED = "command.answered", DEBUG, "A query was answered."
    COMMAND_DUPLICATED = (
        "command.duplicated",
        DEBUG,
        "The id is known; the stored reply was sent again.",
    )
    COMMAND_REFUSED = "command.refused", WARNING, "A business rule refused a command."
    COMMAND_DEFERRED = "command.deferred", WARNING, "A command is retried later."
    COMMAND_POSTPONED = (
        "command.postponed",
        DEBUG,
        "A command waits for a lock, or for a deferred command on the same row.",
    )
    MESSAGE_DEAD_LETTERED = (
        "message.dead_lettered",
        ERROR,
        "A message was moved to the dead letter queue.",
    )
    MESSAGE_HELD_BACK = (
        "message.held_back",
        WARNING,
        "A queue refuses a retry or dead letter; the message stays unacked and is sent again.",
    )
    MESSAGE_RENEWED = (
        "message.renewed",
        WARNING,
        "Messages near their queue's delivery limit were replaced by copies.",
    )
    MESSAGE_REQUEUED = (
        "message.requeued",
        INFO,
        "Messages were returned to their queues; no attempt is counted.",
    )
    MESSAGE_TRUNCATED = (
        "message.truncated",
        ERROR,
        "A dead letter was larger than RabbitMQ accepts; it has only the beginning of the body.",
    )
    MESSAGE_QUARANTINED = (
        "message.quarantined",
        WARNING,
        "A daemon crashed earlier before it had acked this message.",
    )
    REPLY_DROPPED = "reply.dropped", DEBUG, "The reply queue no longer exists."
    REPLY_REFUSED = (
        "reply.refused",
        WARNING,
        "RabbitMQ refused replies (too large, no permission, no confirm); at most every 10 s.",
    )
    REPLIES_REROUTED = (
        "replies.rerouted",
        WARNING,
        "Direct replies have no connection of their own and use the publisher's.",
    )
    REPLIES_RESTORED = (
        "replies.restored",
        INFO,
        "Direct replies have a connection of their own again.",
    )
    REPLY_IGNORED = "reply.ignored", WARNING, "orderd does not send replies to this reply_to."
    REQUEST_UNIDENTIFIED = (
        "request.unidentified",
        WARNING,
        "A command without an id may be applied twice after a crash; logged once per run.",
    )
    QUERY_UNANSWERED = "query.unanswered", WARNING, "A query has no reply_to."
    QUERY_FAILED = (
        "query.failed",
        WARNING,
        "A query could not be answered; the reply has the reason.",
    )
    OUTBOX_REFUSED = (
        "outbox.refused",
        WARNING,
        "The exchange or a bound queue refuses events; they are sent again later.",
    )
    OUTBOX_SET_ASIDE = (
        "outbox.set_aside",
        ERROR,
        "An event that AMQP cannot carry stays in the outbox until an operator acts.",
    )
    OUTBOX_CLEANUP_DELAYED = (
        "outbox.cleanup_delayed",
        WARNING,
        "Outbox rows of sent events cannot be deleted (locked, or a trigger); retried later.",
    )
    OUTBOX_RECOVERED = (
        "outbox.recovered",
        WARNING,
        "Events that a crash had left in the outbox were published.",
    )
    NOTIFICATION_SENT = (
        "notification.sent",
        INFO,
        "A notification was sent; over a channel of kind log, the message is its subject and text.",
    )
    HEALTH_FAILED = (
        "health.failed",
        WARNING,
        "The health file cannot be written; work continues.",
    )
    METRICS_FAILED = (
        "metrics.failed",
        WARNING,
        "The metrics file cannot be written; work continues.",
    )
    SYSTEMD_FAILED = (
        "systemd.failed",
        WARNING,
        "The socket in NOTIFY_SOCKET cannot be used; work continues.",
    )
    FAILPOINT_ARMED = "failpoint.armed", WARNING, "A crash point is armed: for tests only."
    LIBRARY_LOGGED = "library.logged", WARNING, "A library that orderd uses logged a line."
    LOG_DROPPED = (
        "log.dropped",
        WARNING,
        "Stdout or the journal did not accept lines; the message has the number of those dropped.",
    )
    NOTIFICATION_SKIPPED = (
        "notification.skipped",
        INFO,
        "A notification is not sent; the message says why.",
    )
    NOTIFICATION_DELAYED = (
        "notification.delayed",
        WARNING,
        "A digest could not be sent now and is tried again.",
    )
    NOTIFICATION_FAILED = (
        "notification.failed",
        WARNING,
        "A channel has refused a notification for good.",
    )
