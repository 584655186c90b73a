"""Results to settle, made without a broker and a database."""

from datetime import UTC, datetime
from typing import Any

from orderd.amqp.message import OutgoingMessage
from orderd.db.clock import Clock
from orderd.pipeline.outbound import OutboundMessage, OutboundMessages, Purpose
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.report import Reporter
from orderd.pipeline.results import Result
from orderd.protocol.envelope import Invalid
from orderd.protocol.names import DeferralCode, InvalidCode
from orderd.protocol.replies import Response
from orderd.shop.outcomes import Answered, Applied, Deferred, Outcome, Unavailable
from orderd.shop.users import User, UserEvent
from tests.support.commands import decoded_from, delivery, request
from tests.support.policies import RETRY_DELAYS_S, policy

NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
DELAYS_S = RETRY_DELAYS_S
POLICY = policy()
ROW = User(1, "ann", "ann@x.org", None, True, NOON, NOON)
OK = Response.ok(ROW.json())
APPLIED = Applied(ROW, (ROW,), ((UserEvent.CREATED, ROW),))
ANSWERED = Answered("{}")
MALFORMED = Invalid(InvalidCode.MALFORMED, "body is not JSON")
DEFERRED = Deferred(DeferralCode.TRANSIENT, "lock timeout", "Traceback …\nTransactionConflict")


def result(
    outcome: Outcome, response: Response | None = OK, *, request_id: str | None = None, **more: Any
) -> Result:
    """Return a result of a user's creation; *more* are the properties of its delivery."""
    action = "list" if isinstance(outcome, Answered | Unavailable) else "create"
    arguments = {"username": "ann", "email": "ann@x.org"} if action == "create" else {}
    one = request("user", action, arguments, request_id=request_id, **more)
    command = decoded_from(one)
    return Result(one, None if isinstance(command, Invalid) else command, outcome, response)


def spoilt(body: bytes = b"{", outcome: Invalid = MALFORMED, **more: Any) -> Result:
    """Return the result of a body that is no command."""
    response = Response.failed(outcome.code, outcome.message)
    return Result(delivery("order", body, **more), None, outcome, response)


def outbound(*results: Result, key: bytes | None = None) -> list[OutboundMessage]:
    """Return what is sent for *results*, each with what follows once the broker has it.

    Copies have receipts by *key*, if any.
    """
    outbound = OutboundMessages(POLICY, Receipts(key), Reporter(), Clock().now)
    return [sent for each in outbound.of(results) for sent in (each, *each.then)]


def only(purpose: Purpose, *results: Result, key: bytes | None = None) -> OutgoingMessage:
    """Return the one message with this purpose that follows from *results*."""
    (message,) = [one.outgoing for one in outbound(*results, key=key) if one.purpose is purpose]
    return message


def roles(*results: Result) -> list[str]:
    return [one.purpose.name for one in outbound(*results)]
