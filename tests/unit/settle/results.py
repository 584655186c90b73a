"""Results to settle, made without a broker and a database."""

from datetime import UTC, datetime
from typing import Any

from orderd.amqp.message import OutgoingMessage
from orderd.batch.results import Result
from orderd.contract.envelope import Invalid
from orderd.contract.names import DeferralCode, InvalidCode, own_queues
from orderd.contract.replies import Response
from orderd.contract.rows import User
from orderd.db.clock import Clock
from orderd.domain.outcomes import Answered, Applied, Deferred, Outcome, Unavailable
from orderd.settle.consequences import Consequence, Consequences, Role, SettlePolicy
from orderd.settle.report import Reporter
from tests.support.commands import decoded_from, delivery, request

NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
DELAYS_S = (5.0, 30.0, 300.0)
POLICY = SettlePolicy(DELAYS_S, own_queues(DELAYS_S), "/orderd/test")
ROW = User(1, "ann", "ann@x.org", None, True, NOON, NOON)
OK = Response.ok(ROW.json())
APPLIED = Applied(ROW, (ROW,), (("user.created", ROW),))
ANSWERED = Answered("{}")
MALFORMED = Invalid(InvalidCode.MALFORMED, "body: not JSON")
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


def consequences(*results: Result) -> list[Consequence]:
    """Return what is sent for *results*, each with what follows once the broker has it."""
    consequences = Consequences(POLICY, Reporter(), Clock().now)
    return [sent for each in consequences.of(results) for sent in (each, *each.then)]


def only(role: Role, *results: Result) -> OutgoingMessage:
    """Return the one message of this role that follows from *results*."""
    (message,) = [one.message for one in consequences(*results) if one.role is role]
    return message


def roles(*results: Result) -> list[str]:
    return [one.role.name for one in consequences(*results)]
