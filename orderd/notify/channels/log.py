"""The channel that needs no server: a line in the daemon's log."""

from typing import Final

from orderd.logs.logger import LogEvent, emit
from orderd.notify.message import Message
from orderd.notify.texts import line

_TEXT_CHARS_MAX: Final = 8_000


class LogChannel:
    """Logs each message as one line, at INFO."""

    kind: Final = "log"

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message) -> None:
        """Log the message; a log that is closed or full disturbs nothing."""
        text = line(f"{message.subject}: {message.text}", _TEXT_CHARS_MAX)
        emit(LogEvent.NOTIFICATION_SENT, text, id=message.id, action=message.type)

    def rest(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""
