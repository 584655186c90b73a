"""Values: what makes two of them equal, and what is shown of one."""

from dataclasses import field, replace

import pytest

from orderd.protocol.values import value


@value
class Place:
    """A value with a field that is neither shown nor compared."""

    queue: str
    number: int = 0
    note: str = field(default="", repr=False, compare=False)


@value
class Shelf:
    """Another value with the fields of a place."""

    queue: str
    number: int = 0
    note: str = ""


@value(eq=False)
class Ticket:
    """A value that is equal to itself only."""

    number: int


@value
class Named:
    """A value that says itself how it is shown and compared."""

    name: str

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name.lower() == self.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())


def test_values_with_equal_fields_are_equal_and_have_one_hash() -> None:
    assert Place("order", 1, "a") == Place("order", 1, "b")
    assert len({Place("order", 1, "a"), Place("order", 1, "b"), Place("order", 2)}) == 2


@pytest.mark.parametrize("other", [Place("user", 1), Place("order"), Shelf("order", 1), 1, None])
def test_other_fields_or_another_type_make_another_value(other: object) -> None:
    assert Place("order", 1) != other


def test_a_value_without_equality_is_equal_to_itself_only() -> None:
    one = Ticket(1)
    assert one == one  # noqa: PLR0124 (its equality is what is tested)
    assert one != Ticket(1)
    assert len({one, Ticket(1)}) == 2


def test_a_value_shows_its_fields_but_those_that_are_not_to_be_shown() -> None:
    assert repr(Place("order", 1, "secret")) == "Place(queue='order', number=1)"


def test_what_a_class_defines_itself_stays() -> None:
    assert repr(Named("Web")) == "Web"
    assert Named("Web") == Named("web")
    assert len({Named("Web"), Named("web")}) == 1


def test_a_value_is_replaced_and_has_no_room_for_anything_else() -> None:
    assert replace(Place("order"), number=2) == Place("order", 2)
    assert not hasattr(Place("order"), "__dict__")
