"""Where the keys of JWTs come from: a file, at a start, a reload, and for a key not known yet."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from orderd.config.jwt import KEYS, JwtSettings, usable_keys
from orderd.config.settings import Settings
from orderd.logs.logger import LogEvent, emit
from orderd.protocol.explain import shown
from orderd.runtime.config_errors import ConfigError

if TYPE_CHECKING:
    from orderd.auth.signatures import Key
    from orderd.auth.verifier import JwtVerifier


class _KeyFile:
    """The file with the keys; `keys` are those that were read from it last."""

    def __init__(self, jwt: JwtSettings) -> None:
        """Read them; raises ConfigError where none can be used."""
        self._jwt = jwt
        self.keys = usable_keys(jwt)

    def read_again(self) -> "Sequence[Key] | None":
        """Return the keys of now, None where they cannot be used; the log says what is new."""
        try:
            keys = usable_keys(self._jwt)
        except ConfigError as error:
            emit(LogEvent.CONFIG_WARNING, f"the previous keys of JWTs stay: {error}")
            return None
        if changes := key_changes(self.keys, keys):
            emit(LogEvent.CONFIG_RELOADED, f"{changes}; read for a token with an unknown key")
        self.keys = keys
        return keys


def verifier_of(settings: Settings) -> "JwtVerifier | None":
    """Return what verifies JWTs, None where they are not accepted.

    Raises ConfigError where the file has no key that can be used.
    """
    jwt = settings.jwt
    if jwt is None or not settings.takes_jwt:
        return None
    file = _KeyFile(jwt)
    # cryptography takes its time to load: a start without JWTs does without.
    from orderd.auth.verifier import JwtVerifier, Rules  # noqa: PLC0415

    rules = Rules(jwt.algorithms, jwt.issuer, jwt.audience, jwt.leeway)
    return JwtVerifier(rules, file.keys, file.read_again, time.monotonic)


def key_changes(before: "Sequence[Key]", after: "Sequence[Key]") -> str:
    """Return which keys came and which went, by their names; an empty text where none did."""
    known, fresh = ({key.identity for key in keys} for keys in (before, after))
    came = _named(key for key in after if key.identity not in known)
    went = _named(key for key in before if key.identity not in fresh)
    told = [f"added {came}"] if came else []
    told += [f"removed {went}"] if went else []
    return f"{KEYS}: {', '.join(told)}" if told else ""


def _named(keys: "Iterable[Key]") -> str:
    """Return the names of the keys."""
    return " and ".join(
        f"a key for {key.algorithm} without kid" if key.kid is None else f"kid {shown(key.kid)}"
        for key in keys
    )
