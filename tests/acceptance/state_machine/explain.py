"""One order in which everything happened: what was told, and the rows, must be those of it.

Queues are independent and daemons work side by side, so many orders are allowed; but one of them
has to explain all that was seen. It is searched for, one message after the other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from tests.acceptance.state_machine.model import tell
from tests.acceptance.state_machine.reference_model import Event, ReferenceModel, Request, Row, Told

Tables = Mapping[str, Mapping[int, Row]]


@dataclass(frozen=True)
class Seen:
    """A request with what it was told.

    Where `position` is given, it comes after those of its queue with a lower one.
    """

    request: Request
    body: bytes
    position: int | None = None

    @cached_property
    def reply(self) -> Row:
        """What the body says, exact to the digit."""
        return dict(json.loads(self.body, parse_float=Decimal))

    def must_wait_for(self, other: "Seen") -> bool:
        """Return whether *other* has to happen first."""
        if self.position is None or other.position is None:
            return False
        return other.request.queue == self.request.queue and other.position < self.position


@dataclass(frozen=True, slots=True)
class Happened:
    """A request in its place, with what follows from it there."""

    request: Request
    seen: bytes
    told: Told
    events: Sequence[Event]


class Unexplained(AssertionError):
    """No order of what was asked gives what was seen."""


class Search:
    """The search for the order in which *seen* happened, from *model* to *tables*."""

    def __init__(self, model: ReferenceModel, seen: Sequence[Seen], tables: Tables) -> None:
        self._start = model
        self._seen = seen
        self._tables = tables
        self._ids = {one.request.id for one in seen}
        self._dead_ends: set[str] = set()
        self._longest: list[Happened] = []
        self._contradiction = ""

    def result(self) -> tuple[ReferenceModel, list[Happened]]:
        """Return the model at the end and what happened, in order, or raise Unexplained."""
        found = self._go_on(self._start, [], list(self._seen))
        if found is None:
            so_far = "".join(f"\n  {one.request} was told {one.told}" for one in self._longest)
            raise Unexplained(f"{self._contradiction}\nAt most explained:{so_far or ' nothing'}")
        return found

    def _go_on(
        self, model: ReferenceModel, before: list[Happened], left: list[Seen]
    ) -> tuple[ReferenceModel, list[Happened]] | None:
        if not left:
            return (model, before) if self._are_as_seen(model, before) else None
        place = self._place(model, left)
        if place in self._dead_ends:
            return None
        for one in left:
            if any(one.must_wait_for(other) for other in left):
                continue
            after, told, events = tell(model, one.request, one.reply)
            if not told.is_like(one.reply):
                self._note(before, f"{one.request} was told {one.reply}, should be {told}")
                continue
            happened = [*before, Happened(one.request, one.body, told, events)]
            found = self._go_on(after, happened, [other for other in left if other is not one])
            if found is not None:
                return found
        self._dead_ends.add(place)
        return None

    def _place(self, model: ReferenceModel, left: list[Seen]) -> str:
        """Return what is the same wherever the same follows, so that it is tried once."""
        told = [(one, model.ledger[one][0]) for one in sorted(self._ids & model.ledger.keys())]
        rows = [sorted(table.items()) for table in (model.users, model.products, model.orders)]
        return repr([[id(one) for one in left], told, rows])

    def _are_as_seen(self, model: ReferenceModel, happened: list[Happened]) -> bool:
        for name, rows in self._tables.items():
            expected = getattr(model, name)
            if rows != expected:
                odd = [key for key in {*rows, *expected} if rows.get(key) != expected.get(key)]
                rows_there = {key: rows.get(key) for key in odd}
                rows_due = {key: expected.get(key) for key in odd}
                self._note(happened, f"{name} are {rows_there}, should be {rows_due}")
                return False
        return True

    def _note(self, happened: list[Happened], contradiction: str) -> None:
        if len(happened) >= len(self._longest):
            self._longest, self._contradiction = happened, contradiction
