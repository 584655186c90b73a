"""The settings that decide what becomes of messages, in one place that a reload replaces."""

from dataclasses import dataclass, field, fields

from orderd.protocol.names import own_queues
from orderd.shop.authorize import Grants, Verifies


@dataclass(slots=True)
class Policy:
    """How messages are read, tried, retried and answered.

    `grants` tells which token may send what, None where every command is allowed; `verifier` tells
    it of JWTs, None where they are not accepted. A command is tried again after each of
    `retry_delays_s`, and waits at most `lock_patience_s` for a lock. The crash number
    `poison_after` before its ack is the last of a message. `trip_after` different messages of an
    action that fail unexpectedly pause their queue. `own_queues` get no replies.
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
    own_queues: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the rest."""
        self.own_queues = own_queues(self.retry_delays_s)

    @property
    def attempts_max(self) -> int:
        """How often a command is tried again before it is dead-lettered."""
        return len(self.retry_delays_s)

    def replace(self, other: "Policy") -> None:
        """Take over the values of *other*, for all parts that were given this policy."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
