"""JSON output with exact decimals and escaped terminal control characters."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.strict_json import dumps

_INDENT: Final = "  "


def compact(value: Any) -> str:
    """Return *value* as JSON in one line."""
    return _escaped(dumps(value))


def pretty(value: Any) -> str:
    """Return *value* as JSON in lines, indented by its depth."""
    return _escaped(_indented(value, "\n"))


def items_text(
    documents: Iterable[Any], more: Mapping[str, Any], *, is_indented: bool
) -> Iterator[str]:
    """Yield `{"items": [...], ...more}` and a line break, piece by piece, in constant memory.

    Functions in *more* are called after the last item. What *documents* raise becomes the member
    `error`, and is raised again.
    """
    line, inner = (f"\n{_INDENT}", f"\n{_INDENT * 2}") if is_indented else ("", "")
    before = inner
    yield f'{{{line}"items":{" " * is_indented}['
    try:
        for document in documents:
            text = _indented(document, inner) if is_indented else dumps(document)
            yield _escaped(f"{before}{text}")
            before = f",{inner}"
    except (Exception, KeyboardInterrupt) as error:
        yield _end({**more, "error": error_document(error)}, line, is_empty=before == inner)
        raise
    yield _end(more, line, is_empty=before == inner)


def _end(more: Mapping[str, Any], line: str, *, is_empty: bool) -> str:
    """Return the end of a list of items, and the members after it."""
    members = {name: value() if callable(value) else value for name, value in more.items()}
    # A document without its first brace: as if the list had been a member before.
    text = pretty(members)[1:] if line else compact(members)[1:]
    if members:
        text = f",{text}"
    elif line:
        text = "\n}"
    return f"{'' if is_empty else line}]{text}\n"


def error_document(error: BaseException) -> dict[str, Any]:
    """Return the exit code that *error* comes to, and its message."""
    if isinstance(error, KeyboardInterrupt):
        return {"code": ExitCode.INTERRUPTED, "message": "interrupted"}
    return {"code": getattr(error, "code", ExitCode.FAILED), "message": str(error)}


def _indented(value: Any, line_start: str) -> str:
    inner = line_start + _INDENT
    match value:
        case Mapping() if value:
            members = [f"{dumps(k)}: {_indented(v, inner)}" for k, v in value.items()]
            return f"{{{inner}{f',{inner}'.join(members)}{line_start}}}"
        case str() | bytes():
            return dumps(value)
        case Sequence() if value:
            return f"[{inner}{f',{inner}'.join(_indented(v, inner) for v in value)}{line_start}]"
    return dumps(value)


def _escaped(text: str) -> str:
    """Write control characters, which can stand in strings only, as JSON escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )
