"""From a message's body to a command, or to the reason why it is none."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, ClassVar, Final

from pydantic import ValidationError

from orderd.protocol.amqp10 import NO_DATA
from orderd.protocol.commands import CommandData, Models
from orderd.protocol.excess import without_excess
from orderd.protocol.limits import REQUEST_ID_MAX
from orderd.protocol.names import InvalidCode, OutcomeName
from orderd.protocol.strict_json import MalformedJson, loads

ERRORS_SHOWN_MAX: Final = 10
VALUE_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Command:
    """A request that has the form the contract asks for."""

    queue: str
    action: str
    version: str
    request_id: str | None
    content: CommandData
    fingerprint: str
    attempt: int = 0
    is_expired: bool = False
    given_key: str = ""
    is_key_unsure: bool = False

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger keeps the outcome: changes with an id, never queries."""
        return self.request_id is not None and not self.content.is_query

    @property
    def row(self) -> tuple[str, int] | None:
        """Queue and id of the row that it changes; None for queries and for a row to come."""
        row_id = None if self.content.is_query else self.content.row_id
        return None if row_id is None else (self.queue, row_id)

    @property
    def key(self) -> str:
        """By what it is known when it comes again: its request's id, else a key given to it.

        The key is unsure where the message has come again without the one that it was given.
        """
        return self.given_key if self.request_id is None else f"={self.request_id}"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A message that is not a command; retrying cannot help."""

    name: ClassVar = OutcomeName.INVALID
    code: InvalidCode
    message: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks for what: all that is known of a message when it is let in or turned away."""

    queue: str
    action: str
    token: str | None = field(default=None, repr=False)


Permit = Callable[[Claim], Invalid | None]
"""Returns why a message is turned away, None where it is let in."""


