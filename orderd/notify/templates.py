"""The texts of notifications: those of the package, and the operator's in place of them.

`TYPE.txt` has a line `subject: …` and then the text. What has no template of its type has that of
its kind: `refused.txt`, `user.txt` and `admin.txt`, `event.txt` for events of types that are not
known; `digest.txt` is for several at once.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Final, Self

from jinja2 import Template
from jinja2.exceptions import TemplateSyntaxError

from orderd.config import bounded_read
from orderd.notify.faults import Unrenderable
from orderd.notify.samples import UNKNOWN, USER, is_refusal, sample, sample_digest
from orderd.notify.sandbox import OUTPUT_BYTES_MAX, Sandbox
from orderd.notify.texts import block, line, subject
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES
from orderd.protocol.values import value
from orderd.runtime.config_errors import ConfigError, Problem

DIGEST: Final = "digest"
EVENT: Final = "event"
SHIPPED: Final = Path(__file__).parent / "templates"
_KEY: Final = "notify.templates"
_SUFFIX: Final = ".txt"
_SUBJECT: Final = "subject:"
_REFUSED: Final = "refused"
GENERAL: Final = {who: prefix.removesuffix(".") for who, prefix in OPEN_PREFIXES.items()}
_REASON_CHARS_MAX: Final = 500


@value
class Rendered:
    """A notification in words: a subject of one line, and lines of text."""

    subject: str
    text: str


class TemplateFault(Unrenderable):
    """A template cannot be used, or not for this event; the text names file and line."""


class TextTemplate:
    """One file, compiled; raises TemplateFault where it cannot be."""

    def __init__(self, file: Path, source: str) -> None:
        self.file = file
        first, _, rest = source.partition("\n")
        if not first.lower().startswith(_SUBJECT):
            raise TemplateFault(f"{file}:1: must begin with a line such as {_SUBJECT} Your order")
        # An empty line in the place of the first one: errors name the lines of the file.
        self._subject = self._compiled(Sandbox(line), first[len(_SUBJECT) :].strip())
        self._text = self._compiled(Sandbox(block), f"\n{rest}")

    def render(self, context: Mapping[str, Any]) -> Rendered:
        """Return the texts for *context*; raise TemplateFault."""
        # A message of blanks alone would be a mail without a subject.
        return Rendered(
            subject(self._written(self._subject, context)) or subject(str(context["type"])),
            f"{self._written(self._text, context).strip()}\n",
        )

    def _compiled(self, sandbox: Sandbox, source: str) -> Template:
        name = str(self.file)
        try:
            tree = sandbox.checked(sandbox.parse(source, name, name), name)
            code: CodeType = sandbox.compile(tree, name, name)
        except TemplateSyntaxError as error:
            raise self._fault(error.lineno, error.message or "cannot be read") from error
        except RecursionError as error:
            raise self._fault(1, "has too much in each other") from error
        return Template.from_code(sandbox, code, sandbox.globals)

    def _written(self, template: Template, context: Mapping[str, Any]) -> str:
        """Return the output, cut where it is too long; raise TemplateFault."""
        parts: list[str] = []
        left = OUTPUT_BYTES_MAX
        try:
            for part in template.generate(context):
                encoded = part.encode(errors="replace")
                parts.append(encoded[:left].decode(errors="ignore"))
                left -= len(encoded)
                if left <= 0:
                    break
        except Exception as error:
            # Whatever a template does wrong with values is told with its place.
            raise self._fault(self._line_of(error), str(error)) from error
        return "".join(parts)

    def _line_of(self, error: BaseException) -> int:
        """Return the line of the template in which the error was raised."""
        found, trace = 1, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(self.file):
                found = trace.tb_lineno
            trace = trace.tb_next
        return found

    def _fault(self, number: int, reason: str) -> TemplateFault:
        return TemplateFault(f"{self.file}:{number}: {line(reason, _REASON_CHARS_MAX)}")


class Templates:
    """Every template by its name."""

    def __init__(self, templates: Mapping[str, TextTemplate]) -> None:
        self._templates = templates

    @classmethod
    def load(cls, directory: Path | None, origin: str = "") -> Self:
        """Return those of the package and of *directory*, each tried with sample events.

        *origin* is where the setting was found. Raises ConfigError with every faulty template; a
        directory that is not there has none.
        """
        found: dict[str, TextTemplate] = {}
        problems: list[Problem] = []
        own = () if directory is None else _files(directory, origin)
        for file in (*_files(SHIPPED, origin), *own):
            try:
                found[file.stem] = _tried(file)
            except TemplateFault as fault:
                problems.append(Problem(_KEY, line(str(fault)), origin))
        if problems:
            raise ConfigError(problems)
        return cls(found)

    def render(self, event_type: str, context: Mapping[str, Any], general: str = EVENT) -> Rendered:
        """Return the texts of an event of the type (or `DIGEST`); raise TemplateFault.

        Where the type has no template, that of refusals or the *general* one is taken.
        """
        return self._chosen(event_type, general).render(context)

    def file_of(self, event_type: str, general: str = EVENT) -> str:
        """Return the path of the template from which `render` makes the texts."""
        return str(self._chosen(event_type, general).file)

    def _chosen(self, event_type: str, general: str) -> TextTemplate:
        name = event_type if event_type in self._templates else general
        if name == general and is_refusal(event_type):
            name = _REFUSED
        return self._templates[name]


def context_of(event: Mapping[str, Any], user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what templates can name of *event*, a CloudEvent or a notification of a service.

    *user* is the row of the user to whom it goes, or None.
    """
    name = "" if user is None else line(str(user.get("full_name") or user.get("username") or ""))
    return {
        "id": event.get("id"),
        "type": event.get("type"),
        "source": event.get("source"),
        "subject": event.get("subject") or "",
        "time": event.get("time"),
        "correlation_id": event.get("correlationid", event.get("correlation_id")),
        "data": event["payload"] if "payload" in event else event.get("data"),
        "user": user,
        "greeting": f"Dear {name}," if name else "Hello,",
    }


