"""What stands in a JWT: its header and its claims, as strict as RFC 8725 asks for."""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from orderd.protocol.explain import shown
from orderd.protocol.fields import BIGINT_MAX
from orderd.protocol.strict_json import MalformedJson, loads
from orderd.protocol.values import value
from orderd.shop.authorize import OWN, Expired, Scope, TurnedAway

TOKEN_CHARACTERS_MAX: Final = 16_384
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_SCOPE: Final = re.compile(rf"(?:\*|(?:product|order|user)\.(?:\*|[a-z_]{{1,64}}))(?:{OWN})?")
_TIME_MAX: Final = 1 << 53
_SUBJECT_CHARACTERS_MAX: Final = 255


@value
class Header:
    """Which key a token says that it is signed by, and how."""

    algorithm: str
    kid: str | None


@value
class Claims:
    """What a verified token grants, and when; times are in seconds since 1970."""

    scope: Scope
    expires_at_s: float
    not_before_s: float

    def assert_valid_at(self, now_s: float, received_s: float, leeway_s: float) -> None:
        """Raise `Expired` where the token had expired when it came, `TurnedAway` before its time.

        *received_s* is when it came.
        """
        if received_s >= self.expires_at_s + leeway_s:
            raise Expired(self.scope)
        if now_s < self.not_before_s - leeway_s:
            raise TurnedAway("is not valid yet")


def read_header(token: str) -> Header:
    """Return the header of *token*; nothing else in it is looked at. Raises `TurnedAway`.

    `jku`, `x5u`, `jwk` and `x5c` name keys of the sender: they are never looked at.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise _malformed(
            f"it has {len(token)} characters; at most {TOKEN_CHARACTERS_MAX} are allowed"
        )
    parts = _PARTS.fullmatch(token)
    if parts is None:
        raise _malformed("it must be three parts of base64url, joined by dots")
    header = _object(parts[1], "header")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str):
        raise _malformed(f"alg must be a string; got {shown(algorithm)}")
    if kid is not None and not isinstance(kid, str):
        raise _malformed(f"kid must be a string; got {shown(kid)}")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _malformed(f"typ must be JWT or at+jwt; got {shown(kind)}")
    for name in ("cty", "crit", "b64", "zip"):
        if name in header:
            raise _malformed(f"{name} is not supported in its header")
    return Header(algorithm, kid)


def read_claims(token: str, issuer: str, audience: str) -> Claims:
    """Return the claims of *token*, the signature of which was verified. Raises `TurnedAway`."""
    claims = _object(token.split(".")[1], "payload")
    if claims.get("iss") != issuer:
        raise TurnedAway("has the wrong issuer")
    if not _is_for(claims.get("aud"), audience):
        raise TurnedAway("has the wrong audience")
    expires_at_s = _time(claims, "exp")
    if expires_at_s is None:
        raise _malformed("exp is missing")
    begins_s = [moment for name in ("nbf", "iat") if (moment := _time(claims, name)) is not None]
    return Claims(_scope(claims), expires_at_s, max(begins_s, default=0.0))


def is_scope(word: str) -> bool:
    """Return whether *word*, of the claim `scope`, has the form of those that orderd looks at."""
    return _SCOPE.fullmatch(word) is not None


def _object(part: str, name: str) -> Mapping[str, Any]:
    try:
        found = loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except binascii.Error:
        raise _malformed(f"its {name} is not base64url") from None
    except MalformedJson as error:
        raise _malformed(f"its {name} {error}") from None
    if not isinstance(found, dict):
        raise _malformed(f"its {name} must be a JSON object")
    return found


def _is_for(found: object, audience: str) -> bool:
    if isinstance(found, list):
        return all(isinstance(each, str) for each in found) and audience in found
    return found == audience


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a claim's seconds since 1970, None where it is missing."""
    if name not in claims:
        return None
    moment = claims[name]
    is_number = isinstance(moment, int | Decimal) and not isinstance(moment, bool)
    if is_number and 0 <= moment <= _TIME_MAX:
        return float(moment)
    raise _malformed(f"{name} must be a number of seconds since 1970; got {shown(moment)}")


def _scope(claims: Mapping[str, Any]) -> Scope:
    """Return what the token allows; words of the scope that are not orderd's mean nothing here."""
    text, user_id = claims.get("scope", ""), claims.get("orderd_user_id")
    if not isinstance(text, str):
        raise _malformed(f"scope must be a string; got {shown(text)}")
    if user_id is not None and not _is_id(user_id):
        raise _malformed(f"orderd_user_id must be the id of a user; got {shown(user_id)}")
    subject = _subject(claims)
    words = [word for word in text.split(" ") if is_scope(word)]
    own = tuple(word.removesuffix(OWN) for word in words if word.endswith(OWN))
    return Scope(tuple(word for word in words if not word.endswith(OWN)), own, user_id, subject)


def _subject(claims: Mapping[str, Any]) -> str | None:
    """Return who the token was issued to: a name of one line, as it is stored and logged."""
    found = claims.get("sub")
    if found is None:
        return None
    if not isinstance(found, str):
        raise _malformed(f"sub must be a string; got {shown(found)}")
    if not (1 <= len(found) <= _SUBJECT_CHARACTERS_MAX and found.isprintable()):
        raise _malformed(
            f"sub must have 1 to {_SUBJECT_CHARACTERS_MAX} printable characters; got {shown(found)}"
        )
    return found


def _is_id(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= BIGINT_MAX


def _malformed(why: str) -> TurnedAway:
    return TurnedAway(f"is malformed: {why}")
