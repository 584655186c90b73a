"""Decodes a message's body into a command, or into the reason why it is not one."""

from collections.abc import Callable
from dataclasses import field, replace
from hashlib import blake2b
from typing import Any, ClassVar, Final

from pydantic import ValidationError

from orderd.protocol.amqp10 import NO_DATA
from orderd.protocol.commands import CommandData, List, Models
from orderd.protocol.excess import ignored, without_excess
from orderd.protocol.explain import explain, shown
from orderd.protocol.limits import REQUEST_ID_MAX
from orderd.protocol.masking import masked
from orderd.protocol.names import InvalidCode, OutcomeName
from orderd.protocol.strict_json import MalformedJson, loads
from orderd.protocol.values import value

FIELDS: Final = frozenset({"action", "data", "id", "version", "auth"})
# How compressed bodies begin, by the encoding's name.
_COMPRESSED: Final = {
    b"\x1f\x8b": "gzip",
    b"\x78\x01": "deflate",
    b"\x78\x9c": "deflate",
    b"\x78\xda": "deflate",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@value
class Invalid:
    """A message that is not a command; retrying cannot help.

    `action` is the one that it names, where its queue has that; `actor` is who sent it, where that
    is known.
    """

    name: ClassVar = OutcomeName.INVALID
    code: InvalidCode
    message: str
    request_id: str | None = None
    action: str = ""
    actor: str | None = None


@value
class Admission:
    """That a message is let in: sent by `actor`, None where nobody tells who it is.

    With `own_of` it may name only rows of the user with this id. With `lapsed` it is let in only
    for the answer that it was given before its token expired; that is its answer where it has none.
    """

    actor: str | None = None
    own_of: int | None = None
    lapsed: Invalid | None = None


ANYBODY: Final = Admission()


@value
class Command:
    """A request that has the form the contract asks for, and what it was let in with."""

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
    admission: Admission = ANYBODY

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing, and is worth nothing without its answer."""
        return self.content.is_query

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger keeps the outcome: changes with an id, never queries."""
        return self.request_id is not None and not self.content.is_query

    @property
    def actor(self) -> str | None:
        """Who sent it, as far as it is known."""
        return self.admission.actor

    @property
    def own_of(self) -> int | None:
        """The id of the user whose rows alone it may name, None where it may name all."""
        return self.admission.own_of

    @property
    def row(self) -> tuple[str, int] | None:
        """Queue and id of the row that it changes; None for queries and for a new row."""
        row_id = None if self.content.is_query else self.content.row_id
        return None if row_id is None else (self.queue, row_id)

    @property
    def key(self) -> str:
        """What identifies it when it is delivered again: the request's id, else a key given to it.

        A redelivered message that lacks the key given to it has an unsure one (`is_key_unsure`).
        """
        return self.given_key if self.request_id is None else f"={self.request_id}"


@value
class Claim:
    """Who asks for what: all that authorization looks at."""

    queue: str
    action: str
    token: str | None = field(default=None, repr=False)


Permit = Callable[[Claim], Invalid | Admission]
"""Returns why a message is turned away, or that it is let in."""


class _InvalidMessage(Exception):
    def __init__(self, code: InvalidCode, message: str, action: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.action = action


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
    """Return the command in *body*, or why it is not one.

    *message_id* is the property of that name; it is the request's id where the body has none.
    *models* has the models of all actions.
    With *is_encoded*, the body is in AMQP 1.0's own encoding.
    Where *permit* turns the message away, the answer tells nothing about action, version or data.
    """
    if len(body) > body_bytes_max:
        message = f"body has {len(body)} bytes; at most {body_bytes_max} are allowed"
        return Invalid(InvalidCode.TOO_LARGE, message)
    request_id, admission = None, ANYBODY
    try:
        envelope = _envelope(body, is_encoded=is_encoded)
        request_id = _request_id(envelope, message_id)
        claim = _claim(queue, envelope)
        verdict = permit(claim)
        if isinstance(verdict, Invalid):
            return replace(verdict, request_id=request_id)
        admission = verdict
        command = _command(claim, envelope, request_id, attempt, models)
    except _InvalidMessage as error:
        if admission.lapsed is None:
            # Names of fields and keys stand in it as well.
            message = masked(str(error))
            return Invalid(error.code, message, request_id, error.action, admission.actor)
        return replace(admission.lapsed, request_id=request_id)
    if admission.lapsed is not None and not command.is_recorded:
        return replace(admission.lapsed, request_id=request_id)
    return command if admission is ANYBODY else _let_in(command, admission)


def _envelope(body: bytes, *, is_encoded: bool) -> dict[str, Any]:
    try:
        envelope = loads(body)
    except MalformedJson as error:
        reason = NO_DATA if is_encoded else _unreadable(body) or str(error)
        raise _InvalidMessage(InvalidCode.MALFORMED, f"body {reason}") from error
    if not isinstance(envelope, dict):
        message = f"body must be a JSON object; got {shown(envelope)}"
        raise _InvalidMessage(InvalidCode.MALFORMED, message)
    return envelope


def _unreadable(body: bytes) -> str | None:
    """Return why *body* is not JSON where the producer has made a known mistake, else None."""
    if not body.strip():
        return "is empty; send the command as a JSON object"
    encodings = (name for start, name in _COMPRESSED.items() if body.startswith(start))
    encoding = next(encodings, None)
    return encoding and f"is compressed ({encoding}); send it uncompressed"


def _request_id(envelope: dict[str, Any], message_id: str | None) -> str | None:
    name, value = ("id", envelope["id"]) if "id" in envelope else ("message_id", message_id)
    if value is None and name == "message_id":
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= REQUEST_ID_MAX:
        wanted = f"must be a string of 1 to {REQUEST_ID_MAX} characters"
    elif "\x00" in value or not _is_unicode(value):
        wanted = "must not contain NUL or lone surrogates"
    else:
        return value
    raise _InvalidMessage(InvalidCode.MALFORMED, f"{name} {wanted}; got {shown(value)}")


def _claim(queue: str, envelope: dict[str, Any]) -> Claim:
    action = _text(envelope, "action", required=True)
    return Claim(queue, action, _text(envelope, "auth", required=False))


def _command(
    claim: Claim, envelope: dict[str, Any], request_id: str | None, attempt: int, models: Models
) -> Command:
    queue, action = claim.queue, claim.action
    version = envelope.get("version", "v1")
    if not isinstance(version, str) or version not in models:
        message = f"version must be {' or '.join(models)}; got {shown(version)}"
        raise _InvalidMessage(InvalidCode.UNSUPPORTED_VERSION, message)
    model = models[version].get((queue, action))
    if model is None:
        raise _InvalidMessage(InvalidCode.UNKNOWN_ACTION, _unknown(claim, version, models))
    content = _content(model, envelope, action)
    # Only fields that the producer sent count: a field that a later version adds with a default
    # must not make an old request look changed.
    sent = content.model_dump_json(exclude_unset=True)
    digest = blake2b(f"{queue}\n{action}\n{version}\n{sent}".encode(), digest_size=16)
    return Command(queue, action, version, request_id, content, digest.hexdigest(), attempt)


def _let_in(command: Command, admission: Admission) -> Command:
    """Return *command* with its admission; a list of own rows without a user is one of these."""
    content, user_id = command.content, admission.own_of
    if isinstance(content, List) and content.__dict__.get("user_id", user_id) is None:
        content = content.model_copy(update={"user_id": user_id})
    return replace(command, content=content, admission=admission)


def _unknown(claim: Claim, version: str, models: Models) -> str:
    """Return that the queue has no such action in *version*, and which it has."""
    known = {
        one: [action for queue, action in models[one] if queue == claim.queue] for one in models
    }
    others = [one for one, actions in known.items() if claim.action in actions]
    hint = f"; set version to {others[0]} to use it" if others else ""
    return (
        f"unknown action {shown(claim.action)} for queue {claim.queue} ({version}); "
        f"known: {', '.join(known[version])}{hint}"
    )


def _content(model: type[CommandData], envelope: dict[str, Any], action: str) -> CommandData:
    kept, left_out = without_excess(model, envelope.get("data", {}))
    try:
        return model.model_validate(kept)
    except ValidationError as error:
        message = explain(error, left_out) + ignored(envelope, FIELDS)
        raise _InvalidMessage(InvalidCode.INVALID_DATA, message, action) from error


def _text(envelope: dict[str, Any], name: str, *, required: bool) -> Any:
    if name not in envelope:
        if required:
            message = f"{name} is missing{ignored(envelope, FIELDS)}"
            raise _InvalidMessage(InvalidCode.MALFORMED, message)
        return None
    value = envelope[name]
    if not isinstance(value, str):
        # The token itself is never shown, whatever it was sent as.
        got = "" if name == "auth" else f"; got {shown(value)}"
        raise _InvalidMessage(InvalidCode.MALFORMED, f"{name} must be a string{got}")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
