"""Connections that PostgreSQL, or a pooler before it, refuses until an operator has acted.

At connect, libpq gives no SQLSTATE: the words of the server are all there is. Where they come in
another language, the server counts as away, as long as it refuses.
"""

import re
from typing import Final

_LOGIN: Final = re.compile(
    r"authentication failed|role \".*?\" does not exist|is not permitted to log in"
    r"|no pg_hba\.conf entry|pg_hba\.conf rejects|no password supplied"
    r"|permission denied for database|no such user"
)
_DATABASE: Final = re.compile(
    r"database \".*?\" does not exist|is not currently accepting connections"
    r"|cannot connect to invalid database|no such database"
)
# libpq's own words, and those of OpenSSL that it passes on.
_TLS: Final = re.compile(
    r"certificate verify failed|does not match host name|valid client certificate"
    r"|root certificate file|(read|load) (root )?(certificate|private key) file|but not private key"
    r"|private key file \".*?\" (has|must)|does not support SSL|SSL error: .*\balert\b"
    r"|SSL error: (unsupported protocol|no shared cipher|wrong version number)"
)
_ROLE: Final = re.compile(r"(?:role|user) \"(.*?)\"")


def refusal(text: str, role: str | None) -> str | None:
    """Return what was refused to whom where *text*, of a failed connect as *role*, says so."""
    if _DATABASE.search(text):
        return f"database refused: {text}"
    if _TLS.search(text):
        return f"TLS fails: {text}"
    if not _LOGIN.search(text):
        return None
    named = _ROLE.search(text)
    who = named[1] if named else role
    return f"login refused{f' for role {who}' if who else ''}: {text}"
