"""What the broker has answered to a sequence of published messages."""

from collections.abc import Sequence
from typing import Any

from orderd.amqp.message import OutgoingMessage

NACKED = "nacked"


def returned(method: Any) -> str:
    """Return why the broker gave a message back, in its own words."""
    return f"returned: {method.reply_code} {method.reply_text}"


class Receipt:
    """The answers to *messages*, whose delivery tags begin at *first_tag*.

    `failed` maps the index of a message to why it was not taken: ``returned: 312 NO_ROUTE``
    or ``nacked``. It is complete once `done`.
    """

    __slots__ = ("_first_tag", "_last_tag", "_messages", "_waiting", "failed")

    def __init__(self, messages: Sequence[OutgoingMessage], first_tag: int) -> None:
        self._messages = messages
        self._first_tag = first_tag
        self._last_tag = first_tag + len(messages) - 1
        self._waiting = set(range(first_tag, first_tag + len(messages)))
        self.failed: dict[int, str] = {}

    @property
    def done(self) -> bool:
        """Whether every message has its answer."""
        return not self._waiting

    @property
    def outstanding(self) -> int:
        """How many messages have no answer yet."""
        return len(self._waiting)

    @property
    def unanswered(self) -> list[int]:
        """The indexes of the messages without an answer, in order."""
        return sorted(tag - self._first_tag for tag in self._waiting)

    def settle(self, tag: int, *, multiple: bool, nacked: bool) -> None:
        """Note the broker's answer to *tag*, and with *multiple* to all before it."""
        if not multiple:
            settled = {tag} if tag in self._waiting else set()
        elif tag >= self._last_tag:
            settled = self._waiting
        else:
            settled = {waiting for waiting in self._waiting if waiting <= tag}
        if nacked:
            for failed in settled:
                self.failed.setdefault(failed - self._first_tag, NACKED)
        self._waiting = self._waiting - settled

    def note_return(self, returned: OutgoingMessage, why: str) -> bool:
        """Note that the broker returned a message equal to *returned*; false if it is not here.

        A return does not say which tag it belongs to, and acks of earlier messages may come
        between it and its own: so it is the first unanswered one with the same content.
        """
        for tag in sorted(self._waiting):
            index = tag - self._first_tag
            message = self._messages[index]
            if index not in self.failed and message.mandatory and _same(message, returned):
                self.failed[index] = why
                return True
        return False


def _same(message: OutgoingMessage, returned: OutgoingMessage) -> bool:
    # The broker may change headers and the reply address on the way, so these are left out.
    return (
        message.routing_key == returned.routing_key
        and message.exchange == returned.exchange
        and message.properties.message_id == returned.properties.message_id
        and message.body == returned.body
    )
