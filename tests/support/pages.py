"""Pages of the documentation as their fenced blocks, and output compared with what a page shows.

CONTRIBUTING.md tells the rules to whoever writes a page.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<language>\S*)(?P<rest>.*)$")
MARK: Final = re.compile(r"^ *<!-- (?P<name>[a-z]+)(?:: *(?P<value>.+?))? -->$")
MARKS: Final = ("run", "exit", "repeat")
PLACES: Final = ("tree", "make", "system", "container", "kubernetes", "elsewhere")
TIMESTAMP: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z"
UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ANYTHING: Final = ("...", "…")
VARYING: Final = re.compile(rf"(\.\.\.|…|{TIMESTAMP}|{UUID})")


class BadPage(AssertionError):
    """A page does not keep to the rules; the text begins with the file and the line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is the number of its first line inside."""

    page: Path
    line: int
    language: str
    lines: tuple[str, ...]
    marks: Mapping[str, str]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def place(self) -> str:
        """Where it runs other than in the sandbox; empty: there."""
        return self.marks.get("run", "")

    def fault(self, text: str, line: int | None = None) -> BadPage:
        """Return what to raise about a line of it, or about all of it."""
        return BadPage(f"{self.page}:{line or self.line}: {text}")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the output that the page shows for it."""

    line: int
    prompt: str
    text: str
    output_line: int
    output: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block, each with its output."""
    found: list[Command] = []
    number = 0
    while number < len(block.lines):
        line = block.lines[number]
        at = block.line + number
        if not line.startswith(("$ ", "# ")):
            raise block.fault(f"neither a command nor the output of one: {line!r}", at)
        text, number = _command_text(block.lines, number)
        end = number
        while end < len(block.lines) and not block.lines[end].startswith(("$ ", "# ")):
            end += 1
        output = block.lines[number:end]
        found.append(Command(at, line[0], text, block.line + number, output))
        number = end
    return found


def matches(shown: Sequence[str], output: str) -> bool:
    """Return whether *output* is what the page shows, by the rules of CONTRIBUTING.md."""
    pattern = "".join(
        r"(?:.*\n)*?" if line in ANYTHING else f"{_line_pattern(line)}\n"
        for line in _trimmed(shown)
    )
    printed = "".join(f"{line}\n" for line in _trimmed(output.splitlines()))
    return re.fullmatch(pattern, printed) is not None


def file_name(block: Block) -> str | None:
    """Return the name in the first line (`# NAME`, in SQL `-- NAME`) of a block that is a file."""
    comment = "--" if block.language == "sql" else "#"
    first = block.lines[0] if block.lines else ""
    found = re.fullmatch(rf"{comment} ([\w.-]+\.\w+)", first)
    return found[1] if found else None


def _blocks(page: Path, lines: Sequence[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        indent = fence["indent"]
        end = number + 1
        while end < len(lines) and lines[end].strip() != "```":
            end += 1
        if end == len(lines):
            raise BadPage(f"{page}:{number + 1}: this block has no end")
        inside = tuple(line.removeprefix(indent) for line in lines[number + 1 : end])
        marks = _marks(page, lines, number)
        yield Block(page, number + 2, fence["language"], inside, marks)
        number = end + 1


def _marks(page: Path, lines: Sequence[str], fence: int) -> dict[str, str]:
    """Return the marks in the lines right above a fence."""
    marks: dict[str, str] = {}
    for number in range(fence - 1, -1, -1):
        found = MARK.match(lines[number])
        if found is None:
            break
        name, value = found["name"], found["value"] or ""
        if name not in MARKS or (name == "run" and value not in PLACES):
            raise BadPage(f"{page}:{number + 1}: unknown mark {name}: {value}")
        marks[name] = value
    return marks


def _command_text(lines: Sequence[str], number: int) -> tuple[str, int]:
    """Return the command that begins in a line, and the number of the line after it."""
    parts = [lines[number][2:]]
    number += 1
    while number < len(lines):
        if lines[number].startswith("> "):
            parts.append(lines[number][2:])
        elif parts[-1].endswith("\\"):
            parts.append(lines[number])
        else:
            break
        number += 1
    return "\n".join(parts), number


def _line_pattern(line: str) -> str:
    return "".join(_piece_pattern(piece) for piece in VARYING.split(line))


def _piece_pattern(piece: str) -> str:
    if piece in ANYTHING:
        return ".*?"
    for varying in (TIMESTAMP, UUID):
        if re.fullmatch(varying, piece):
            return varying
    return re.escape(piece)


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Return the lines without spaces at their ends, and without empty lines at the end of all."""
    trimmed = [line.rstrip() for line in lines]
    while trimmed and not trimmed[-1]:
        trimmed.pop()
    return trimmed
