"""Where the keys of JWTs come from: a file, at a start, a reload, and for a key not known yet."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderd.config.jwt import JwtSettings, usable_keys
from orderd.config.settings import Settings
from orderd.logs.logger import LogEvent, emit
from orderd.runtime.config_errors import ConfigError
from orderd.shop.authorize import Verifies

if TYPE_CHECKING:
    from orderd.auth.signatures import Key


def verifier_of(settings: Settings) -> Verifies | None:
    """Return what verifies JWTs, None where they are not accepted.

    Raises ConfigError where the file has no key that can be used.
    """
    jwt = settings.jwt
    if jwt is None or not settings.takes_jwt:
        return None
    keys = usable_keys(jwt)
    # cryptography takes its time to load: a start without JWTs does without.
    from orderd.auth.verifier import JwtVerifier, Rules  # noqa: PLC0415

    rules = Rules(jwt.algorithms, jwt.issuer, jwt.audience, jwt.leeway)
    return JwtVerifier(rules, keys, lambda: _keys_of_now(jwt), time.monotonic)


def _keys_of_now(jwt: JwtSettings) -> "Sequence[Key] | None":
    try:
        return usable_keys(jwt)
    except ConfigError as error:
        emit(LogEvent.CONFIG_WARNING, f"the previous keys of JWTs stay: {error}")
        return None
