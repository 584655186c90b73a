"""Logs what became of a delivery; all wording of that is here."""

from collections import Counter
from hashlib import sha256
from typing import Final, cast

from orderd.amqp.publish_confirms import RETURNED
from orderd.logs.fields import LogFields
from orderd.logs.logger import LogEvent, emit, is_enabled
from orderd.logs.rate_limit import RateLimit
from orderd.pipeline.results import Result
from orderd.protocol.amqp10 import is_address
from orderd.protocol.metrics import UnsentReason
from orderd.protocol.rows import Row
from orderd.shop.outcomes import (
    Answered,
    Applied,
    CommittedUnacked,
    Deferred,
    Done,
    Duplicate,
    Invalid,
    Quarantined,
    Refused,
    Unavailable,
    Undeliverable,
    Unreachable,
    Waiting,
)
from orderd.shop.registry import SHOP

_TOLD_EVERY_S: Final = 10.0
_NO_QUEUE: Final = "this is an AMQP 1.0 address; set reply_to to the queue's name only"
_IGNORED: Final = {
    UnsentReason.OWN_QUEUE: "one of orderd's own queues",
    UnsentReason.NOT_ALLOWED: "which reply_queues does not allow",
}


class Reporter:
    """Logs outcomes: refusals at WARNING, the ordinary course at DEBUG."""

    def __init__(self, unsent: Counter[str] | None = None) -> None:
        """Start with nothing logged yet; count replies that are not sent in *unsent*."""
        self._unsent = Counter[str]() if unsent is None else unsent
        self._unidentified_seen = False
        self._are_rerouted = False
        self._refusals = RateLimit(_TOLD_EVERY_S)

    def settled(self, result: Result) -> None:
        """Log the outcome of a command; those that are retried have methods of their own."""
        match result.outcome:
            case Applied(row):
                self._note_unidentified(result)
                if is_enabled(LogEvent.COMMAND_APPLIED):
                    emit(LogEvent.COMMAND_APPLIED, "applied", **(_fields(result) | _row_id(row)))
            case Answered():
                _emit_if_enabled(LogEvent.COMMAND_ANSWERED, "answered", result)
            case Duplicate():
                _emit_if_enabled(LogEvent.COMMAND_DUPLICATED, "stored reply sent again", result)
            case Unavailable(code, message):
                emit(LogEvent.QUERY_FAILED, message, **_fields(result, code))
            case Refused(code, message):
                self._note_unidentified(result)
                emit(LogEvent.COMMAND_REFUSED, message, **_fields(result, code))
            case CommittedUnacked(tries):
                message = f"applied but not acknowledged: the daemon died in each of {tries} tries"
                emit(LogEvent.MESSAGE_QUARANTINED, message, **_fields(result))
            case Invalid() | Deferred() | Waiting() | Quarantined():
                pass
            case Done() | Undeliverable() | Unreachable():
                # Each sending has a line of its own.
                pass

    def deferred(self, result: Result, delay_s: float) -> None:
        """Tell that a command is tried again in *delay_s* seconds."""
        outcome = result.outcome
        if isinstance(outcome, Deferred):
            message = f"retry in {delay_s:g} s: {outcome.message}"
            fields = _fields(result, outcome.code)
            fields["attempt"] = result.attempt + (not outcome.lock)
            emit(LogEvent.COMMAND_DEFERRED, message, **fields)
        elif isinstance(outcome, Waiting) and is_enabled(LogEvent.COMMAND_POSTPONED):
            fields = _fields(result)
            fields["attempt"] = result.attempt
            emit(
                LogEvent.COMMAND_POSTPONED, f"waits for {delay_s:g} s: {outcome.message}", **fields
            )

    def dead_lettered(self, result: Result, code: str, reason: str) -> None:
        """Tell that a message went to the dead letters, and why."""
        fields = _fields(result, code)
        fields["attempt"] = result.attempt
        emit(LogEvent.MESSAGE_DEAD_LETTERED, reason, **fields)

    def truncated(self, result: Result, bytes_kept: int) -> None:
        """Tell that a dead letter keeps only the beginning of its message, and what is lost."""
        body = result.delivery.body
        text = (
            f"RabbitMQ accepts no dead letter of {len(body)} bytes (max_message_size): it has only "
            f"the first {bytes_kept}; sha256 of the original: {sha256(body).hexdigest()}"
        )
        emit(LogEvent.MESSAGE_TRUNCATED, text, **_fields(result))

    def held_back(self, queue: str, messages: int, why: str, delay_s: float) -> None:
        """Tell that *queue* refuses messages that must go there, and that they wait for it."""
        text = f"queue {queue} refused {messages} messages ({why}); retry in {delay_s:g} s"
        emit(LogEvent.MESSAGE_HELD_BACK, text)

    def held_too_long(self, messages: int) -> None:
        """Tell that messages went back to their queues since another one refuses them for long."""
        emit(
            LogEvent.MESSAGE_REQUEUED,
            f"{messages} messages returned to their queues after being held too long",
        )

    def topology_changed(self, fault: Exception) -> None:
        """Log that another client has declared a queue in a way orderd cannot use."""
        emit(LogEvent.MESSAGE_HELD_BACK, str(fault))

    def renewed(self, messages: int) -> None:
        """Tell that copies took the place of messages that the broker might soon have dropped."""
        if messages:
            text = f"{messages} messages renewed before reaching their queue's delivery limit"
            emit(LogEvent.MESSAGE_RENEWED, text)

    def query_unanswered(self, result: Result) -> None:
        """Tell that a query has no reply_to."""
        emit(LogEvent.QUERY_UNANSWERED, "the query has no reply_to", **_fields(result))

    def reply_ignored(self, result: Result, reply_to: str, reason: UnsentReason) -> None:
        """Tell that a reply would have gone to a queue to which none may go."""
        self._unsent[reason] += 1
        text = f"no reply sent: reply_to is {reply_to!r}, {_IGNORED[reason]}"
        emit(LogEvent.REPLY_IGNORED, text, **_fields(result))

    def reply_dropped(self, result: Result, why: str) -> None:
        """Log that the reply queue is gone, or that the broker refused the reply."""
        reply_to = result.delivery.properties.reply_to
        if not why.startswith(RETURNED):
            self._unsent[UnsentReason.REFUSED] += 1
        if is_address(reply_to or ""):
            emit(
                LogEvent.REPLY_IGNORED,
                f"reply to {reply_to}: {why}; {_NO_QUEUE}",
                **_fields(result),
            )
            return
        if not why.startswith(RETURNED):
            told = self._refusals.told(f"reply to {reply_to}: {why}", kind=why.split(maxsplit=1)[0])
            if told is not None:
                emit(LogEvent.REPLY_REFUSED, told, **_fields(result))
                return
        if is_enabled(LogEvent.REPLY_DROPPED):
            emit(LogEvent.REPLY_DROPPED, f"reply to {reply_to}: {why}", **_fields(result))

    def replies_rerouted(self, why: str, delay_s: float) -> None:
        """Tell, once, that direct replies have no connection of their own; tried again later."""
        if not self._are_rerouted:
            self._are_rerouted = True
            text = f"direct replies use the publishing connection, because theirs failed: {why}"
            emit(LogEvent.REPLIES_REROUTED, f"{text}; retry in {delay_s:g} s")

    def replies_apart(self) -> None:
        """Tell that direct replies have a connection of their own, if that is new."""
        if self._are_rerouted:
            self._are_rerouted = False
            emit(LogEvent.REPLIES_RESTORED, "direct replies have a connection of their own again")

    def _note_unidentified(self, result: Result) -> None:
        if not self._unidentified_seen and result.request_id is None:
            self._unidentified_seen = True
            emit(
                LogEvent.REQUEST_UNIDENTIFIED,
                "a command without an id is applied once per delivery: a crash between commit and "
                "ack applies it again (logged once)",
                **_fields(result),
            )


def _emit_if_enabled(event: LogEvent, message: str, result: Result) -> None:
    """Log a routine line; its fields are made only if its level is enabled."""
    if is_enabled(event):
        emit(event, message, **_fields(result))


def _fields(result: Result, code: str | None = None) -> LogFields:
    return {
        "queue": str(result.delivery.queue),
        "action": None if result.command is None else result.command.action,
        "id": result.request_id,
        "correlation_id": result.correlation_id,
        "actor": result.actor,
        "code": code,
        "outcome": result.outcome.name,
    }


def _row_id(row: Row) -> LogFields:
    entity = SHOP.by_row[type(row)]
    ids = {name: getattr(row, column) for name, column in entity.logged.items()}
    return cast("LogFields", {f"{entity.queue}_id": row.id, **ids})
