"""Who may send which command, where tokens are configured at all."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Protocol

from orderd.protocol.envelope import Claim, Invalid, OwnRows
from orderd.protocol.explain import shown
from orderd.protocol.names import InvalidCode
from orderd.protocol.values import value
from orderd.shop.registry import SHOP

Grants = Mapping[str, tuple[str, ...]] | None
"""SHA-256 of a token (hex) to the ``queue.action`` patterns it may use; None: all may do all."""

OWN: Final = ":own"
# Whether the daemon is well may be asked by everybody: by orderctl, by a probe.
_OPEN_TO_ALL: Final = "health_check"
_ACTION: Final = re.compile("[a-z_]{1,64}")
_DOTS_OF_JWT: Final = 2


class TurnedAway(Exception):
    """A JWT that is not accepted; the text is a predicate that says why, and shows no token."""


@value
class Scope:
    """What a JWT allows: patterns of all rows, and of rows of the user *user_id* alone."""

    patterns: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    user_id: int | None = None


class Verifies(Protocol):
    """What tells by a JWT who may do what."""

    def verify(self, token: str, now_s: float) -> Scope:
        """Return what *token* allows at *now_s*, in seconds since 1970; raises `TurnedAway`."""


def authorize(
    grants: Grants, claim: Claim, verifier: Verifies | None = None, now_s: float = 0.0
) -> Invalid | OwnRows | None:
    """Return why the message of *claim* is turned away, None where it is let in.

    Return `OwnRows` where it is let in for rows of one user. *verifier* accepts JWTs at *now_s*.
    """
    if grants is None or claim.action == _OPEN_TO_ALL:
        return None
    if claim.token is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is missing")
    token = claim.token.removeprefix("Bearer ").strip()
    if verifier is None or (grants and token.count(".") != _DOTS_OF_JWT):
        return _by_grants(grants, claim, token)
    return _by_jwt(verifier, claim, token, now_s)


def _by_jwt(verifier: Verifies, claim: Claim, token: str, now_s: float) -> Invalid | OwnRows | None:
    try:
        scope = verifier.verify(token, now_s)
    except TurnedAway as error:
        return Invalid(InvalidCode.UNAUTHORIZED, f"auth {error}")
    if _allows(scope.patterns, claim):
        return None
    if not (_allows(scope.own, claim) and _has_owner(claim)):
        return _forbidden(claim)
    if scope.user_id is None:
        return Invalid(InvalidCode.FORBIDDEN, f"auth has {OWN} in its scope, and no orderd_user_id")
    return OwnRows(scope.user_id)


def _by_grants(grants: Mapping[str, tuple[str, ...]], claim: Claim, token: str) -> Invalid | None:
    # Comparing digests gives away nothing of a token by how long it takes.
    allowed = grants.get(sha256(token.encode(errors="surrogatepass")).hexdigest())
    if allowed is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is not a known token")
    return None if _allows(allowed, claim) else _forbidden(claim)


def _allows(patterns: Iterable[str], claim: Claim) -> bool:
    wanted = f"{claim.queue}.{claim.action}"
    return any(fnmatchcase(wanted, pattern) for pattern in patterns)


def _has_owner(claim: Claim) -> bool:
    """Return whether the action is one on rows that belong to a user."""
    entity = SHOP.by_queue.get(claim.queue)
    actions = () if entity is None else entity.actions
    return any(each.owner is not None for each in actions if each.name == claim.action)


def _forbidden(claim: Claim) -> Invalid:
    name = claim.action if _ACTION.fullmatch(claim.action) else shown(claim.action)
    return Invalid(InvalidCode.FORBIDDEN, f"auth does not allow {claim.queue}.{name}")
