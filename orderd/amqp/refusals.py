"""What pika says of connections that cannot be made, or are lost, in words."""

import re
from typing import Any, Final

import pika.exceptions
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


def cause_of(error: Any) -> str:
    """Return the innermost cause that pika gives, in words."""
    while (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, pika.exceptions.ConnectionClosed):
        return f"{error.reply_code} {error.reply_text}"
    return f"{type(error).__name__}: {error}"


def _inner(error: Any) -> BaseException | None:
    several = getattr(error, "exceptions", None) or [None]
    for inner in (several[-1], getattr(error, "exception", None), *getattr(error, "args", ())[:1]):
        if isinstance(inner, BaseException):
            return inner
    return None
