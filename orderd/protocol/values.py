"""Values: small objects that are never changed, of which each message needs a score."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def value(cls: type[T], /) -> type[T]: ...
@overload
def value(*, eq: bool) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(
    cls: type[T] | None = None, /, *, eq: bool = True
) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a dataclass with slots that type checkers know as frozen.

    To have it frozen at run time too would make each value five times as expensive to create, and
    its class three times. With *eq*, equal fields make equal values, which have equal hashes.
    """

    def made(one: type[T]) -> type[T]:
        # Methods that dataclass() writes are compiled for each class at each start; these are not.
        if "__repr__" not in vars(one):
            one.__repr__ = _shown  # type: ignore[method-assign]
        finished = dataclass(slots=True, eq=False, repr=False)(one)
        if eq and "__eq__" not in vars(one):
            _compare_fields(finished)
        return finished

    return made if cls is None else made(cls)


def _compare_fields(cls: type[Any]) -> None:
    key = attrgetter("__class__", *(each.name for each in fields(cls) if each.compare))

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is cls else NotImplemented

    def hashed(self: object) -> int:
        return hash(key(self))

    cls.__eq__ = equal  # type: ignore[assignment]
    cls.__hash__ = hashed  # type: ignore[assignment]


def _shown(self: Any) -> str:
    parts = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(parts)})"
