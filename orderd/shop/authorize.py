"""Who may send which command, where tokens are configured at all."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Protocol

from orderd.protocol.envelope import ANYBODY, Admission, Claim, Invalid
from orderd.protocol.explain import shown
from orderd.protocol.names import InvalidCode
from orderd.protocol.values import value
from orderd.shop.registry import SHOP

OWN: Final = ":own"
# Whether the daemon is well may be asked by everybody: by orderctl, by a probe.
_OPEN_TO_ALL: Final = "health_check"
_ACTION: Final = re.compile("[a-z_]{1,64}")
_DOTS_OF_JWT: Final = 2


@value
class Grant:
    """What an opaque token allows: its *name* in the settings, and ``queue.action`` patterns."""

    name: str
    patterns: tuple[str, ...]


Grants = Mapping[str, Grant] | None
"""SHA-256 of a token (hex) to what it allows; None: all may do all."""


@value
class Scope:
    """What a JWT allows: patterns of all rows, and of rows of the user *user_id* alone.

    *subject* is who it was issued to.
    """

    patterns: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    user_id: int | None = None
    subject: str | None = None


class TurnedAway(Exception):
    """A JWT that is not accepted; the text is a predicate that says why, and shows no token."""


class Expired(TurnedAway):
    """A JWT that was valid before, and allowed *scope*."""

    def __init__(self, scope: Scope) -> None:
        """Keep what it allowed."""
        super().__init__("has expired")
        self.scope = scope


@value
class Arrival:
    """What RabbitMQ and orderd itself know of a message; its body says none of that.

    It was first received at *received_s*, in seconds since 1970, sent by the RabbitMQ user
    *user_id* where that is known. *is_redelivered* tells that orderd may have been at it before.
    """

    received_s: float = 0.0
    user_id: str | None = None
    is_redelivered: bool = False


class Verifies(Protocol):
    """What tells by a JWT who may do what."""

    def verify(self, token: str, now_s: float, received_s: float) -> Scope:
        """Return what *token* allows, which came at *received_s*; in seconds since 1970.

        Raises `Expired` where it had expired by then, and `TurnedAway` where it is not valid.
        """


def authorize(
    grants: Grants,
    claim: Claim,
    arrival: Arrival,
    *,
    verifier: Verifies | None = None,
    now_s: float = 0.0,
) -> Invalid | Admission:
    """Return why the message of *claim* is turned away, or that it is let in.

    *verifier* accepts JWTs at *now_s*, and for what has waited here those that have expired since.
    """
    if grants is None or claim.action == _OPEN_TO_ALL:
        return ANYBODY if arrival.user_id is None else Admission(arrival.user_id)
    if claim.token is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is missing", actor=arrival.user_id)
    token = claim.token.removeprefix("Bearer ").strip()
    if verifier is None or (grants and token.count(".") != _DOTS_OF_JWT):
        return _by_grants(grants, claim, token)
    try:
        return _by_scope(verifier.verify(token, now_s, arrival.received_s), claim)
    except Expired as error:
        return _by_expired(error, claim, arrival)
    except TurnedAway as error:
        return _unauthorized(error)


def _by_scope(scope: Scope, claim: Claim) -> Invalid | Admission:
    if _allows(scope.patterns, claim):
        return Admission(scope.subject)
    if not (_allows(scope.own, claim) and _has_owner(claim)):
        return _forbidden(claim, scope.subject)
    if scope.user_id is None:
        message = f"auth has {OWN} in its scope, and no orderd_user_id"
        return Invalid(InvalidCode.FORBIDDEN, message, actor=scope.subject)
    return Admission(scope.subject, scope.user_id)


def _by_expired(error: Expired, claim: Claim, arrival: Arrival) -> Invalid | Admission:
    """Return that the message is turned away, unless it may have been carried out before that."""
    lapsed = _unauthorized(error, error.scope.subject)
    admission = _by_scope(error.scope, claim)
    if isinstance(admission, Invalid) or not arrival.is_redelivered:
        return lapsed
    return replace(admission, lapsed=lapsed)


def _by_grants(grants: Mapping[str, Grant], claim: Claim, token: str) -> Invalid | Admission:
    # Comparing digests gives away nothing of a token by how long it takes.
    grant = grants.get(sha256(token.encode(errors="surrogatepass")).hexdigest())
    if grant is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is not a known token")
    if _allows(grant.patterns, claim):
        return Admission(grant.name)
    return _forbidden(claim, grant.name)


def _unauthorized(error: TurnedAway, actor: str | None = None) -> Invalid:
    return Invalid(InvalidCode.UNAUTHORIZED, f"auth {error}", actor=actor)


def _allows(patterns: Iterable[str], claim: Claim) -> bool:
    wanted = f"{claim.queue}.{claim.action}"
    return any(fnmatchcase(wanted, pattern) for pattern in patterns)


def _has_owner(claim: Claim) -> bool:
    """Return whether the action is one on rows that belong to a user."""
    entity = SHOP.by_queue.get(claim.queue)
    actions = () if entity is None else entity.actions
    return any(each.owner is not None for each in actions if each.name == claim.action)


def _forbidden(claim: Claim, actor: str | None) -> Invalid:
    name = claim.action if _ACTION.fullmatch(claim.action) else shown(claim.action)
    message = f"auth does not allow {claim.queue}.{name}"
    return Invalid(InvalidCode.FORBIDDEN, message, actor=actor)
