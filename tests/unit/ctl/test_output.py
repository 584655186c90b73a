import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from orderd.ctl.console import Console
from orderd.ctl.errors import Unavailable
from orderd.ctl.json_text import compact, items_text, pretty
from orderd.ctl.layout import lines_of
from orderd.ctl.tables import Column, Table, plain, printable
from orderd.protocol.strict_json import loads
from tests.support.web_tokens import token as signed_token

VALUE: dict[str, Any] = {
    "a": [1, {"b": Decimal("2.50")}, []],
    "c": {},
    "d": None,
    "e": "x\x9b\x1b\nü\u2028😀",
}
TABLE = Table(
    (Column("id", is_right=True), Column("name", is_long=True)),
    [("7", "[bold]Kabel[/]"), ("10", "\x1b[31mred\nline")],
)


@pytest.mark.parametrize("write", [compact, pretty])
def test_json_says_the_same_in_either_form(write: object) -> None:
    assert callable(write)
    text = write(VALUE)

    assert loads(text.encode()) == VALUE
    assert "2.50" in text


def test_pretty_json_looks_as_people_know_it() -> None:
    value = {"a": [1, {"b": True}, []], "c": {}, "d": "x"}

    assert pretty(value) == json.dumps(value, indent=2)


@pytest.mark.parametrize("more", [{}, {"next": None}, {"next": 7, "left": {"a": "b"}}])
@pytest.mark.parametrize("items", [[], [VALUE], [VALUE, 1, {}]])
def test_items_are_one_document_in_the_usual_form(items: list[Any], more: dict[str, Any]) -> None:
    document = {"items": items, **more}

    assert "".join(items_text(items, more, is_indented=False)) == f"{compact(document)}\n"
    assert "".join(items_text(items, more, is_indented=True)) == f"{pretty(document)}\n"


def test_items_are_written_before_the_next_is_asked_for() -> None:
    asked: list[int] = []

    def documents() -> Iterator[int]:
        for number in range(3):
            asked.append(number)
            yield number

    pieces = items_text(documents(), {"count": lambda: len(asked)}, is_indented=False)

    assert [next(pieces), next(pieces), asked] == ['{"items":[', "0", [0]]
    assert "".join(pieces) == ',1,2],"count":3}\n'


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("broker: gone"), {"code": 69, "message": "broker: gone"}),
        (KeyboardInterrupt(), {"code": 130, "message": "interrupted"}),
    ],
)
@pytest.mark.parametrize("is_indented", [False, True])
def test_items_that_end_early_are_a_document_with_the_error(
    error: BaseException, told: dict[str, Any], *, is_indented: bool
) -> None:
    def documents() -> Iterator[int]:
        yield 1
        raise error

    written: list[str] = []
    with pytest.raises(type(error)):
        written.extend(items_text(documents(), {"limit": 5}, is_indented=is_indented))

    assert json.loads("".join(written)) == {"items": [1], "limit": 5, "error": told}


@pytest.mark.parametrize("write", [compact, pretty])
def test_json_holds_nothing_that_a_terminal_obeys(write: object) -> None:
    assert callable(write)
    text = write({"name": "\x9b31m\x7f\u202e\U000e0001\ud800"})

    assert all(char.isprintable() or char == "\n" for char in text)
    assert loads(text.encode())["name"] == "\x9b31m\x7f\u202e\U000e0001\ud800"


def test_a_plain_table_is_aligned_and_one_line_a_row() -> None:
    assert plain(TABLE).splitlines() == [
        "id  name",
        " 7  [bold]Kabel[/]",
        r"10  \x1b[31mred\nline",
    ]


def test_a_plain_table_is_aligned_by_what_a_terminal_shows() -> None:
    table = Table((Column("name"), Column("id", is_right=True)), [("日本", "1"), ("Käse 😀", "20")])

    assert plain(table).splitlines() == ["name     id", "日本      1", "Käse 😀  20"]


def test_a_table_on_a_terminal_shows_the_same_cells() -> None:
    assert lines_of(TABLE, 60) == plain(TABLE).splitlines()


def test_a_narrow_terminal_loses_nothing_of_a_long_text() -> None:
    lines = lines_of(Table((Column("name", is_long=True),), [("x" * 100,)]), 12)

    assert "".join(lines).count("x") == 100


def test_text_is_made_printable() -> None:
    assert printable("Käse 😀") == "Käse 😀"
    assert printable("a\x1b[0m\r\x85\ud800") == r"a\x1b[0m\r\x85\ud800"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "steps", "is_drawn"),
    [(Terminal(), 1000, True), (Terminal(), 10, False), (io.StringIO(), 1000, False)],
)
def test_a_bar_is_drawn_on_a_terminal_for_what_takes_long(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stderr: io.StringIO,
    steps: int,
    is_drawn: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    monkeypatch.setattr("sys.stderr", stderr)
    console = Console(is_json=False)

    with console.progress("looking", steps) as advance:
        for _ in range(steps):
            advance()
        console.line("a result")

    assert ("looking" in stderr.getvalue()) == is_drawn
    assert capsys.readouterr().out == "a result\n"


JWT = signed_token()
MARK = "<JWT kid=k1 sub=shop sha256="


def test_tokens_are_masked_in_whatever_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(is_json=False)

    console.document({"reason": f"got {JWT}"})
    console.items([{"name": JWT}], more=lambda: f"Bearer {JWT}")
    console.table(Table((Column("name"),), [(JWT,)]))
    console.say(f"a {JWT} b")
    console.line(JWT)
    console.note(f"a {JWT} b")
    console.complain(f"got {JWT}")
    console.failed(Unavailable(f"got {JWT}"))

    captured = capsys.readouterr()
    assert not any(part in captured.out + captured.err for part in JWT.split("."))
    assert (captured.out.count(MARK), captured.err.count(MARK)) == (6, 2)


def test_what_has_to_be_exact_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    Console(is_json=False).exact(f"{JWT}\n")

    assert capsys.readouterr().out == f"{JWT}\n"


def test_a_cell_is_masked_before_it_is_broken_into_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    Console(is_json=False).table(Table((Column("reason", is_long=True),), [(f"got {JWT}",)]))

    shown = "".join(capsys.readouterr().out.split())
    assert JWT.split(".")[1] not in shown
    assert MARK.replace(" ", "") in shown
