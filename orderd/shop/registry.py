"""Everything that orderd keeps and does: one line an entity, and what derives from these lines.

What an entity consists of is in its own file; what is forgotten there fails when this is imported.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from orderd.protocol.commands import CommandData, ConditionalChange, Models
from orderd.protocol.envelope import Command
from orderd.protocol.names import VERSIONS, Queue
from orderd.shop.entity import HEALTH_CHECK, Action, Entity, WrongRegistry
from orderd.shop.needs import Needs
from orderd.shop.orders import ORDER
from orderd.shop.products import PRODUCT
from orderd.shop.tables import OUTBOX, Lines, Table
from orderd.shop.users import USER


class Registry:
    """The entities, in the order in which a batch applies commands and writes rows.

    Rows are locked in the opposite order, the same in all daemons, so that two never wait for each
    other: what refers to others comes before them, since only it can tell which those are.
    """

    def __init__(self, entities: tuple[Entity, ...]) -> None:
        """Derive all from *entities*; raises WrongRegistry where they do not fit together."""
        self.entities = entities
        self.by_queue = {str(entity.queue): entity for entity in entities}
        self.by_row = {entity.table.row: entity for entity in entities}
        self.lock_order = tuple(entity.table for entity in reversed(entities))
        self.tables: dict[type, Table[Any]] = {each.row: each for each in self.lock_order}
        self.lines = tuple(e.table.lines for e in entities if e.table.lines is not None)
        self.models = _models(entities)
        self.actions: dict[type[CommandData], Action[Any]] = {
            model: action
            for entity in entities
            for action in actions_of(entity)
            for model in action.models.values()
        }
        self.referred_to = _referred_to(entities)
        self.row_fields = _row_fields(self.by_row, self.lines)
        self._check()

    @property
    def table_names(self) -> tuple[str, ...]:
        """Return the names of all tables of entities, each before that of its lines."""
        return tuple(name for entity in self.entities for name in _names(entity.table))

    @property
    def tables_with_ids(self) -> tuple[str, ...]:
        """Return the names of the tables whose rows take their ids from a sequence."""
        return (*self.table_names, OUTBOX)

    def set_by(self, queue: str, action: str | None) -> str | None:
        """Return the field that names the row to which *action* gives other values.

        None where it makes a row, asks for one, adds to what is there, or is not known.
        """
        for models in self.models.values():
            model = models.get((queue, action or ""))
            if model is not None and issubclass(model, ConditionalChange):
                return None if self.actions[model].is_relative else model.identity_field
        return None

    def needs_of(self, batch: Iterable[Command]) -> Needs:
        """Return what the world must hold before *batch* can be decided."""
        needs = Needs()
        for command in batch:
            action = self.actions[type(command.content)]
            if command.is_recorded and command.request_id is not None:
                needs.request_ids.add(command.request_id)
            if command.admission.lapsed is not None:
                continue
            needs.new_rows[OUTBOX] += action.events_max
            # One whose time is over is refused whatever the rows are, also while somebody holds
            # them.
            if not command.is_expired:
                action.needs(needs, command.content)
        return needs

    def see_owned(self, needs: Needs, commands: Iterable[Command]) -> None:
        """Add to *needs* the rows of which is asked whose they are, also where no rule will run."""
        for command in commands:
            row_id = command.content.row_id
            if command.own_of is None or row_id is None:
                continue
            table = self.by_queue[command.queue].table
            if row_id not in needs.changed[table]:
                needs.to_see(table, row_id)

    def _check(self) -> None:
        if list(self.by_queue) != list(Queue):
            raise WrongRegistry(
                f"entities of {', '.join(self.by_queue)}; queues {', '.join(Queue)}"
            )
        for entity in self.entities:
            for table, _ in entity.table.follows:
                if self.lock_order.index(table) <= self.lock_order.index(entity.table):
                    raise WrongRegistry(f"{table.name} are locked before {entity.table.name}")
        names = self.tables_with_ids
        if len(set(names)) < len(names):
            raise WrongRegistry(f"two tables have the same name: {', '.join(names)}")


def actions_of(entity: Entity) -> tuple[Action[Any], ...]:
    """Return the actions of an entity, with those that every queue has."""
    return (*entity.actions, HEALTH_CHECK)


def _models(entities: Iterable[Entity]) -> Models:
    models: dict[str, dict[tuple[str, str], type[CommandData]]] = {v: {} for v in VERSIONS}
    action_of: dict[type[CommandData], Action[Any]] = {}
    for entity in entities:
        for action in actions_of(entity):
            for version, model in action.models.items():
                if action_of.setdefault(model, action) is not action:
                    raise WrongRegistry(f"{model.__name__} is the model of two actions")
                key = (str(entity.queue), action.name)
                if key in models[version]:
                    raise WrongRegistry(f"{entity.queue}.{action.name} is twice in {version}")
                models[version][key] = model
    return models


def _referred_to(entities: Iterable[Entity]) -> tuple[Queue, ...]:
    """Return the queues of rows that those of other entities refer to, in their order."""
    named = {
        column.refers_to
        for entity in entities
        for part in (entity.table, entity.table.lines)
        if part is not None
        for column in part.columns
    }
    return tuple(entity.queue for entity in entities if entity.table.name in named)


def _row_fields(
    rows: Iterable[type], lines: Iterable[Lines]
) -> dict[frozenset[str], tuple[str, ...]]:
    """Return the fields of rows in their order, by the set of them.

    The ledger keeps replies of earlier versions as well, whose rows had no revision.
    """
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for row in (*rows, *(each.row for each in lines)):
        names = tuple(each.name for each in fields(row))
        for known in (names, tuple(name for name in names if name != "revision")):
            if found.setdefault(frozenset(known), known) != known:
                raise WrongRegistry(f"{row.__name__} has the fields of another row, in other order")
    return found


def _names(table: Table[Any]) -> tuple[str, ...]:
    return (table.name,) if table.lines is None else (table.name, table.lines.name)


SHOP: Final = Registry(
    (
        USER,
        PRODUCT,
        ORDER,
    )
)
