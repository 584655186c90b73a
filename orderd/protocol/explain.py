"""Puts into words why data is not what an action takes: one clause a fault, field and value."""

from typing import Any, Final

from pydantic import ValidationError

from orderd.protocol.masking import masked

ERRORS_SHOWN_MAX: Final = 10
VALUE_CHARACTERS_MAX: Final = 100
# Before a text is cut, as far as the longest token: what is left of one cannot be told from others.
_MASKED_CHARACTERS_MAX: Final = 20_000

# By pydantic's type of error, with the names of what it tells besides.
_REQUIREMENTS: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "int_parsing_size": "must be an integer of fewer digits",
    "int_type": "must be an integer",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_type": "must be an object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty or blank",
    "string_type": "must be a string",
    "string_unicode": "must not contain lone surrogates",
    "value_error": "{error}",
}
# How the e-mail library's sentences begin, and what stands for that after a colon.
_EMAIL_REASONS: Final = {
    "The part after the @-sign is not valid. It should have a period": "the domain has no period",
    "The part after the @-sign": "the domain",
    "There must be something after the @-sign": "nothing follows the @-sign",
    "There must be something before the @-sign": "nothing precedes the @-sign",
    "An email address must have an @-sign": "it has no @-sign",
    "An email address cannot have": "it must not have",
    "The email address": "it",
}


def explain(error: ValidationError, more: int = 0, root: str = "data") -> str:
    """Return the faults of *error*, each as ``data.FIELD must be …; got VALUE``.

    *root* is what the fields are of, in place of ``data``; an empty text for the body itself.

    At most `ERRORS_SHOWN_MAX` are named and the rest is counted, together with the *more* faults
    of which *error* does not know.
    """
    details = error.errors(include_url=False)
    faults = [_fault(detail, root) for detail in details[:ERRORS_SHOWN_MAX]]
    more += max(0, len(details) - ERRORS_SHOWN_MAX)
    tail = [f"and {more} more"] if more > 0 else []
    # A library's text may quote the value: a lone surrogate in it could not be sent to anyone.
    return printable("; ".join(faults + tail))


def _fault(detail: Any, root: str) -> str:
    steps = (f"[{part}]" if isinstance(part, int) else _step(part) for part in detail["loc"])
    path = (root + "".join(steps)).removeprefix(".")
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "missing":
            return f"{path} is missing"
        case "extra_forbidden":
            return f"{path} is not a field of this {'action' if root else 'message'}"
        case "too_short":
            return f"{path} must contain at least {_count(context['min_length'], value)}; got none"
        case "too_long":
            return f"{path} must contain at most {_count(context['max_length'], value)}; got more"
        case "value_error" if "reason" in context:
            reason = _email_reason(context["reason"])
            return f"{path} {shown(value)} is not a valid e-mail address: {reason}"
    wanted = _REQUIREMENTS.get(kind, "is not valid ({type})").format(type=kind, **context)
    # What is wrong with the data as a whole is told without it.
    is_whole = not detail["loc"] and isinstance(value, dict)
    return f"{path} {wanted}" if is_whole else f"{path} {wanted}; got {shown(value)}"


def _count(count: int, value: Any) -> str:
    unit = "character" if isinstance(value, str) else "item"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _email_reason(reason: str) -> str:
    """Return the e-mail library's sentence as what may follow a colon."""
    for start, words in _EMAIL_REASONS.items():
        if reason.startswith(start):
            return words + reason.removeprefix(start).rstrip(".")
    return reason[:1].lower() + reason[1:].rstrip(".")


def _step(name: str) -> str:
    """Return how *name* goes on with a path: quoted where a dot alone would not tell it apart."""
    cut = name[:VALUE_CHARACTERS_MAX]
    return f".{cut}" if cut.isidentifier() else f"[{cut!r}]"


def printable(text: str) -> str:
    """Return *text* in one line, with the letters of every script as they are."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def shown(value: object) -> str:
    """Return *value* for a message: one short line of ASCII, in which tokens are masked."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        value = masked(value[:_MASKED_CHARACTERS_MAX])
    # Of a long text the beginning only: written out, it may be ten times as long.
    text = ascii(value[: VALUE_CHARACTERS_MAX + 1]) if isinstance(value, str) else str(value)
    text = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."
