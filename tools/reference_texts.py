"""What the code's closed sets mean, in the words of docs/reference.

`tools.reference` puts these texts into tables. A name without a text, or a text without a name,
fails there.
"""

from typing import Final

SYSTEM_EVENTS: Final = {
    ("system.started", "system.paused", "system.resumed", "system.stopping"): (
        "instance/NAME",
        "{instance, version, …}",
    ),
    ("system.queue_paused", "system.queue_resumed"): (
        "instance/NAME",
        "{instance, version, queue, …}; paused: also reason, by, and until where it ends by itself",
    ),
    ("system.dead_lettered",): ("queue/order", "{queue, code, reason, attempt, request_id}"),
}

REFUSALS: Final = {
    "revision_conflict": "The row does not have the revision that `if_revision` names.",
    "unreadable_row": "The row has a value that JSON cannot express, written by another program: "
    "`Product 2 cannot be read: price is NaN; correct the row`.",
    "expired": "The AMQP `expiration` of a deferred command passed before it could be applied.",
}

INVALID: Final = {
    "malformed": "The body is not a strict JSON object in UTF-8, or a field of the envelope has "
    "the wrong form.",
    "unknown_action": "The queue has no such action in this version.",
    "unsupported_version": "The version is neither `v1` nor `v2`.",
    "invalid_data": "A field of `data` is missing, unknown or out of its limits; the reason names "
    "up to ten and counts the rest.",
    "too_large": "The body is larger than `body_bytes_max`.",
    "id_conflict": "The id was used before, for another request.",
    "unauthorized": "Tokens are required, and `auth` is missing, is not one of them, or is a JWT "
    "that is not accepted; the reason says why.",
    "forbidden": "The token does not allow this command, or not for rows of other users.",
}

UNAVAILABLE: Final = {
    "unavailable": "The rows cannot be read now; the query may be sent again.",
    "reply_too_large": "The row does not fit into `reply_bytes_max`: `Order 7 does not fit into a "
    "reply: …`.",
}

DEFERRALS: Final = {
    "missing_reference": "The user or product that the command names may still arrive.",
    "transient": "A deadlock or serialization failure, after some immediate retries; a lock or "
    "statement timeout.",
    "unexpected": "An error that orderd does not expect, such as one raised by a trigger.",
    "retries_exhausted": "On the dead letter and in the reply: the last attempt failed, or "
    "`lock_patience` passed.",
    "poison": "On the dead letter of a message before whose ack the daemon crashed each time.",
}

SQLSTATES: Final = {
    "0A000": "feature_not_supported: a prepared query whose columns have another type now",
    "26000": "invalid_sql_statement_name: the session no longer has a prepared statement",
    "40001": "serialization_failure",
    "40P01": "deadlock_detected",
    "55P03": "lock_not_available: `lock_timeout`",
    "57014": "query_canceled: `statement_timeout`",
    "23505": "unique_violation: another daemon was faster, the retry sees its row",
    "25006": "read_only_sql_transaction: after a failover",
    "25P03": "idle_in_transaction_session_timeout",
    "53100": "disk_full: small writes may still succeed",
    "53300": "too_many_connections",
    "57P01": "admin_shutdown",
    "57P02": "crash_shutdown",
    "57P03": "cannot_connect_now",
    "57P04": "database_dropped",
    "57P05": "idle_session_timeout",
    "08…": "connection exception",
    "28…": "invalid authorization: a password is being changed",
    "3D…": "invalid catalog name: the database does not exist yet",
    "53…": "insufficient resources: memory, temporary files",
    "58…": "system error: I/O",
    "F0…": "configuration file error",
    "XX…": "internal error, damaged page, corrupted index",
    "3F…": "invalid schema name",
    "42…": "undefined table, insufficient privilege",
}

LOG_FIELDS: Final = {
    "timestamp": "RFC 3339, UTC, to the millisecond",
    "level": "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
    "logger": "`orderd`, or the library that logs",
    "event": "one of the table below",
    "message": "the same, for people",
    "queue": "the command queue of the message",
    "action": "the action of the command",
    "id": "the request's id",
    "correlation_id": "the property `correlation_id` of the message, else its id",
    "actor": "who sent it: `sub` of its JWT, the name of its token, or the RabbitMQ user that "
    "RabbitMQ has checked; see [Authorize commands](../how-to/authorize.md#who-sent-it)",
    "outcome": "applied, answered, unavailable, duplicate, refused, invalid, deferred "
    "or quarantined; "
    "see [Outcomes](outcomes.md)",
    "code": "see [Outcomes](outcomes.md#codes)",
    "attempt": "how often the message had been tried before",
    "batch_size": "commands in the batch",
    "duration_ms": "duration of the batch",
    "error": "type and text of an exception; from ERROR on with its traceback",
}

