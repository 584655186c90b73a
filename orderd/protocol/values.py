"""Values: small objects that are never changed, of which each message needs a score."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform, overload

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

    To have it frozen at run time too would make each five times as expensive to create. With *eq*,
    equal fields make equal values, which then have no hash.
    """

    def made(one: type[T]) -> type[T]:
        return dataclass(slots=True, eq=eq)(one)

    return made if cls is None else made(cls)
