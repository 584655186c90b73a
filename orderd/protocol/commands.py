"""What the models of all actions have in common: strict, frozen, and what kinds there are."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orderd.protocol.fields import BIGINT_MAX, Identity, Revision
from orderd.protocol.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX

# By contract version, the model of every (queue, action).
Models = Mapping[str, Mapping[tuple[str, str], type["CommandData"]]]


class CommandData(BaseModel):
    """The `data` of a command: strict, frozen, and nothing that the action does not know."""

    # A validator is built for the first command that needs it: a start waits for none, nor for
    # what they import.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)

    is_query: ClassVar[bool] = False
    # The field with the id of the row that it names, in the table of its queue.
    identity_field: ClassVar[str] = "id"
    # Fields that are lists of objects: the model of a member, and the most members.
    members: ClassVar[Mapping[str, tuple[type["CommandData"], int]]] = {}

    @property
    def row_id(self) -> int | None:
        """The id of the row that it names, in the table of its queue; None where it names none."""
        named: int | None = self.__dict__.get(self.identity_field)
        return named


class ConditionalChange(CommandData):
    """A change of a row that is there, where it has the revision that the producer has seen.

    An `if_revision` of 0 was not given: any revision will do.
    """

    if_revision: Revision = 0


class Change(ConditionalChange):
    """A partial update: what was given, besides the id, replaces what is there.

    The defaults of a change's fields mean nothing: only `given` fields are looked at.
    """

    def given(self) -> dict[str, Any]:
        """Return the fields that the producer sent and that are the row's, as name to value."""
        names = self.model_fields_set
        return {
            name: value
            for name, value in self.__dict__.items()
            if name in names and self._is_changeable(name)
        }

    @classmethod
    def _is_changeable(cls, name: str) -> bool:
        return name not in {cls.identity_field, "if_revision"}

    @model_validator(mode="after")
    def _has_something_to_change(self) -> Self:
        if not self.given():
            names = [name for name in type(self).model_fields if self._is_changeable(name)]
            raise ValueError(f"must have at least one of {', '.join(names)}")
        return self


class Get(CommandData):
    """The row with this id."""

    is_query: ClassVar[bool] = True

    id: Identity


class List(CommandData):
    """A page of rows, by id."""

    is_query: ClassVar[bool] = True

    limit: Annotated[int, Field(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT
    after: Annotated[int, Field(ge=0, le=BIGINT_MAX)] | None = None

    def filters(self) -> dict[str, Any]:
        """Return what the rows of the page have to be like, as name to value; None: anything."""
        return {name: value for name, value in self.__dict__.items() if name not in _PAGE_FIELDS}


class HealthCheck(CommandData):
    """A question whether the daemon and its database are well."""

    is_query: ClassVar[bool] = True


_PAGE_FIELDS = frozenset(List.model_fields)
