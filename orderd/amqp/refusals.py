"""What pika raises, and the faults and words that orderd has for it."""

import re
from typing import Any, Final

import pika.exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import ProbableAccessDeniedError, ProbableAuthenticationError

from orderd.amqp.bounded import TimedOut
from orderd.amqp.faults import NOT_ALLOWED, BrokerFault, BrokerRefused, NoAnswer
from orderd.runtime.address_filter import explained

# What pika raises for a connection that is lost, cannot be made or was lost before.
LOSSES: Final = (
    pika.exceptions.AMQPError,
    AMQPConnectorException,
    AssertionError,
    KeyError,
    OSError,
    RuntimeError,
    ValueError,
)
# What it raises of one channel, or of one message, of a connection that lives.
OF_A_CHANNEL: Final = (pika.exceptions.ChannelClosed, pika.exceptions.ChannelWrongStateError)
OF_A_MESSAGE: Final = (pika.exceptions.UnroutableError, pika.exceptions.NackError)

# pika keeps the broker's close only as text. Without one, the connection was merely lost then.
_CLOSED: Final = re.compile(r"\((?:403|530)\) (['\"])(.*)\1")


def fault_of(error: BaseException, where: str, purpose: str) -> BrokerFault:
    """Return the fault for *error*, one of `LOSSES` or TimedOut, met at *purpose*."""
    if isinstance(error, TimedOut):
        return NoAnswer(explained(f"{where}: {purpose}: {error}"))
    code = getattr(error, "reply_code", None)
    # A limit of the user, on channels for example: an operator has to raise it.
    kind = BrokerRefused if code == NOT_ALLOWED else BrokerFault
    fault = kind(f"{where}: {cause_of(error)}")
    fault.code = code
    return fault


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
    error = innermost(error)
    if isinstance(error, pika.exceptions.ConnectionClosed):
        return f"{error.reply_code} {error.reply_text}"
    return explained(f"{type(error).__name__}: {error}")


def innermost(error: Any) -> Any:
    """Return the cause that pika has wrapped in its own errors."""
    while (inner := _inner(error)) is not None:
        error = inner
    return error


def _inner(error: Any) -> BaseException | None:
    several = getattr(error, "exceptions", None) or [None]
    for inner in (several[-1], getattr(error, "exception", None), *getattr(error, "args", ())[:1]):
        if isinstance(inner, BaseException):
            return inner
    return None
