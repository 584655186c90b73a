"""`orderctl token inspect`: what is in a token, and what the daemon says of it."""

import argparse
import getpass
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from orderd.auth.scopes import scope_faults
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.errors import WrongUsage
from orderd.ctl.json_text import compact
from orderd.ctl.tables import Column, Table
from orderd.ctl.token.accepted import Verdict, content_of, settings_of, verdict
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.masking import masked_value
from orderd.protocol.rows import rfc3339

_STDIN: Final = "-"
_BYTES_MAX: Final = 1 << 16
_DIGITS: Final = 8
_SCHEME: Final = "Bearer "
_TIMES: Final = ("iat", "nbf", "exp")
_CODES: Final = {True: ExitCode.DONE, False: ExitCode.FAILED, None: ExitCode.NOT_CHECKED}


def inspect(options: argparse.Namespace, context: Context) -> int:
    """Print what is in the token, and whether the daemon accepts it; never the token."""
    console = context.console
    token = _token(options.token, console)
    settings = settings_of(context)
    found = verdict(settings, token)
    header, claims = (masked_value(part) for part in content_of(token))
    if found.name is not None:
        claims = {"name": found.name, "scope": " ".join(settings.tokens[found.name].allow)}
    digits = sha256(token.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    if console.is_json:
        console.document(
            {
                "header": header,
                "claims": claims,
                "times": {name: _time(claims[name]) for name in _TIMES if name in claims},
                "ignored_scope": [*_ignored(claims)],
                "sha256": digits,
                "valid": found.is_valid,
                "reason": found.reason or None,
            }
        )
    else:
        cells = [
            *_cells(header),
            *_cells(claims),
            ("sha256", digits),
            ("verdict", _in_words(found)),
        ]
        console.table(Table((Column("what"), Column("value", is_long=True)), cells))
        for word in _ignored(claims):
            console.note(f"scope {word}")
    return _CODES[found.is_valid]


def _token(argument: str, console: Console) -> str:
    """Return the token, without what may stand before and behind it; raises WrongUsage."""
    if argument != _STDIN:
        console.note(
            "a token among the arguments can be seen in the list of processes and stays in the "
            "shell's history; orderctl token inspect reads it from stdin"
        )
        text = argument
    elif sys.stdin.isatty():
        # Without an echo.
        text = getpass.getpass("token: ")
    else:
        content = sys.stdin.buffer.read(_BYTES_MAX + 1)
        if len(content) > _BYTES_MAX:
            raise WrongUsage(f"stdin: has over {_BYTES_MAX} bytes")
        text = content.decode(errors="surrogateescape")
    token = f"{text.strip()} ".removeprefix(_SCHEME).strip()
    if not token:
        raise WrongUsage("there is no token; orderctl token inspect reads one from stdin")
    return token


def _cells(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in members.items():
        text = found if isinstance(found, str) else compact(found)
        moment = _time(found) if name in _TIMES else None
        yield name, text if moment is None else moment


def _time(found: Any) -> str | None:
    """Return a time of a token as RFC 3339 in UTC, None where it is none."""
    if not isinstance(found, int | Decimal) or isinstance(found, bool):
        return None
    try:
        return rfc3339(datetime.fromtimestamp(float(found), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _ignored(claims: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of the scope that allow nothing, each with the reason."""
    scope = claims.get("scope")
    if isinstance(scope, str) and scope.split():
        yield from scope_faults(scope)


def _in_words(found: Verdict) -> str:
    match found.is_valid:
        case True:
            return "accepted"
        case False:
            return f"not accepted: {found.reason}"
        case None:
            return f"not checked: {found.reason}"
