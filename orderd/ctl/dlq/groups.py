"""Groups of dead letters: those of one queue, action, code and reason but for its values."""

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.reasons import without_values
from orderd.protocol.names import HEADER_REASON
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import dumps
from orderd.protocol.values import value

# What a message says is no reason to fill the memory: the rest is counted in one line.
GROUPS_MAX: Final = 1000
_DIGEST_BYTES: Final = 5
_ID: Final = re.compile(f"[0-9a-f]{{{2 * _DIGEST_BYTES}}}")
_ACTION_CHARACTERS_MAX: Final = 40
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@value
class Cause:
    """What the dead letters of a group have in common; empty where a message does not say it."""

    queue: str
    action: str
    code: str
    reason: str

    @property
    def group(self) -> str:
        """The id of the group: the same in each run, on each machine."""
        said = dumps([self.queue, self.action, self.code, self.reason])
        return blake2b(said.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(slots=True)
class Group:
    """The dead letters of one cause; `replayed` of them had been replayed before."""

    cause: Cause
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    sample_id: str | None = None
    replayed: int = 0

    def add(self, dead_letter: DeadLetter) -> None:
        """Count *dead_letter*."""
        self.count += 1
        self.replayed += dead_letter.replayed > 0
        self.sample_id = self.sample_id or dead_letter.request_id
        moment = dead_letter.failed_at
        if moment is not None:
            self.first = min(self.first or moment, moment)
            self.last = max(self.last or moment, moment)

    def document(self) -> dict[str, Any]:
        """Return the group for JSON."""
        return {
            "group": self.cause.group,
            "queue": self.cause.queue,
            "action": self.cause.action or None,
            "code": self.cause.code or None,
            "reason": self.cause.reason or None,
            "count": self.count,
            "first": None if self.first is None else rfc3339(self.first),
            "last": None if self.last is None else rfc3339(self.last),
            "sample_id": self.sample_id,
            "replayed": self.replayed,
        }


class Groups:
    """The groups of dead letters, of which at most `GROUPS_MAX` are told apart."""

    def __init__(self) -> None:
        """Begin without any; `others` counts what is in none of them."""
        self._by_cause: dict[Cause, Group] = {}
        self.others = 0

    def add_all(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Count *dead_letters*, and keep none of them."""
        for dead_letter in dead_letters:
            cause = cause_of(dead_letter)
            group = self._by_cause.get(cause)
            if group is None:
                if len(self._by_cause) == GROUPS_MAX:
                    self.others += 1
                    continue
                group = self._by_cause[cause] = Group(cause)
            group.add(dead_letter)

    def ranked(self) -> list[Group]:
        """Return the groups, the largest first, of two of one size that which began earlier."""
        return sorted(self._by_cause.values(), key=lambda each: (-each.count, each.first or _NEVER))


def cause_of(dead_letter: DeadLetter) -> Cause:
    """Return the cause that *dead_letter* tells."""
    return Cause(
        dead_letter.origin,
        (dead_letter.action or "")[:_ACTION_CHARACTERS_MAX],
        dead_letter.code or "",
        without_values(dead_letter.text(HEADER_REASON) or ""),
    )


def group_id(value: str) -> str:
    """Return *value*, an argument, if it can be the id of a group."""
    if _ID.fullmatch(value) is None:
        raise argparse.ArgumentTypeError(
            f"must be a group of orderctl dlq groups: {2 * _DIGEST_BYTES} digits and letters a to f"
        )
    return value
