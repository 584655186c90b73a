"""The decision on one command: ledger first, then the rule of its action."""

from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from orderd.protocol.cloud_events import CloudEvent
from orderd.protocol.envelope import Command, Invalid
from orderd.protocol.names import DeferralCode, InvalidCode, RefusalCode
from orderd.protocol.replies import Response
from orderd.protocol.strict_json import dumps
from orderd.protocol.values import value
from orderd.shop.entity import refusal_event
from orderd.shop.outcomes import (
    Answered,
    Applied,
    CommittedUnacked,
    Deferred,
    Done,
    Duplicate,
    Outcome,
    Quarantined,
    Refused,
    Unavailable,
    Undeliverable,
    Unreachable,
    Waiting,
)
from orderd.shop.ownership import not_own
from orderd.shop.registry import SHOP
from orderd.shop.turns import Turns
from orderd.shop.unreadable import refusal_of
from orderd.shop.world import LedgerEntry, World


class UndeclaredEvent(Exception):
    """A rule returned an event that its action does not declare, or returned it out of order."""


_RECORDED: Final = (Applied, Refused)


@value
class Decision:
    """What is to become of one command; `response` is None only where it is tried again later."""

    command: Command
    outcome: Outcome
    response: Response | None
    events: tuple[CloudEvent, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger is to remember this decision."""
        return self.command.is_recorded and isinstance(self.outcome, _RECORDED)


def decide(world: World, command: Command, attempts_max: int) -> Decision:
    """Return the decision on *command*, with *world* as it is after it.

    Where a reference is missing and `world.arriving` is not known, `world.has_asked_for_arrivals`
    is set: the decision is not final then, nor are later ones.
    """
    outcome = _outcome(world, command)
    if isinstance(outcome, Refused) and outcome.missing is not None:
        outcome = _unless_arriving(world, command, outcome, attempts_max)
    if isinstance(outcome, Applied):
        _check_events(command, outcome)
        world.apply(outcome)
    outcome = in_line(world.turns, command, outcome, attempts_max, world.now)
    response = response_to(outcome)
    decision = Decision(command, outcome, response, _events(command, outcome, response))
    if decision.is_recorded and command.request_id is not None and response is not None:
        world.ledger[command.request_id] = LedgerEntry(command.fingerprint, response)
    return decision


def response_to(outcome: Outcome) -> Response | None:
    """Return what the caller is told, None where there is nothing to tell yet."""
    match outcome:
        case Applied(row):
            return Response.ok(row.json())
        case Answered(data):
            return Response.ok(data)
        case Refused(code, message) | Invalid(code, message) | Unavailable(code, message):
            return Response.failed(code, message)
        case Duplicate(response):
            return response
        case Deferred() | Waiting() | Quarantined() | CommittedUnacked():
            return None
        case Done() | Undeliverable() | Unreachable():
            return None
    assert_never(outcome)


def in_line(
    turns: Turns, command: Command, outcome: Outcome, attempts_max: int, now: datetime
) -> Outcome:
    """Return *outcome*, with the place that *command* keeps by it in the line of its row.

    What is given up keeps its place until the dead letter queue has it.
    """
    match outcome:
        case Deferred(lock="") if outcome.is_last or command.attempt >= attempts_max:
            return outcome
        case Waiting(lock=lock) | Deferred(lock=lock):
            return replace(outcome, place=turns.keep(command, now, lock))
    turns.end(command)
    return outcome


def _outcome(world: World, command: Command) -> Outcome:
    # Before the ledger, which holds what was answered to others.
    if (foreign := not_own(world, command)) is not None:
        return foreign
    answered = _of_ledger(world, command)
    lapsed = command.admission.lapsed
    if lapsed is None or isinstance(answered, Duplicate):
        return answered or _by_rule(world, command)
    return replace(lapsed, request_id=command.request_id, action=command.action)


def _of_ledger(world: World, command: Command) -> Duplicate | Invalid | None:
    """Return what was answered before, None where nothing was."""
    if not command.is_recorded or command.request_id is None:
        return None
    entry = world.ledger.get(command.request_id)
    if entry is None:
        return None
    if entry.fingerprint == command.fingerprint:
        return Duplicate(entry.response)
    message = f"id: {command.request_id!a} was used before, for another request"
    return Invalid(InvalidCode.ID_CONFLICT, message, command.request_id)


def _by_rule(world: World, command: Command) -> Outcome:
    if command.is_expired:
        return Refused(RefusalCode.EXPIRED, "expired before it could be applied")
    ahead = world.turns.ahead_of(command)
    if ahead is not None:
        return Waiting.behind(ahead)
    unreadable = refusal_of(world, command)
    if unreadable is not None:
        return unreadable
    outcome: Outcome = SHOP.actions[type(command.content)].rule(world, command.content)
    return outcome


def _unless_arriving(
    world: World, command: Command, refused: Refused, attempts_max: int
) -> Refused | Deferred:
    """Return the refusal only where what is missing cannot come any more."""
    if command.attempt >= attempts_max:
        return refused
    if world.arriving is None:
        world.has_asked_for_arrivals = True
    elif refused.missing not in world.arriving:
        return refused
    return Deferred(DeferralCode.MISSING_REFERENCE, f"{refused.message} yet")


def _events(
    command: Command, outcome: Outcome, response: Response | None
) -> tuple[CloudEvent, ...]:
    match outcome:
        case Applied(answer, _, events) if response is not None:
            return tuple(
                # Most often the event tells what the answer does: it is written out once.
                CloudEvent(
                    kind,
                    SHOP.by_row[type(row)].subject_of(row.id),
                    response.data if row is answer else row.json(),
                    row.revision,
                )
                for kind, row in events
            )
        case Refused(code, message) if not command.content.is_query:
            return (_refusal(command, code, message),)
        case _:
            return ()


def _check_events(command: Command, applied: Applied) -> None:
    """Raise UndeclaredEvent where a rule returned an event that its action does not declare."""
    types = tuple([kind for kind, _ in applied.events])
    if types not in SHOP.actions[type(command.content)].permitted:
        raise UndeclaredEvent(f"{command.queue}.{command.action}: does not declare {types}")


def _refusal(command: Command, code: str, message: str) -> CloudEvent:
    content = command.content
    named = content.row_id
    request = {
        "id": command.request_id,
        "version": command.version,
        "action": command.action,
        "data": content.model_dump(exclude_unset=True),
    }
    told = {"action": command.action, "code": code, "error": message, "request": request}
    subject = f"{command.queue}/{named}" if named else str(command.queue)
    return CloudEvent(refusal_event(command.queue), subject, dumps(told))
