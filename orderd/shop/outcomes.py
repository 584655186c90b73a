"""The closed set of ways in which a delivery can end; `name` is what the log calls it."""

from enum import StrEnum
from typing import ClassVar

from orderd.protocol.envelope import Invalid
from orderd.protocol.names import (
    DeferralCode,
    OutcomeName,
    Queue,
    UnavailableCode,
)
from orderd.protocol.replies import Response
from orderd.protocol.rows import Row
from orderd.protocol.values import value
from orderd.shop.turns import Place

__all__ = [
    "Answered",
    "Applied",
    "CommittedUnacked",
    "Deferred",
    "Done",
    "Duplicate",
    "Invalid",
    "Outcome",
    "Quarantined",
    "Refused",
    "Unavailable",
    "Undeliverable",
    "Unreachable",
    "Waiting",
]


@value
class Applied:
    """The command was carried out: `row` is the answer, `changes` every row that is new or other.

    `events` are event types, each with the row as it was then; none where nothing changed.
    """

    name: ClassVar = OutcomeName.APPLIED
    row: Row
    changes: tuple[Row, ...] = ()
    events: tuple[tuple[StrEnum, Row], ...] = ()


@value
class Answered:
    """A query was answered; `data` is JSON text."""

    name: ClassVar = OutcomeName.ANSWERED
    data: str


@value
class Unavailable:
    """A query cannot be answered; its caller is told why, and may ask again."""

    name: ClassVar = OutcomeName.UNAVAILABLE
    code: UnavailableCode
    message: str


@value
class Refused:
    """A business rule said no.

    `missing` names the queue that could still bring what the command refers to.
    """

    name: ClassVar = OutcomeName.REFUSED
    code: StrEnum
    message: str
    missing: Queue | None = None


@value
class Duplicate:
    """The request was settled before; `response` is what was answered then."""

    name: ClassVar = OutcomeName.DUPLICATE
    response: Response


@value
class Deferred:
    """The command may work later; `error` is for the dead letter, should it never.

    `place` is the key by which it keeps its place, empty where it has none. `lock` tells of the
    lock that it waits for, which costs it no attempt. With `is_last` it is not tried again; before
    `delay_s` seconds it need not be.
    """

    name: ClassVar = OutcomeName.DEFERRED
    code: DeferralCode
    message: str
    error: str = ""
    place: str = ""
    lock: str = ""
    is_last: bool = False
    delay_s: float = 0.0


@value
class Waiting:
    """The command waits behind an earlier one of its row that was deferred, or still for a lock.

    That costs it no attempt. `place` is the key by which it keeps its own place, and `lock` tells
    of the lock, where it waits for one.
    """

    name: ClassVar = OutcomeName.DEFERRED
    message: str
    place: str = ""
    lock: str = ""

    @classmethod
    def behind(cls, ahead: Place) -> "Waiting":
        """Return the outcome of a command that has *ahead* before it in its line."""
        return cls(f"an earlier command for the same row is pending: {ahead}")


@value
class Done:
    """A notification went to all who are to have it; `reached` names the channels used for it."""

    name: ClassVar = OutcomeName.APPLIED
    reached: tuple[str, ...] = ()


@value
class Undeliverable:
    """A server has refused a notification for good; `message` has its answer."""

    name: ClassVar = OutcomeName.REFUSED
    code: str
    message: str


@value
class Unreachable:
    """The server of a channel is away, which is an outage and costs the message nothing.

    `place` identifies the message when it comes again.
    """

    name: ClassVar = OutcomeName.DEFERRED
    channel: str
    message: str
    place: str = ""


@value
class Quarantined:
    """The daemon died in each of so many tries at the message; it is not tried again."""

    name: ClassVar = OutcomeName.QUARANTINED
    tries: int


@value
class CommittedUnacked:
    """The command took effect, but the daemon died in each of so many tries to settle it."""

    name: ClassVar = OutcomeName.QUARANTINED
    tries: int


Outcome = (
    Applied
    | Answered
    | Unavailable
    | Refused
    | Duplicate
    | Deferred
    | Done
    | Undeliverable
    | Unreachable
    | Waiting
    | Invalid
    | Quarantined
    | CommittedUnacked
)
