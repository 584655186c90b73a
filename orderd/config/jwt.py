"""The settings of JSON Web Tokens: whose are accepted, and by which keys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from orderd.config import bounded_read
from orderd.config.types import Listed, Seconds
from orderd.runtime.config_errors import ConfigError, Problem

if TYPE_CHECKING:
    from orderd.auth.signatures import Key

KEYS: Final = "jwt.keys"
_MODEL: Final = ConfigDict(
    frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True, validate_default=True
)
_Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]


class JwtSettings(BaseModel):
    """Which tokens are accepted: by which keys, by whom issued, for whom."""

    model_config = _MODEL

    # Only the daemon needs it, and it may be a credential of the daemon alone.
    keys: str = Field(
        default="",
        max_length=4_096,
        pattern=r"^(/[^\x00\n]*[^/\x00\n])?$",
        description="path of a JWKS or of public keys in PEM; or the credential `jwt_keys`",
    )
    issuer: str = Field(min_length=1, max_length=255, description="`iss` of the tokens")
    audience: str = Field(
        min_length=1, max_length=255, description="what `aud` of the tokens is, or has in its list"
    )
    algorithms: Annotated[tuple[_Algorithm, ...], Listed] = Field(
        default=("EdDSA", "ES256", "RS256"),
        min_length=1,
        max_length=4,
        description="accepted algorithms: EdDSA (Ed25519), ES256, RS256, HS256",
    )
    leeway: Annotated[Seconds, Field(ge=0, le=600)] = Field(
        default=30.0, description="tolerated difference of clocks, 0s to 10min"
    )


def usable_keys(jwt: JwtSettings) -> "Sequence[Key]":
    """Return the keys in the file; raises ConfigError where it has none that can be used."""
    # cryptography takes its time to load: a start without JWTs does without.
    from orderd.auth.signatures import UnusableKeys, parse_keys  # noqa: PLC0415

    if not jwt.keys:
        reason = "is missing: the path of a file with keys, or the credential jwt_keys"
        raise ConfigError([Problem(KEYS, reason, "")])
    content = _read(jwt)
    try:
        return parse_keys(content, jwt.algorithms)
    except UnusableKeys as error:
        raise ConfigError([Problem(KEYS, str(error), jwt.keys)]) from error


def _read(jwt: JwtSettings) -> bytes:
    try:
        content = bounded_read.read(jwt.keys)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    else:
        if len(content) <= bounded_read.BYTES_MAX:
            return content
        reason = "is over 1 MiB"
    raise ConfigError([Problem(KEYS, reason, jwt.keys)])
