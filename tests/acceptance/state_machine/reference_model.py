"""What is asked, what is told, and the shop as dictionaries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Event = tuple[str, str, Row]


@dataclass(frozen=True, slots=True)
class Request:
    """A message as its producer means it: `spoilt` is the code of one that is no command.

    `key` tells messages apart, `id` is the request's.
    """

    key: str
    queue: str
    action: str = ""
    data: Row = field(default_factory=dict)
    id: str = ""
    version: str = "v1"
    spoilt: str = ""

    @property
    def is_query(self) -> bool:
        return self.action == "get"

    @property
    def content(self) -> str:
        """What counts as the same request, and what as another one."""
        said = [self.queue, self.action, self.version, self.data]
        return json.dumps(said, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller is told: a row without its times, or a code; `text` where it is promised."""

    row: Row | None = None
    code: str = ""
    text: str | None = None

    def is_like(self, reply: Mapping[str, Any]) -> bool:
        """Return whether a reply says this."""
        if self.row is not None:
            return reply["status"] == "ok" and timeless(reply["data"] or {}) == self.row
        return reply.get("code") == self.code and self.text in (None, reply["error"])


@dataclass(frozen=True, slots=True)
class ReferenceModel:
    """Every row of the shop by table and id, and what each request id was told.

    `cursed` are the ids of which the database refuses to write anything.
    """

    users: Mapping[int, Row] = field(default_factory=dict)
    products: Mapping[int, Row] = field(default_factory=dict)
    orders: Mapping[int, Row] = field(default_factory=dict)
    ledger: Mapping[str, tuple[str, Told]] = field(default_factory=dict)
    cursed: frozenset[str] = frozenset()


def timeless(row: Mapping[str, Any]) -> Row:
    """Return *row* without its times, which no model can predict."""
    return {name: row[name] for name in row if name not in ("created_at", "updated_at")}
