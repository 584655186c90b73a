"""The settings that decide what becomes of messages, in one place that a reload replaces."""

import re
from dataclasses import dataclass, field, fields
from typing import Final

from orderd.amqp.reply_address import REPLY_TO
from orderd.protocol.metrics import UnsentReason
from orderd.protocol.names import is_retry_queue, own_queues
from orderd.shop.authorize import Grants, Verifies

# In a pattern of names: any text.
ANY: Final = "*"


@dataclass(slots=True)
class Policy:
    """How messages are read, tried, retried and answered.

    `grants` tells which token may send what, None where every command is allowed; `verifier` tells
    it of JWTs, None where they are not accepted. A command is tried again after each of
    `retry_delays_s`, and waits at most `lock_patience_s` for a lock. The crash number
    `poison_after` before its ack is the last of a message. `trip_after` different messages of an
    action that fail unexpectedly pause their queue. Replies go to the queues whose names match
    one of `reply_queues`, where `*` is any text, and to none of `own_queues`.
    """

    body_bytes_max: int
    reply_bytes_max: int
    retry_delays_s: tuple[float, ...]
    lock_patience_s: float
    poison_after: int
    trip_after: int
    events_source: str
    grants: Grants
    verifier: Verifies | None = None
    reply_queues: tuple[str, ...] = (ANY,)
    own_queues: frozenset[str] = field(init=False)
    _allowed: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the rest."""
        self.own_queues = own_queues(self.retry_delays_s)
        patterns = (re.escape(each).replace(re.escape(ANY), ".*") for each in self.reply_queues)
        self._allowed = re.compile("|".join(patterns) or "(?!)", re.DOTALL)

    def unsent(self, reply_to: str) -> UnsentReason | None:
        """Return why no reply may go to *reply_to*, None where it may."""
        if reply_to in self.own_queues or is_retry_queue(reply_to):
            return UnsentReason.OWN_QUEUE
        is_direct = reply_to.startswith(f"{REPLY_TO}.")
        if is_direct or self._allowed.fullmatch(reply_to):
            return None
        return UnsentReason.NOT_ALLOWED

    @property
    def attempts_max(self) -> int:
        """How often a command is tried again before it is dead-lettered."""
        return len(self.retry_delays_s)

    def replace(self, other: "Policy") -> None:
        """Take over the values of *other*, for all parts that were given this policy."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
