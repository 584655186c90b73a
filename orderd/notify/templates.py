"""Notifications in words: a template for each type, those of the package or of the operator.

A template is a text file called TYPE.txt: its first line is ``subject:`` and the subject, the rest
is the text. Templates are those of Jinja2, in its sandbox.
"""

import re
import traceback
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from orderd.config import bounded_read
from orderd.notify.faults import Unrenderable
from orderd.notify.texts import block, subject
from orderd.protocol.values import value
from orderd.runtime.config_errors import ConfigError, Problem

TEXT_CHARS_MAX: Final = 64 * 1024
# What other services have to tell, where no template has its type.
GENERAL: Final = "notification"
_SUFFIX: Final = ".txt"
# How Jinja2 calls the code of a template that was made from a text.
_TEMPLATE_CODE: Final = "<template>"
_SHIPPED: Final = Path(__file__).with_name("defaults")
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_SUBJECT: Final = re.compile(r"subject:[ \t]*(?P<subject>\S.*)\n(?:[ \t]*\n)*", re.IGNORECASE)


@value
class Rendered:
    """A notification in words: `subject` is one line, `text` ends with a line end."""

    subject: str
    text: str


@value
class _Part:
    """The subject or the text of a template's *file*, *lines_before* it."""

    template: Template
    file: Path
    lines_before: int

    def rendered(self, context: Mapping[str, Any]) -> str:
        """Return the part in words; raises `Unrenderable` with file and line."""
        try:
            return _bounded(self.template, context)
        except Exception as error:
            # A template may run into anything with data that it was not made for.
            line = self.lines_before + _line_of(error)
            raise Unrenderable(f"{self.file}: line {line}: {error}") from error


@value
class _Pair:
    subject: _Part
    text: _Part


class Templates:
    """The templates of the package, and those of a directory in their place."""

    def __init__(self, directory: str) -> None:
        """Read all; an empty *directory* is none, as is one that is not there.

        Raises `ConfigError`, which names file and line of what is wrong.
        """
        self._environment = _environment()
        self._pairs: dict[str, _Pair] = {}
        problems: list[Problem] = []
        for folder in (_SHIPPED, Path(directory) if directory else None):
            for file in _files(folder, problems):
                try:
                    self._pairs[file.stem] = self._read(file)
                except ConfigError as error:
                    problems += error.problems
        if problems:
            raise ConfigError(problems)

    @property
    def types(self) -> list[str]:
        """The types that have a template of their own."""
        return sorted(self._pairs)

    def file_of(self, notice_type: str) -> str:
        """Return the path of the template that puts this type into words."""
        return str(self._pair(notice_type).subject.file)

    def _pair(self, notice_type: str) -> _Pair:
        return self._pairs.get(notice_type) or self._pairs[GENERAL]

    def render(self, notice_type: str, context: Mapping[str, Any]) -> Rendered:
        """Return the notification in words; raises `Unrenderable`.

        *context* has `event`, `data` and `user`, as templates name them.
        """
        pair = self._pair(notice_type)
        title, text = pair.subject.rendered(context), pair.text.rendered(context)
        return Rendered(subject(title), f"{block(text).rstrip()}\n")

    def _read(self, file: Path) -> _Pair:
        text = _text(file)
        found = _SUBJECT.match(text)
        if found is None:
            raise _problem(file, 1, "the first line must be: subject: SUBJECT")
        lines_before = text[: found.end()].count("\n")
        return _Pair(
            self._compiled(file, found["subject"], 0),
            self._compiled(file, text[found.end() :], lines_before),
        )

    def _compiled(self, file: Path, source: str, lines_before: int) -> _Part:
        try:
            return _Part(self._environment.from_string(source), file, lines_before)
        except TemplateSyntaxError as error:
            line = lines_before + error.lineno
            raise _problem(file, line, error.message or "is no template") from error
        except TemplateError as error:
            raise _problem(file, lines_before + 1, str(error)) from error


def _line_of(error: Exception) -> int:
    """Return the line of the template in which *error* was raised, the first where none is told."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == _TEMPLATE_CODE]
    return lines[-1] or 1 if lines else 1


def _environment() -> SandboxedEnvironment:
    # What is made is plain text, for which HTML's escapes would be wrong: so each value is made
    # visible instead, before it becomes part of a text.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=_visible,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = money
    return environment


def money(amount: object) -> str:
    """Return *amount*, a number or the text of one, with two decimal places."""
    try:
        return f"{Decimal(str(amount)):.2f}"
    except InvalidOperation:
        raise ValueError(f"{amount!r} is no amount of money") from None


def _visible(found: object) -> object:
    return block(found) if isinstance(found, str) else found


def _bounded(template: Template, context: Mapping[str, Any]) -> str:
    """Return what the template makes, at most so much that a mail can hold it."""
    parts: list[str] = []
    left = TEXT_CHARS_MAX
    for part in template.generate(**context):
        parts.append(part[:left])
        left -= len(part)
        if left <= 0:
            break
    return "".join(parts)


def _files(folder: Path | None, problems: list[Problem]) -> Iterator[Path]:
    """Yield the templates in *folder* by name; others than templates are passed over."""
    if folder is None or not folder.is_dir():
        return
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        problems.append(
            Problem("notify.templates", f"cannot be read: {error.strerror}", str(folder))
        )
        return
    for file in files:
        if file.suffix != _SUFFIX or file.name.startswith("."):
            continue
        if not _NAME.fullmatch(file.stem):
            reason = f"{file.name}: the name must be a type, such as order.shipped.txt"
            problems.append(Problem("notify.templates", reason, str(folder)))
            continue
        yield file


def _text(file: Path) -> str:
    try:
        content = bounded_read.read(str(file))
    except OSError as error:
        raise ConfigError(
            [Problem("notify.templates", f"cannot be read: {error.strerror}", str(file))]
        ) from error
    if len(content) > bounded_read.BYTES_MAX:
        raise _problem(file, 1, "is over 1 MiB")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _problem(file, line, "is not UTF-8") from error


def _problem(file: Path, line: int, reason: str) -> ConfigError:
    return ConfigError([Problem("notify.templates", f"line {line}: {reason}", str(file))])
