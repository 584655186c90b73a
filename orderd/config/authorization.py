"""How commands are authorized: what the settings come to, and when protection may be taken away."""

from typing import Final

from orderd.config.settings import Settings
from orderd.runtime.config_errors import Problem

AUTHORIZATION: Final = "authorization"
NONE: Final = "none"
# An environment is inherited, and its variables are not in one place where they can be looked up.
_FILES: Final = ("file ", "credential ")


def described(settings: Settings) -> str:
    """Return the mode in force in words."""
    mode = settings.authorization_mode
    if mode == NONE:
        return f"{NONE} (every command is allowed)"
    count = len(settings.tokens) if settings.takes_tokens else 0
    tokens = f"{count} {'token' if count == 1 else 'tokens'}"
    if settings.jwt is None or not settings.takes_jwt:
        return f"{mode} ({tokens})"
    return f"{mode} (issuer {settings.jwt.issuer}{f', and {tokens}' if count else ''})"


def ignored(settings: Settings) -> str | None:
    """Return what is configured and does not count, None where all of it does."""
    found = {
        "tokens": (settings.tokens, settings.takes_tokens),
        "jwt": (settings.jwt, settings.takes_jwt),
    }
    names = [name for name, (given, counts) in found.items() if given and not counts]
    return " and ".join(names) or None


def is_none_said(settings: Settings) -> bool:
    """Return whether a file itself says that every command is allowed."""
    origin = settings.origins.get((AUTHORIZATION,), "")
    return settings.authorization == NONE and origin.startswith(_FILES)


def unusable_mode(settings: Settings) -> Problem | None:
    """Return why the configured authorization mode cannot work, if so."""
    reasons = {}
    if settings.jwt is None:
        reasons["jwt"] = "there is no [jwt] with keys, issuer and audience"
    if not settings.tokens:
        reasons["tokens"] = "there are no tokens"
    reason = reasons.get(settings.authorization)
    if reason is None:
        return None
    return Problem(
        AUTHORIZATION,
        reason,
        settings.origins.get((AUTHORIZATION,), ""),
        repr(settings.authorization),
    )


def lost_protection(before: str | None, settings: Settings) -> Problem | None:
    """Return what is wrong where the settings take away the protection by the mode *before*.

    None is a mode that is not known, and takes nothing away.
    """
    if before in {None, NONE} or settings.authorization_mode != NONE or is_none_said(settings):
        return None
    origin = settings.origins.get((AUTHORIZATION,), "")
    reason = (
        f'would change from {before} to {NONE}: only where the file says {AUTHORIZATION} = "{NONE}"'
    )
    return Problem(AUTHORIZATION, reason, origin)
