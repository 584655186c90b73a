"""Logs events, one line or entry each; a closed or full log does not disturb the work."""

import logging
from typing import Literal, Unpack

from orderd.logs.descriptors import occupy
from orderd.logs.events import LogEvent
from orderd.logs.fields import LogFields
from orderd.logs.handlers import STDERR, STDOUT, JournalHandler, LineHandler, is_journal
from orderd.logs.journal import PATH, JournalSocket
from orderd.logs.lines import JsonLines, TextLines
from orderd.logs.stream import LogStream

__all__ = ["LogEvent", "LogFields", "configure", "emit", "is_enabled", "silence_libraries"]

LogFormat = Literal["json", "text", "journal"]
PriorityPrefix = Literal["auto", "always", "never"]

_LOGGER = logging.getLogger("orderd")
# These libraries log at length what orderd reports itself.
_SILENCED = ("pika",)


def emit(
    event: LogEvent,
    message: str,
    *,
    level: int | None = None,
    error: BaseException | None = None,
    **fields: Unpack[LogFields],
) -> None:
    """Log one line at the event's own level, or at the one given, without fields that are None.

    Of an error its type and text are logged, and its trace too from level ERROR on.
    """
    severity = event.level if level is None else level
    if not _LOGGER.isEnabledFor(severity):
        return
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(_LOGGER.name, severity, "", 0, message, None, exc_info)
    record.event = event.value
    record.fields = fields
    _LOGGER.handle(record)


def is_enabled(event: LogEvent) -> bool:
    """Return whether a line of the event would be logged, so that its making can be saved."""
    return _LOGGER.isEnabledFor(event.level)


def configure(
    level: str = "info",
    log_format: LogFormat = "json",
    priority_prefix: PriorityPrefix = "auto",
    *,
    stream: LogStream | None = None,
    journal_path: str = PATH,
) -> None:
    """Log to stdout, or to *stream*, or to the journal, from now on; again after a reload."""
    occupy()
    root = logging.getLogger()
    is_journal_wanted = log_format == "journal"
    kind = JournalHandler if is_journal_wanted else LineHandler
    stream = stream or _former(root, kind) or LogStream(STDERR if is_journal_wanted else STDOUT)
    is_prefixed = priority_prefix == "always" or (
        priority_prefix == "auto" and is_journal(stream.descriptor)
    )
    if is_journal_wanted:
        journal = JournalSocket(journal_path)
        handler: LineHandler = JournalHandler(journal, stream, is_prefixed=is_prefixed)
    else:
        handler = LineHandler(stream, is_prefixed=is_prefixed)
        handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    _replace(root, handler)
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level.upper())
    silence_libraries()
    logging.captureWarnings(capture=True)
    # A line that cannot be logged is counted; no traceback goes to stderr.
    logging.raiseExceptions = False


def _former(root: logging.Logger, kind: type[LineHandler]) -> LogStream | None:
    """Return the stream of a handler of this kind: it may have half a line to finish."""
    return next((one.stream for one in root.handlers if type(one) is kind), None)


def _replace(root: logging.Logger, handler: LineHandler) -> None:
    """Log to *handler* alone, which takes over the count of dropped lines."""
    for former in root.handlers[:]:
        if isinstance(former, LineHandler):
            root.removeHandler(former)
            former.close()
            if former.stream is not handler.stream:
                former.flush()
                handler.stream.dropped += former.stream.dropped
    root.addHandler(handler)


def silence_libraries() -> None:
    """Keep libraries quiet about what orderd reports itself; for programs without this log."""
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
