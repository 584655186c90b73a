"""What the broker has answered to a sequence of published messages."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from orderd.amqp.message import OutgoingMessage

NACKED = "nacked"
# Whether the broker has it is not known: it has not said so in time, or could not.
UNANSWERED = "no answer"
LOST = "the connection was lost"
RETURNED = "returned: "


def returned(method: Any) -> str:
    """Return why the broker gave a message back, in its own words."""
    return f"{RETURNED}{method.reply_code} {method.reply_text}"


class PublishConfirms:
    """The answers to *messages*, whose delivery tags count up from *first_tag*.

    `failed` maps the index of a message to why it was not taken: ``returned: 312 NO_ROUTE``,
    ``nacked``, or the broker's reason to close the channel over it. Those in *refused* have failed
    before they were sent, and have no tag. It is complete once `done`.
    """

    __slots__ = ("_messages", "_waiting", "failed")

    def __init__(
        self,
        messages: Sequence[OutgoingMessage],
        first_tag: int,
        refused: Mapping[int, str] | None = None,
    ) -> None:
        self._messages = messages
        self.failed: dict[int, str] = dict(refused or {})
        sent = [index for index in range(len(messages)) if index not in self.failed]
        # Tag to index, in the order of sending.
        self._waiting = dict(enumerate(sent, first_tag))

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
        return [*self._waiting.values()]

    def message(self, index: int) -> OutgoingMessage:
        """Return the message with that *index*."""
        return self._messages[index]

    def close(self, index: int, why: str | None) -> None:
        """Note what became of an unanswered message in another way: taken, or refused and *why*."""
        self._waiting = {tag: each for tag, each in self._waiting.items() if each != index}
        if why is not None:
            self.failed.setdefault(index, why)

    def close_all(self, why: str) -> None:
        """Note that no answer is waited for any more."""
        for index in self._waiting.values():
            self.failed.setdefault(index, why)
        self._waiting.clear()

    def settle(self, tag: int, *, multiple: bool, nacked: bool) -> None:
        """Note the broker's answer to *tag*, and with *multiple* to all before it."""
        if multiple:
            settled = [*takewhile(tag.__ge__, self._waiting)]
        else:
            settled = [tag] if tag in self._waiting else []
        for each in settled:
            index = self._waiting.pop(each)
            if nacked:
                self.failed.setdefault(index, NACKED)

    def note_return(self, returned: OutgoingMessage, why: str) -> bool:
        """Note that the broker returned a message equal to *returned*; false if it is not here.

        A return does not say which tag it belongs to, and acks of earlier messages may come
        between it and its own: so it is the first unanswered one with the same content.
        """
        for index in self._waiting.values():
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
