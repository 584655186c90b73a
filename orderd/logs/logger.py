"""Logs events, one line each on stdout; a closed or full stdout does not disturb the work."""

import logging
import os
from typing import Literal, Unpack

from orderd.logs.descriptors import occupy
from orderd.logs.events import LogEvent, LogFields
from orderd.logs.lines import JsonLines, TextLines
from orderd.logs.stream import LogStream

__all__ = ["LogEvent", "LogFields", "configure", "emit", "is_enabled", "silence_libraries"]

LogFormat = Literal["json", "text"]
PriorityPrefix = Literal["auto", "always", "never"]

_LOGGER = logging.getLogger("orderd")
# These libraries log at length what orderd reports itself.
_SILENCED = ("pika",)
_PRIORITIES = {
    logging.CRITICAL: b"<2>",
    logging.ERROR: b"<3>",
    logging.WARNING: b"<4>",
    logging.INFO: b"<6>",
    logging.DEBUG: b"<7>",
}


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
) -> None:
    """Log to stdout, or to *stream*, from now on; call it again after a reload."""
    occupy()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, LineHandler):
            # Its count of dropped lines and the rest of its last line must not be lost.
            stream = stream or handler.stream
            root.removeHandler(handler)
    stream = stream or LogStream()
    is_prefixed = priority_prefix == "always" or (
        priority_prefix == "auto" and is_journal(stream.descriptor)
    )
    handler = LineHandler(stream, is_prefixed=is_prefixed)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level.upper())
    silence_libraries()
    logging.captureWarnings(capture=True)
    # A line that cannot be logged is counted; no traceback goes to stderr.
    logging.raiseExceptions = False


def silence_libraries() -> None:
    """Keep libraries quiet about what orderd reports itself; for programs without this log."""
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def is_journal(descriptor: int) -> bool:
    """Return whether the descriptor leads to systemd's journal."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    if not (device.isdecimal() and inode.isdecimal()):
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (int(device), int(inode))


class LineHandler(logging.Handler):
    """Formats records to lines and hands them to the stream; never raises, never prints."""

    def __init__(self, stream: LogStream, *, is_prefixed: bool) -> None:
        super().__init__()
        self.stream = stream
        self._is_prefixed = is_prefixed

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line, after a report of lines that were dropped before it."""
        try:
            self._report_dropped()
            self.stream.write(self._line(record))
        except Exception:  # noqa: BLE001 (a line that cannot be made must not stop the work)
            self.stream.dropped += 1

    def flush(self) -> None:
        """Write what is left of the last line."""
        self.stream.finish()

    def _report_dropped(self) -> None:
        dropped = self.stream.dropped
        if dropped and self.stream.has_room():
            event = LogEvent.LOG_DROPPED
            message = f"{dropped} log lines were dropped because stdout did not accept them"
            record = logging.LogRecord(_LOGGER.name, event.level, "", 0, message, None, None)
            record.event = event.value
            # The report itself is not counted: either it is out, or the count is as before.
            self.stream.dropped = 0 if self.stream.write(self._line(record)) else dropped

    def _line(self, record: logging.LogRecord) -> bytes:
        line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        if not self._is_prefixed:
            return line
        return _PRIORITIES.get(record.levelno, b"<5>") + line