class _InvalidMessage(Exception):
    def __init__(self, code: InvalidCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode(
    queue: str,
    body: bytes,
    message_id: str | None,
    attempt: int,
    body_bytes_max: int,
    *,
    models: Models,
    permit: Permit,
    is_encoded: bool = False,
) -> Command | Invalid:
    """Return the command that *body* holds, or why it holds none.

    *message_id* is the property of that name; it is the request's id where the body has none.
    *models* are those of all actions.
    With *is_encoded*, the body was written in AMQP 1.0's own encoding.
    Whoever *permit* turns away is told nothing of action, version and data.
    """
    if len(body) > body_bytes_max:
        message = f"body: has {len(body)} bytes, at most {body_bytes_max} are allowed"
        return Invalid(InvalidCode.TOO_LARGE, message)
    request_id = None
    try:
        envelope = _envelope(body, is_encoded=is_encoded)
        request_id = _request_id(envelope, message_id)
        claim = _claim(queue, envelope)
        denial = permit(claim)
        if denial is not None:
            return replace(denial, request_id=request_id)
        return _command(claim, envelope, request_id, attempt, models)
    except _InvalidMessage as error:
        return Invalid(error.code, str(error), request_id)


def _envelope(body: bytes, *, is_encoded: bool) -> dict[str, Any]:
    try:
        envelope = loads(body)
    except MalformedJson as error:
        if is_encoded:
            raise _InvalidMessage(InvalidCode.MALFORMED, f"body: {NO_DATA}") from error
        raise _InvalidMessage(InvalidCode.MALFORMED, f"body: {error}") from error
    if not isinstance(envelope, dict):
        message = f"body: should be a JSON object, is {shown(envelope)}"
        raise _InvalidMessage(InvalidCode.MALFORMED, message)
    return envelope


def _request_id(envelope: dict[str, Any], message_id: str | None) -> str | None:
    name, value = ("id", envelope["id"]) if "id" in envelope else ("message_id", message_id)
    if value is None and name == "message_id":
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= REQUEST_ID_MAX:
        wanted = f"should be a string of 1 to {REQUEST_ID_MAX} characters"
    elif "\x00" in value or not _is_unicode(value):
        wanted = "should have no NUL and no lone surrogates"
    else:
        return value
    raise _InvalidMessage(InvalidCode.MALFORMED, f"{name}: {wanted}, is {shown(value)}")


def _claim(queue: str, envelope: dict[str, Any]) -> Claim:
    action = _text(envelope, "action", required=True)
    return Claim(queue, action, _text(envelope, "auth", required=False))


def _command(
    claim: Claim, envelope: dict[str, Any], request_id: str | None, attempt: int, models: Models
) -> Command:
    queue, action = claim.queue, claim.action
    version = envelope.get("version", "v1")
    if not isinstance(version, str) or version not in models:
        message = f"version: should be {' or '.join(models)}, is {shown(version)}"
        raise _InvalidMessage(InvalidCode.UNSUPPORTED_VERSION, message)
    model = models[version].get((queue, action))
    if model is None:
        message = f"action: queue {queue} has no {shown(action)} in {version}"
        raise _InvalidMessage(InvalidCode.UNKNOWN_ACTION, message)
    content = _content(model, envelope.get("data", {}))
    # Only what the producer sent counts: a field that a later version adds with a default must
    # not make an old request look changed.
    said = content.model_dump_json(exclude_unset=True)
    digest = blake2b(f"{queue}\n{action}\n{version}\n{said}".encode(), digest_size=16)
    return Command(queue, action, version, request_id, content, digest.hexdigest(), attempt)


def _content(model: type[CommandData], found: Any) -> CommandData:
    kept, left_out = without_excess(model, found)
    try:
        return model.model_validate(kept)
    except ValidationError as error:
        raise _InvalidMessage(InvalidCode.INVALID_DATA, explain(error, left_out)) from error


def _text(envelope: dict[str, Any], name: str, *, required: bool) -> Any:
    if name not in envelope:
        if required:
            raise _InvalidMessage(InvalidCode.MALFORMED, f"{name}: is missing")
        return None
    value = envelope[name]
    if not isinstance(value, str):
        # The token itself is never shown, whatever it was sent as.
        told = "" if name == "auth" else f", is {shown(value)}"
        raise _InvalidMessage(InvalidCode.MALFORMED, f"{name}: should be a string{told}")
    return value


def explain(error: ValidationError, more: int = 0) -> str:
    """Return the faults of *error*, some of many, as ``data.field: what should be, is VALUE``.

    There are *more* of which *error* knows nothing.
    """
    details = error.errors(include_url=False)
    faults = [_fault(detail) for detail in details[:ERRORS_SHOWN_MAX]]
    more += max(0, len(details) - ERRORS_SHOWN_MAX)
    tail = [f"and {more} more"] if more > 0 else []
    # A library's text may quote the value: a lone surrogate in it could not be sent to anyone.
    return _printable("; ".join(faults + tail))


def _fault(detail: Any) -> str:
    path = "data" + "".join(
        f"[{part}]" if isinstance(part, int) else _step(part) for part in detail["loc"]
    )
    match detail["type"]:
        case "missing":
            return f"{path}: is missing"
        case "extra_forbidden":
            return f"{path}: is not a field of this action"
        case "model_type":
            wanted = "should be an object"
        case "too_long":
            wanted = f"should have at most {detail['ctx']['max_length']} items"
        case "value_error":
            wanted = str(detail["ctx"].get("error") or detail["msg"])
        case _:
            wanted = detail["msg"].removeprefix("Input ")
    if isinstance(detail["input"], dict):
        return f"{path}: {wanted}"
    return f"{path}: {wanted}, is {shown(detail['input'])}"


def _step(name: str) -> str:
    """Return how *name* goes on with a path: quoted where a dot alone would not tell it apart."""
    cut = name[:VALUE_CHARACTERS_MAX]
    return f".{cut}" if cut.isidentifier() else f"[{cut!r}]"


def _printable(text: str) -> str:
    """Return *text* in one line, letters of every script as they are."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def shown(value: object) -> str:
    """Return *value* for a message: one line of ASCII, not long."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    # Of a long text the beginning only: written out, it may be ten times as long.
    text = ascii(value[: VALUE_CHARACTERS_MAX + 1]) if isinstance(value, str) else str(value)
    text = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
