"""The reference tables of README.md say what the code says."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from orderd.config.reference import reference
from orderd.ctl.main import COMMANDS
from orderd.db.faults import _BY_CLASS, _BY_SQLSTATE
from orderd.logs.events import FIELD_NAMES, Event
from orderd.protocol.commands import MODELS, CommandData
from orderd.protocol.names import (
    POISON,
    RETRIES_EXHAUSTED,
    DeferralCode,
    InvalidCode,
    RefusalCode,
    UnavailableCode,
)

README = Path(__file__).parents[2] / "README.md"
Rows = Sequence[tuple[str, ...]]


def test_the_configuration_table_has_every_setting_as_it_is() -> None:
    wanted = [
        (
            coded(row.key),
            coded(row.variable),
            coded(row.default),
            "yes" if row.reloadable else "no",
            row.description,
        )
        for row in reference()
    ]

    found = table("Setting", "Variable", "Default", "Reload", "Meaning")

    assert_same(wanted, found)


def test_the_log_event_table_has_every_event_with_its_level_and_meaning() -> None:
    wanted = [(coded(event), logging.getLevelName(event.level), event.meaning) for event in Event]

    found = table("Event", "Level", "Meaning")

    assert_same(wanted, found)


def test_the_log_field_table_has_every_field() -> None:
    wanted = {"timestamp", "level", "logger", "event", "message", *FIELD_NAMES}

    found = [name for row in table("Field", "Meaning") for name in names_in(row[0])]

    assert_same(alone(wanted), alone(found))


def test_the_fault_table_has_every_sqlstate_with_its_fault() -> None:
    wanted = [(coded(state), fault.name.lower()) for state, fault in _BY_SQLSTATE.items()]
    wanted += [(coded(f"{state}…"), fault.name.lower()) for state, fault in _BY_CLASS.items()]

    found = [(row[0], row[2]) for row in table("SQLSTATE", "Meaning", "Fault")]

    assert_same(wanted, found[:-1])
    assert found[-1] == ("all others", "row")


def test_the_command_table_has_every_action_with_its_fields() -> None:
    wanted = [
        (coded(queue), coded(action) + ("" if in_v1 else " (v2)"), data_of(in_v1, in_v2))
        for (queue, action), in_v2 in MODELS["v2"].items()
        for in_v1 in [MODELS["v1"].get((queue, action))]
    ]

    rows = table("Queue", "Action", "Data", "Effect")
    found = [(queue, action, " ".join(sorted(fields_in(data)))) for queue, action, data, _ in rows]

    assert_same(wanted, found)


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Refused:", set(RefusalCode)),
        ("Invalid:", set(InvalidCode)),
        ("Unavailable:", set(UnavailableCode)),
        ("Deferred or given up:", {*DeferralCode, RETRIES_EXHAUSTED, POISON}),
    ],
)
def test_the_code_tables_have_every_code(heading: str, codes: set[str]) -> None:
    found = [name for row in table("Code", "When", after=heading) for name in names_in(row[0])]

    assert_same(alone(codes), alone(found))


def test_the_orderctl_table_has_every_command() -> None:
    wanted = [(coded(name), purpose) for name, purpose in COMMANDS.items()]

    assert_same(wanted, table("Command", "Does"))


def table(*titles: str, after: str = "") -> Rows:
    """Return the rows of the first table with these titles that stands below *after*."""
    lines = README.read_text(encoding="utf-8").splitlines()
    start = lines.index(after) if after else 0
    head = next(
        (n for n, line in enumerate(lines[start:], start) if cells(line) == titles),
        None,
    )
    assert head is not None, f"README.md has no table with the titles {titles} {after}"
    rows = []
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def assert_same(wanted: Rows, found: Rows) -> None:
    """Fail with each row that is missing, wrong, too many or there twice."""
    missing = [f"missing or wrong: {line(row)}" for row in wanted if row not in found]
    other = [f"not so in the code: {line(row)}" for row in found if row not in wanted]
    twice = [f"twice: {line(row)}" for row in set(found) if found.count(row) > 1]
    problems = missing + other + twice
    assert not problems, "README.md:\n" + "\n".join(problems)


def alone(names: Iterable[str]) -> Rows:
    return [(str(name),) for name in names]


def line(row: tuple[str, ...]) -> str:
    return " | ".join(row)


def coded(text: str) -> str:
    return f"`{text}`" if text else ""


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def fields_in(cell: str) -> list[str]:
    return re.findall(r"`[^`]+`(?: \(v2\))?", cell)


def data_of(in_v1: type[CommandData] | None, in_v2: type[CommandData]) -> str:
    """Return the fields of an action as the README writes them, in the order of the alphabet."""
    known = in_v2.model_fields if in_v1 is None else in_v1.model_fields
    fields = [
        coded(name if field.is_required() else f"{name}?") + ("" if name in known else " (v2)")
        for name, field in in_v2.model_fields.items()
    ]
    return " ".join(sorted(fields))
