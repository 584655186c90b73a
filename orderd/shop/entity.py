"""How an entity and its actions are declared; what is forgotten fails when that is read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from itertools import product
from typing import Any, Final, Generic, TypeVar

from orderd import __version__
from orderd.protocol.commands import CommandData, ConditionalChange, HealthCheck, List
from orderd.protocol.names import VERSIONS, Queue
from orderd.protocol.strict_json import dumps
from orderd.protocol.values import value
from orderd.shop.needs import Needs, nothing
from orderd.shop.outcomes import Answered, Applied, Invalid, Refused
from orderd.shop.tables import Table
from orderd.shop.world import World

M = TypeVar("M", bound=CommandData)

# What the ledger and the outbox have room for, wherever a database keeps them in a varchar.
_NAME: Final = re.compile("[a-z_]{1,30}")
_TYPE: Final = re.compile("[a-z_.]{1,30}")


class WrongRegistry(Exception):
    """An entity or an action lacks something, or contradicts another one."""


@value(eq=False)
class Action(Generic[M]):
    """What may be asked of a queue.

    *models* are those of its data, by version of the contract.
    *needs* names the rows that the *rule* sees and changes; the rule decides. *effect* is for the
    documentation. *events* are those that it may cause: at most one of each inner tuple, in this
    order. With *is_relative* it adds to what is there, so that a dead letter of it is as good later
    as before. *owner* returns the id of the user to whom the rows belong that it names, None where
    there is none; without it, a token that is confined to the rows of a user does not allow it.
    """

    name: str
    models: Mapping[str, type[M]]
    needs: Callable[[Needs, M], None]
    rule: Callable[[World, M], Applied | Answered | Refused | Invalid]
    effect: str
    events: tuple[tuple[StrEnum, ...], ...] = ()
    is_relative: bool = False
    owner: Callable[[World, M], int | None] | None = None
    permitted: frozenset[tuple[StrEnum, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Find out which events may come together; raises WrongRegistry."""
        if not _NAME.fullmatch(self.name):
            raise WrongRegistry(f"action {self.name}: the name should match {_NAME.pattern}")
        if not self.models or not set(self.models) <= set(VERSIONS):
            raise WrongRegistry(f"action {self.name}: there are no versions {list(self.models)}")
        for model in self.models.values():
            if model.is_query == bool(self.events):
                raise WrongRegistry(f"action {self.name}: changes cause events, queries do not")
            is_change = issubclass(model, ConditionalChange)
            if is_change and model.identity_field not in model.model_fields:
                raise WrongRegistry(f"action {self.name}: {model.__name__} does not identify a row")
        choices = product(*(((), *((each,) for each in one_of)) for one_of in self.events))
        permitted = frozenset(tuple(e for part in choice for e in part) for choice in choices)
        object.__setattr__(self, "permitted", permitted)

    @property
    def events_max(self) -> int:
        """Return how many events it may cause; a refusal of a change is one."""
        return max(1, len(self.events)) if self.is_change else 0

    @property
    def is_change(self) -> bool:
        """Return whether it may change rows; queries do not."""
        return not any(model.is_query for model in self.models.values())


@value(eq=False)
class Entity:
    """What orderd keeps of a kind: its queue, its table, and what may be done with its rows.

    *events* are the types of its events, besides that of refusals, and *refusals* the codes that
    its rules refuse with, each with when they do. *logged* are columns that the log tells besides
    the row's id, each under the name there.
    """

    queue: Queue
    table: Table[Any]
    actions: tuple[Action[Any], ...]
    events: type[StrEnum]
    refusals: Mapping[StrEnum, str]
    logged: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look whether all of it fits together; raises WrongRegistry."""
        caused = {event for one in self.actions for one_of in one.events for event in one_of}
        if caused != set(self.events):
            names = ", ".join(sorted(caused ^ set(self.events)))
            raise WrongRegistry(f"entity {self.queue}: events of no action, or of no type: {names}")
        for event in self.events:
            is_own = event.startswith(f"{self.queue}.") and event != refusal_event(self.queue)
            if not _TYPE.fullmatch(event) or not is_own:
                raise WrongRegistry(f"entity {self.queue}: {event} is no type of its events")
        told = {each for code in self.refusals for each in type(code)}
        if told != set(self.refusals):
            names = ", ".join(sorted(told - set(self.refusals)))
            raise WrongRegistry(f"entity {self.queue}: there is no description of refusal {names}")
        for column in self.logged.values():
            if column not in {each.name for each in self.table.columns}:
                raise WrongRegistry(f"entity {self.queue}: there is no column {column} to log")

    def subject_of(self, row_id: int) -> str:
        """Return what events call the row."""
        return f"{self.queue}/{row_id}"


def in_all(model: type[M]) -> Mapping[str, type[M]]:
    """Return *model* as that of an action in all versions of the contract."""
    return dict.fromkeys(VERSIONS, model)


def refusal_event(queue: str) -> str:
    """Return the type of the event that tells of a refused change."""
    return f"{queue}.refused"


def listing(
    model: type[List], effect: str, owner: Callable[[World, Any], int | None] | None = None
) -> Action[Any]:
    """Return the action that lists rows; they are read where it is answered, piece by piece.

    *owner* tells whose rows a page has, where it has those of one user.
    """
    return Action("list", in_all(model), nothing, _not_by_a_rule, effect, owner=owner)


def _not_by_a_rule(_world: World, content: List) -> Answered:
    raise TypeError(f"{type(content).__name__}: no rule can answer a list")


def _health(_world: World, _content: HealthCheck) -> Answered:
    """Report that all is well: a rule runs only after rows were loaded."""
    return Answered(dumps({"status": "ok", "version": __version__, "database": "ok"}))


# Every queue has it.
HEALTH_CHECK: Final = Action(
    "health_check",
    in_all(HealthCheck),
    nothing,
    _health,
    f'query: `{{"status":"ok","version":"{__version__}","database":"ok"}}`',
)
