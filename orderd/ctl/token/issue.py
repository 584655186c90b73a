"""`orderctl token issue`: a signed token on stdout, for scripts, tests and services."""

import argparse
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderd.auth.scopes import scope_faults
from orderd.auth.signatures import UnusableKeys
from orderd.auth.signing import SigningKey, parse_signing_key
from orderd.config.durations import format_duration
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.errors import Failure, WrongUsage
from orderd.ctl.json_text import compact
from orderd.ctl.token.accepted import settings_of, verdict
from orderd.ctl.token.key_files import read
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.rows import rfc3339
from orderd.shop.authorize import OWN

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# Above that a token is no longer short-lived: it cannot be taken back.
LIFETIME_WARNED_S: Final = 86_400.0


def issue(options: argparse.Namespace, context: Context) -> int:
    """Print the token; what is doubtful about it is said on stderr."""
    console = context.console
    _check_scope(options.scope, options.user_id)
    key = _key(options.key, options.kid)
    is_complete = options.issuer is not None and options.audience is not None
    settings = None if is_complete else settings_of(context)
    claims = _claims(options, settings)
    token = key.sign(claims)
    _warn(console, options, settings, token)
    if console.is_json:
        ends = rfc3339(datetime.fromtimestamp(claims["exp"], UTC))
        told = {"token": token, "kid": key.kid, "subject": claims["sub"], "expires_at": ends}
        console.exact(f"{compact(told)}\n")
    else:
        console.exact(f"{token}\n")
    return ExitCode.DONE


def _check_scope(scope: str, user_id: int | None) -> None:
    """Raise WrongUsage where a word of *scope* would allow nothing."""
    if faults := list(scope_faults(scope)):
        raise WrongUsage("\n".join(f"--scope {fault}" for fault in faults))
    if user_id is None and any(word.endswith(OWN) for word in scope.split()):
        raise WrongUsage(f"--scope has {OWN}, which needs --user-id")


def _key(file: Path, kid: str | None) -> SigningKey:
    content = read(file)
    try:
        return parse_signing_key(content, kid)
    except UnusableKeys as error:
        raise Failure(f"{file}: {error}") from error


def _claims(options: argparse.Namespace, settings: "Settings | None") -> dict[str, Any]:
    jwt = None if settings is None else settings.jwt
    named = {"issuer": options.issuer, "audience": options.audience}
    for name, given in named.items():
        if given is None and jwt is None:
            raise WrongUsage(f"--{name} is missing, and the settings have no [jwt] with one")
        named[name] = getattr(jwt, name) if given is None else given
    now_s = int(time.time())
    claims: dict[str, Any] = {
        "iss": named["issuer"],
        "aud": named["audience"],
        "sub": options.subject,
        "iat": now_s,
        "exp": now_s + max(1, round(options.expires_in)),
        "jti": str(uuid.uuid4()),
        "scope": " ".join(options.scope.split()),
    }
    return claims if options.user_id is None else {**claims, "orderd_user_id": options.user_id}


def _warn(
    console: Console, options: argparse.Namespace, settings: "Settings | None", token: str
) -> None:
    if options.expires_in > LIFETIME_WARNED_S:
        lifetime = format_duration(options.expires_in)
        console.note(
            f"the token is valid for {lifetime}, and cannot be revoked without its key: at most "
            f"{format_duration(LIFETIME_WARNED_S)} is advised"
        )
    found = None if settings is None or settings.jwt is None else verdict(settings, token)
    if found is not None and found.is_valid is False:
        console.note(f"the daemon would not accept the token: {found.reason}")
