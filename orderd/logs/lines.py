"""What a log line looks like: JSON for machines, text for people; always one line, always short."""

import logging
import time
from collections.abc import Mapping
from traceback import format_exception
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from orderd.logs.events import LogEvent
from orderd.logs.fields import FIELD_NAMES
from orderd.logs.redaction import redact
from orderd.protocol.masking import masked, masked_trace

# The journal splits lines at 48 KiB; a JSON text may need six characters for one.
LINE_CHARS_MAX = 47_000
# Cut before secrets are hidden, but far beyond what is kept: else half of one might stay.
_READ_CHARS_MAX = 65_536
_MESSAGE_CHARS_MAX = 4_096
_ERROR_CHARS_MAX = 4_096
_SUMMARY_CHARS_MAX = 1_024
_FIELD_CHARS_MAX = 512
_SHORT_CHARS = 256


class JsonLines(JsonFormatter):
    """One JSON object, in ASCII, so that no tool stumbles over any character."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, _message: dict[str, Any]
    ) -> None:
        """Fill the line, in the order of the documentation."""
        log_data.update(line_fields(record))

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the JSON text; where it would be too long, with every text cut short."""
        line: str = super().jsonify_log_record(log_data)
        if len(line) <= LINE_CHARS_MAX:
            return line
        short = {key: _short(value) for key, value in log_data.items()}
        return str(super().jsonify_log_record(short))


class TextLines(logging.Formatter):
    """Time, level, event, message, then key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; line ends and control characters in it are escaped."""
        fields = line_fields(record)
        head = "{timestamp} {level:8} {event:22} ".format_map(fields)
        tail = "".join(f" {name}={_quoted(fields[name])}" for name in FIELD_NAMES if name in fields)
        line = f"{head}{visible(fields['message'])}{tail}"
        return line if len(line) <= LINE_CHARS_MAX // 4 else f"{line[: LINE_CHARS_MAX // 4]}…"


def line_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the line says: no value is None or over-long, or has a password or token."""
    fields: dict[str, Any] = {
        "timestamp": timestamp(record.created),
        "level": record.levelname,
        "logger": record.name,
        "event": getattr(record, "event", LogEvent.LIBRARY_LOGGED.value),
        "message": _clean(
            masked(redact(record.getMessage()[:_READ_CHARS_MAX])), _MESSAGE_CHARS_MAX
        ),
    }
    given: Mapping[str, object] = getattr(record, "fields", {})
    fields |= {name: _value(given[name]) for name in FIELD_NAMES if given.get(name) is not None}
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = error_text(record.exc_info[1], trace=record.levelno >= logging.ERROR)
    return fields


def timestamp(seconds: float) -> str:
    """Return a time of the epoch as RFC 3339 in UTC, cut to the millisecond."""
    whole_ms = int(seconds * 1_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_ms // 1_000))
    return f"{text}.{whole_ms % 1_000:03d}Z"


def error_text(error: BaseException, *, trace: bool) -> str:
    """Return type and text of the error and of its cause; with trace, the end of that too."""
    summary = _summary(error)
    cause = error.__cause__
    if cause is not None:
        summary = f"{summary}; caused by {_summary(cause)}"
    summary = _clean(masked_trace(redact(summary)), _SUMMARY_CHARS_MAX)
    if not trace:
        return summary
    # The innermost calls stand at the end and say most, so the beginning is what is cut.
    lines = masked_trace(redact("".join(format_exception(error))[-_READ_CHARS_MAX:]))
    return f"{summary}\n{_clean(lines[-(_ERROR_CHARS_MAX - len(summary) - 1) :], _ERROR_CHARS_MAX)}"


def visible(text: str) -> str:
    """Return the text with line ends and other characters that are not shown escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _summary(error: BaseException) -> str:
    text = " ".join(str(error)[:_READ_CHARS_MAX].split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _value(value: object) -> object:
    if isinstance(value, str):
        return _clean(masked(value), _FIELD_CHARS_MAX)
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, int) else _clean(str(value), _FIELD_CHARS_MAX)


def _clean(text: str, chars_max: int) -> str:
    if len(text) > chars_max:
        text = f"{text[: chars_max - 1]}…"
    if text.isascii():
        return text
    # A lone surrogate is no character: strict readers refuse the whole line for it.
    return text.encode("utf-8", "backslashreplace").decode()


def _short(value: object) -> object:
    return _clean(value, _SHORT_CHARS) if isinstance(value, str) else value


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(character in text for character in ' "='):
        return text
    return '"' + visible(text.replace('"', '\\"')) + '"'