def _files(directory: Path, origin: str) -> Sequence[Path]:
    """Return the files of templates; hidden ones and other names are passed over."""
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - one that is absent raises here
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(
            [Problem(_KEY, f"{directory} cannot be read: {error.strerror}", origin)]
        ) from error
    return [
        directory / name for name in names if name.endswith(_SUFFIX) and not name.startswith(".")
    ]


def _tried(file: Path) -> TextTemplate:
    """Return the template once every event that it may be for was rendered; TemplateFault."""
    contexts = _contexts(file)
    try:
        content = bounded_read.read(str(file))
    except OSError as error:
        raise TemplateFault(f"{file}: cannot be read: {error.strerror}") from error
    if len(content) > OUTPUT_BYTES_MAX:
        raise TemplateFault(f"{file}: is over 64 KiB")
    try:
        template = TextTemplate(file, content.decode())
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise TemplateFault(f"{file}:{number}: is not UTF-8") from error
    for context in contexts:
        template.render(context)
    return template


def _contexts(file: Path) -> list[dict[str, Any]]:
    """Return the contexts of all events that the file may be for; raise TemplateFault."""
    name = file.stem
    if name == DIGEST:
        return [sample_digest()]
    known = [each for types in TYPES.values() for each in types]
    if name == _REFUSED:
        types = [each for each in known if is_refusal(each)]
    elif name in GENERAL.values():
        types = [f"{name}.notice"]
    else:
        types = [UNKNOWN if name == EVENT else name]
    try:
        events = [sample(each) for each in types]
    except ValueError as fault:
        names = (*known, _REFUSED, *GENERAL.values(), EVENT, DIGEST)
        raise TemplateFault(f"{file}: {fault}{_hint(name, names)}") from None
    users = (USER, {**USER, "full_name": None})
    return [context_of(event, user) for event in events for user in users]


def _hint(name: str, names: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 - only for the sake of an error

    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}{_SUFFIX}?" if close else ""
