"""Whether a daemon with the settings here accepts a token: asked of the daemon's own verifier."""

import binascii
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from orderd.auth.claims import TOKEN_CHARACTERS_MAX, read_claims, read_header
from orderd.auth.verifier import JwtVerifier, Rules
from orderd.config.jwt import JwtSettings, usable_keys
from orderd.ctl.errors import Misconfigured
from orderd.protocol.strict_json import MalformedJson, loads
from orderd.protocol.values import value
from orderd.runtime.config_errors import ConfigError
from orderd.shop.authorize import TurnedAway

if TYPE_CHECKING:
    from orderd.config.settings import Settings
    from orderd.ctl.context import Context

DOTS_OF_JWT: Final = 2
_LEEWAY_S: Final = 30.0


@value
class Verdict:
    """What the daemon says of a token; `is_valid` is None where that could not be checked.

    `name` is that of a token which is no JWT.
    """

    is_valid: bool | None
    reason: str = ""
    name: str | None = None


def settings_of(context: "Context") -> "Settings":
    """Return the settings; no server is asked, so root stays root. Raises Misconfigured."""
    try:
        return context.load_settings()
    except ConfigError as error:
        problems = [f"configuration: {problem}" for problem in error.problems]
        raise Misconfigured("\n".join(problems)) from error


def verdict(settings: "Settings", token: str) -> Verdict:
    """Return what the daemon says of *token* now, by the clock of this machine."""
    jwt = settings.jwt if settings.takes_jwt else None
    if settings.takes_tokens and (jwt is None or token.count(".") != DOTS_OF_JWT):
        return _of_tokens(settings, token)
    if jwt is None:
        return _without_keys(token, "neither keys nor tokens are in force here")
    try:
        keys = usable_keys(jwt)
    except ConfigError as error:
        return _without_keys(token, str(error), jwt)
    rules = Rules(jwt.algorithms, jwt.issuer, jwt.audience, jwt.leeway)
    verifier = JwtVerifier(rules, keys, lambda: None, time.monotonic)
    now_s = time.time()
    try:
        verifier.verify(token, now_s, now_s)
    except TurnedAway as error:
        return Verdict(is_valid=False, reason=f"auth {error}")
    return Verdict(is_valid=True)


def _of_tokens(settings: "Settings", token: str) -> Verdict:
    digest = sha256(token.encode(errors="surrogatepass")).hexdigest()
    for name, known in settings.tokens.items():
        if known.sha256 == digest:
            return Verdict(is_valid=True, name=name)
    return Verdict(is_valid=False, reason="auth is not a known token")


def content_of(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims of a JWT, whoever wrote them; nothing of what cannot be read."""
    parts = token.split(".")
    if len(parts) != DOTS_OF_JWT + 1 or len(token) > TOKEN_CHARACTERS_MAX:
        return {}, {}
    return _object(parts[0]), _object(parts[1])


def _without_keys(token: str, why: str, jwt: JwtSettings | None = None) -> Verdict:
    """Return what can be said without a key: that a JWT is malformed, or has expired."""
    not_checked = Verdict(is_valid=None, reason=why)
    if token.count(".") != DOTS_OF_JWT:
        return not_checked
    try:
        read_header(token)
        if jwt is None:
            claims = read_claims(token, *_named_by(token))
        else:
            claims = read_claims(token, jwt.issuer, jwt.audience)
        now_s = time.time()
        claims.assert_valid_at(now_s, now_s, _LEEWAY_S if jwt is None else jwt.leeway)
    except TurnedAway as error:
        return Verdict(is_valid=False, reason=f"auth {error}")
    return not_checked


def _named_by(token: str) -> tuple[Any, Any]:
    """Return issuer and audience that the token names itself."""
    _, claims = content_of(token)
    audience = claims.get("aud")
    return claims.get("iss"), audience[0] if isinstance(audience, list) and audience else audience


def _object(part: str) -> Mapping[str, Any]:
    try:
        found = loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, MalformedJson):
        return {}
    return found if isinstance(found, dict) else {}
