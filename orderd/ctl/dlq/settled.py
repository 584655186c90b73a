"""Which messages have an end on record: commands in the ledger, notifications in their table."""

from collections.abc import Sequence
from typing import Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.db.transaction import Transaction
from orderd.protocol.values import value

_APPLIED: Final = "applied"


@value
class Settled:
    """How a message ended: *outcome* is applied or refused, *said* is a clause for people."""

    outcome: str
    said: str


def settled(tx: Transaction, dead_letters: Sequence[DeadLetter]) -> dict[DeadLetter, Settled]:
    """Return those of *dead_letters* that would do nothing if they came again, with their ends."""
    notices = [each for each in dead_letters if each.is_notice]
    commands = [each for each in dead_letters if not each.is_notice]
    return _in_ledger(tx, commands) | _told(tx, notices)


def _in_ledger(tx: Transaction, commands: Sequence[DeadLetter]) -> dict[DeadLetter, Settled]:
    ids = _ids(commands)
    rows = tx.rows("find_outcomes", ids=ids) if ids else []
    found = {
        request_id: Settled(outcome, f"the ledger records it as {code or outcome}")
        for request_id, outcome, code in rows
    }
    return {each: found[each.request_id] for each in commands if each.request_id in found}


def _told(tx: Transaction, notices: Sequence[DeadLetter]) -> dict[DeadLetter, Settled]:
    ids = _ids(notices)
    rows = tx.rows("find_told", ids=ids) if ids else []
    found = {event_id: Settled(_APPLIED, f"it is {states} already") for event_id, states in rows}
    return {each: found[each.request_id] for each in notices if each.request_id in found}


def _ids(dead_letters: Sequence[DeadLetter]) -> list[str]:
    return [each.request_id for each in dead_letters if each.request_id is not None]
