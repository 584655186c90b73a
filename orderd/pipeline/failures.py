"""What becomes of a request that could not be carried out now."""

import traceback

from orderd.db.faults import IdsTaken, LockedOut, TransactionConflict
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result
from orderd.protocol.envelope import Command
from orderd.protocol.names import DeferralCode, UnavailableCode
from orderd.shop.decide import response_to
from orderd.shop.outcomes import Deferred, Unavailable


def failed(request: Request, fault: Exception) -> Result:
    """Return the result of a request that *fault* has kept from being carried out."""
    outcome = outcome_of(request.command, fault)
    return Result(request.delivery, request.command, outcome, response_to(outcome))


def outcome_of(command: Command, fault: Exception) -> Deferred | Unavailable:
    """Return the outcome: a command is tried again later, a query is answered with an error.

    The caller is waiting and may ask again; in five minutes it no longer needs the answer.
    """
    if isinstance(fault, TransactionConflict):
        code, message = DeferralCode.TRANSIENT, str(fault)
    else:
        code, message = DeferralCode.UNEXPECTED, f"{type(fault).__name__}: {fault}"
    if command.content.is_query:
        return Unavailable(UnavailableCode.UNAVAILABLE, f"cannot be answered now: {message}")
    is_lock = isinstance(fault, LockedOut) or (isinstance(fault, IdsTaken) and fault.is_awaited)
    lock = message if is_lock else ""
    return Deferred(code, message, "".join(traceback.format_exception(fault)), lock=lock)
