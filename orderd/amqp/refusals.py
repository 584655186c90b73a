"""Connections that the broker refuses until an operator has acted."""

import re
from typing import Any, Final

from pika.exceptions import ProbableAccessDeniedError, ProbableAuthenticationError

# pika keeps the broker's close only as text. Without one, the connection was merely lost then.
_CLOSED: Final = re.compile(r"\((?:403|530)\) (['\"])(.*)\1")


def refusal(error: Any, where: str, user: str | None) -> str | None:
    """Return what was refused to whom where *error*, of a connection that failed, says so."""
    closed = _CLOSED.search(str(error))
    if closed is None:
        return None
    if isinstance(error, ProbableAuthenticationError):
        return f"login refused for user {user}: {where}: {closed[2]}"
    if isinstance(error, ProbableAccessDeniedError):
        return f"virtual host refused to user {user}: {where}: {closed[2]}"
    return None
