"""The places of deferred commands, kept in the database: all daemons obey them.

A place is on record with the transaction that defers, and off it with the one that settles. What
becomes of a message that somebody purges nobody tells, so a place ends by itself some time after
its command was last deferred. With its place a command keeps since when it waits for a lock.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

from orderd.amqp.message import Delivery
from orderd.db.arrays import array, lines
from orderd.db.connection import Database
from orderd.db.transaction import Transaction
from orderd.pipeline.failures import failed
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import key_of
from orderd.pipeline.records import recording
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result
from orderd.protocol.envelope import Command, Invalid
from orderd.protocol.names import HEADER_PLACE
from orderd.shop.decide import in_line
from orderd.shop.outcomes import Deferred, Waiting
from orderd.shop.turns import GIVEN, Place, Turns

_TABLE: Final = "deferrals"
_GIVEN_KEY: Final = re.compile(rf"{GIVEN}[0-9a-f]{{32}}\.[0-9a-f]{{8}}-[0-9]{{1,20}}-[0-9]{{1,20}}")
# Commands without a line need not be told apart from others of the same content.
_NO_PLACE: Final = "00000000-0-0"


class Deferrals:
    """Keeps the places of deferred commands in the table ``deferrals``."""

    def __init__(self, database: Database, policy: Policy) -> None:
        """Keep them in *database*, for as long as the retries and waits of *policy* may last."""
        self._database = database
        self._policy = policy
        self._ended: set[str] = set()
        self._are_kept = False
        # With tag and generation it tells deliveries apart, also from those of other daemons.
        self._token = token_hex(4)

    def known(self, delivery: Delivery, command: Command) -> Command:
        """Return *command* with a key, where it may need one and has no id."""
        if command.request_id is not None or command.content.is_query:
            return command
        if command.row is None:
            return replace(command, given_key=f"{GIVEN}{key_of(delivery)}.{_NO_PLACE}")
        given = (delivery.properties.headers or {}).get(HEADER_PLACE)
        # Producers can write anything there; the worst that a false key does is to wait or to go.
        if isinstance(given, str) and _GIVEN_KEY.fullmatch(given):
            return replace(command, given_key=given)
        place = f"{self._token}-{delivery.generation}-{delivery.tag}"
        key = f"{GIVEN}{key_of(delivery)}.{place}"
        return replace(command, given_key=key, is_key_unsure=delivery.redelivered)

    def turns(self, tx: Transaction, commands: Iterable[Command]) -> Turns:
        """Return the lines of the rows that *commands* change."""
        turns = Turns()
        changing = [command for command in commands if not command.content.is_query]
        rows = sorted({command.row for command in changing if command.row is not None})
        keys = [command.key for command in changing if command.row is None]
        if changing:
            found = tx.rows(
                "read_places",
                queues=lines(queue for queue, _ in rows),
                row_ids=array(row_id for _, row_id in rows),
                keys=keys,
            )
            for queue, row_id, key, since, waited_s in found:
                place = Place(key, since, waited_s)
                # Ended here, and only not yet deleted.
                if key in self._ended:
                    continue
                if row_id is None:
                    turns.waits[key] = place
                else:
                    turns.add((queue, row_id), place)
        self._are_kept = True
        return turns

    def write(self, tx: Transaction, turns: Turns) -> None:
        """Let it travel with *tx* what has become of places."""
        if turns.kept:
            locks = [each.lock for each in turns.kept.values()]
            tx.later("keep_places", **self._places(turns), locks=locks)
        if turns.ended:
            tx.later("end_places", keys=sorted(turns.ended))

    def defer(self, failures: Sequence[tuple[Request, Exception]]) -> list[Result]:
        """Return the results of requests that could not be carried out, their places on record.

        They are in the order of their lines, so as to come back like that: of two copies of a
        message without id, the later one has no place of its own. Raises `DatabaseOutage`.
        """
        results = [failed(request, fault) for request, fault in failures]
        if not any(_may_keep_a_place(each) for each in results):
            return results
        with recording(self._database, _TABLE) as tx:
            turns = self.turns(tx, [request.command for request, _ in failures])
            deferred = [self._in_line(turns, each) for each in results]
            self.write(tx, turns)
        return sorted(
            deferred,
            key=lambda each: (
                turns.position(each.command) if isinstance(each.command, Command) else 0
            ),
        )

    def renew(
        self, deliveries: Sequence[Delivery], decode: Callable[[Delivery], Command | Invalid]
    ) -> dict[int, str]:
        """Keep the places of *deliveries*, copies of which go to the end of their queues now.

        Returns the keys of places by the tags of deliveries. Raises `DatabaseOutage`.
        """
        decoded = {delivery.tag: decode(delivery) for delivery in deliveries}
        commands = {
            tag: each for tag, each in decoded.items() if isinstance(each, Command) and each.row
        }
        if not commands:
            return {}
        with recording(self._database, _TABLE) as tx:
            turns = self.turns(tx, commands.values())
            now = datetime.now(UTC)
            keys = {tag: turns.keep(command, now) for tag, command in commands.items()}
            tx.later("renew_places", **self._places(turns))
        return keys

    def note_gone(self, results: Sequence[Result]) -> None:
        """Take the commands of *results*, which ended as dead letters, out of their lines."""
        self._ended.update(filter(None, map(_key_of, results)))

    def forget_ended(self) -> None:
        """Take off the record whose places have ended, or were not heard of for too long."""
        if self._ended or self._are_kept:
            with recording(self._database, _TABLE) as tx:
                tx.later("end_places", keys=sorted(self._ended))
            self._ended.clear()
            self._are_kept = False

    def _places(self, turns: Turns) -> dict[str, Any]:
        """Return the parameters of the places that are kept with *turns*."""
        kept = turns.kept.values()
        return {
            "keys": list(turns.kept),
            "queues": lines(each.queue for each in kept),
            "row_ids": array("NULL" if each.row_id is None else each.row_id for each in kept),
            "seconds": self._policy.lock_patience_s + max(self._policy.retry_delays_s),
        }

    def _in_line(self, turns: Turns, result: Result) -> Result:
        command = result.command
        if not isinstance(command, Command):
            return result
        ahead = turns.ahead_of(command)
        outcome = result.outcome
        if ahead is not None:
            outcome = Waiting.behind(ahead)
        elif isinstance(outcome, Deferred) and outcome.lock:
            outcome = self._at_lock(outcome, turns.waited_s(command))
        outcome = in_line(turns, command, outcome, self._policy.attempts_max, datetime.now(UTC))
        return replace(result, outcome=outcome)

    def _at_lock(self, outcome: Deferred, waited_s: float | None) -> Deferred | Waiting:
        """Return what becomes of a command that has met a lock; its first wait is worth a line."""
        if waited_s is None:
            return outcome
        if waited_s < self._policy.lock_patience_s:
            return Waiting(outcome.message, lock=outcome.lock)
        message = f"waited {waited_s:.0f} s for a lock: {outcome.message}"
        return replace(outcome, message=message, lock="", is_last=True)


def _may_keep_a_place(result: Result) -> bool:
    outcome = result.outcome
    is_waiting = isinstance(outcome, Deferred) and bool(outcome.lock)
    return is_waiting or (isinstance(result.command, Command) and result.command.row is not None)


def _key_of(result: Result) -> str | None:
    """Return the key by which the message of *result* may have kept a place."""
    if isinstance(result.outcome, Deferred) and isinstance(result.command, Command):
        return result.command.key
    properties = result.delivery.properties
    given = (properties.headers or {}).get(HEADER_PLACE)
    if isinstance(given, str) and _is_text(given):
        return given
    request_id = result.request_id or properties.message_id
    # A property may contain characters that PostgreSQL cannot store, so no request has such an id.
    return f"={request_id}" if request_id and _is_text(request_id) else None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
