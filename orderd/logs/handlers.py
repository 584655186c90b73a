"""Where log lines go: to stdout, or to systemd's journal; never raises, never blocks for long."""

import logging
import os
from typing import Final

from orderd.logs.events import LogEvent
from orderd.logs.journal import JournalSocket, entry
from orderd.logs.lines import JsonLines, line_fields, visible
from orderd.logs.stream import LogStream

STDOUT: Final = 1
STDERR: Final = 2
IDENTIFIER: Final = "orderd"

# Of syslog(3), as sd-daemon(3) and the journal have them.
_PRIORITIES: Final = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
_NOTICE: Final = 5


class LineHandler(logging.Handler):
    """Formats records to lines and hands them to the stream."""

    where = "stdout"

    def __init__(self, stream: LogStream, *, is_prefixed: bool) -> None:
        super().__init__()
        self.stream = stream
        self._is_prefixed = is_prefixed

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line, after a report of lines that were dropped before it."""
        try:
            self._report_dropped()
            self.deliver(record)
        except Exception:  # noqa: BLE001 (a line that cannot be made must not stop the work)
            self.stream.dropped += 1

    def deliver(self, record: logging.LogRecord) -> bool:
        """Write the record's line and return True, or count it as dropped."""
        return self.stream.write(self._line(record))

    def has_room(self) -> bool:
        """Return whether a line is worth a try."""
        return self.stream.has_room()

    def flush(self) -> None:
        """Write what is left of the last line."""
        self.stream.finish()

    def _report_dropped(self) -> None:
        dropped = self.stream.dropped
        if dropped and self.has_room():
            event = LogEvent.LOG_DROPPED
            message = f"{dropped} log lines were dropped because {self.where} did not accept them"
            record = logging.LogRecord(IDENTIFIER, event.level, "", 0, message, None, None)
            record.event = event.value
            # The report itself is not counted: either it is out, or the count is as before.
            self.stream.dropped = 0 if self.deliver(record) else dropped

    def _line(self, record: logging.LogRecord) -> bytes:
        line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        if not self._is_prefixed:
            return line
        return b"<%d>%s" % (priority(record.levelno), line)


class JournalHandler(LineHandler):
    """Hands records to the journal, each field of a line as one of the entry.

    Where there is no journal, the lines go to *stream*, which is stderr, as JSON.
    """

    where = "the journal"

    def __init__(self, journal: JournalSocket, stream: LogStream, *, is_prefixed: bool) -> None:
        super().__init__(stream, is_prefixed=is_prefixed)
        self._journal = journal
        self.setFormatter(JsonLines())

    def deliver(self, record: logging.LogRecord) -> bool:
        """Hand the record to the journal and return True, or count it as dropped."""
        try:
            is_taken = self._journal.send(journal_entry(record))
        except OSError:
            return super().deliver(record)
        if not is_taken:
            self.stream.dropped += 1
        return is_taken

    def has_room(self) -> bool:
        """Return True: what the journal takes is known only by trying."""
        return True

    def close(self) -> None:
        """Release the socket."""
        self._journal.close()
        super().close()


def journal_entry(record: logging.LogRecord) -> bytes:
    """Return the record for the journal: the fields of its line, and those that all entries have.

    In the message, characters that a terminal would not show are escaped: else journalctl shows
    none of it.
    """
    fields = line_fields(record)
    fields["message"] = visible(fields["message"])
    own = {"priority": priority(record.levelno), "syslog_identifier": IDENTIFIER}
    return entry(fields | own)


def priority(level: int) -> int:
    """Return the syslog priority of a level of the log."""
    return _PRIORITIES.get(level, _NOTICE)


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