HEADERS: Final = {
    "orderd-attempt": "How often the message had been tried before. Retries have it, too.",
    "orderd-reason": "What was wrong, at most 1,000 characters.",
    "orderd-code": "The [code](outcomes.md#codes).",
    "orderd-failed-at": "RFC 3339, UTC, by the clock of the database.",
    "orderd-queue": "The queue from which the message came.",
    "orderd-error": "Exception and traceback, where there was one; cut to keep all headers under "
    "16 KiB.",
    "orderd-original-bytes": "Only where RabbitMQ refused the dead letter for its size "
    "(`max_message_size` was lowered meanwhile) and its body was cut: the size of the whole.",
    "orderd-original-sha256": "The SHA-256 of the whole body, in the same case.",
    "orderd-expiration": "The property `expiration` of the original, moved here so that the copy "
    "stays.",
    "orderd-user-id": "The property `user_id` of the original, moved here because RabbitMQ accepts "
    "only the publisher's own. One that a producer wrote itself is left out.",
    "orderd-received": "When the message first came, in milliseconds since 1970, and orderd's "
    "signature over that, the header above, queue, id and body; see "
    "[Authorize commands](../how-to/authorize.md#tokens-that-expire-while-a-command-waits).",
    "orderd-expires-at": "Retries and renewed messages: when the command expires, in milliseconds "
    "since 1970, counted from its first delivery to orderd.",
    "orderd-replayed": "Only where `orderctl dlq replay` has published the message again: how "
    "often. It stays with the message.",
    "orderd-edited-by": "Only where `orderctl dlq edit` has changed the body: the operator's login "
    "name.",
    "orderd-place": "Retries: the key by which the command keeps its place.",
    "orderd-renewals": "Renewed messages: how often a copy has replaced the message in its queue.",
    "orderd-clean-stops": "Renewed messages: how many of the recorded tries ended in a clean stop.",
}

CRASH_POINTS: Final = {
    "received": ("Nothing is written.", "processes the message"),
    "decoded": ("Nothing is written.", "processes the message"),
    "tx_begun": ("Nothing is written.", "processes the message"),
    "loaded": ("Nothing is written.", "processes the message"),
    "decided": ("Nothing is written.", "processes the message"),
    "persisted": ("Written, not committed: PostgreSQL rolls back.", "processes the message"),
    "before_commit": ("Written, not committed: PostgreSQL rolls back.", "processes the message"),
    "after_commit": (
        "Effect, ledger and outbox are committed; nothing is published.",
        "finds a duplicate, sends the stored reply, publishes events older than `outbox_grace`",
    ),
    "events_published": (
        "The events may be with the broker, not confirmed.",
        "the same: an event may be published twice, with the same bytes and the same id",
    ),
    "events_confirmed": (
        "The events are with the broker, their rows still in the outbox.",
        "the same",
    ),
    "replies_published": (
        "The replies may be with the broker, not confirmed.",
        "the same: a reply may be sent twice, with the same bytes",
    ),
    "retry_published": (
        "The copy may be with the broker, the original is not acked.",
        "processes the message again; the retry then finds the ledger",
    ),
    "dlq_published": (
        "The copy may be with the broker, the original is not acked.",
        "processes the message again; a second dead letter is possible",
    ),
    "before_ack": ("Everything is published.", "finds a duplicate and sends the stored reply"),
    "after_ack": ("The ack may be with the broker.", "does nothing, or as before"),
    "drain_started": ("Nothing more is acked.", "processes it"),
    "outbox_claimed": (
        "Left-over events are claimed, not published.",
        "publishes them once the claim is older than `outbox_grace`",
    ),
    "outbox_marked": ("The events are published and deleted.", "does nothing"),
    "dlq_replay_published": (
        "`orderctl dlq replay`, `edit`: the copy is in its queue, the dead letter is still there.",
        "processes the copy; the next replay skips the dead letter, which the ledger knows",
    ),
    "notification_recorded": (
        "`orderd-notify`: the sendings of a notification are on record as `sending`.",
        "sends it",
    ),
    "notification_sent": (
        "`orderd-notify`: a server has taken the notification, which is not on record yet.",
        "sends it once more, with the same `Message-ID` or `Webhook-Id`",
    ),
    "notification_noted": (
        "`orderd-notify`: the record says that the notification was sent.",
        "does not send it again",
    ),
}
