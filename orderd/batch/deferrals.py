"""The places of deferred commands, kept in the database: all daemons obey them.

A place is on record with the transaction that defers, and off it with the one that settles. What
becomes of a message that somebody purges nobody tells, so a place ends by itself some time after
its command was last deferred.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

from orderd.amqp.message import Delivery
from orderd.batch.failures import failed
from orderd.batch.records import recording
from orderd.batch.requests import Request
from orderd.batch.results import Result
from orderd.batch.suspects import key_of
from orderd.contract.envelope import Command, Invalid
from orderd.contract.names import HEADER_PLACE
from orderd.db.arrays import array, lines
from orderd.db.connection import Database
from orderd.db.transaction import Transaction
from orderd.domain.decide import in_line
from orderd.domain.outcomes import Deferred, Waiting
from orderd.domain.turns import GIVEN, Turns

# For how long nothing may be heard of a command after its delay: an outage of the broker may last.
PATIENCE_S: Final = 86_400.0
_TABLE: Final = "deferrals"
_GIVEN_KEY: Final = re.compile(rf"{GIVEN}[0-9a-f]{{32}}\.[0-9a-f]{{8}}-[0-9]{{1,20}}-[0-9]{{1,20}}")


class Deferrals:
    """Keeps the places of deferred commands in the table ``deferrals``."""

    def __init__(self, database: Database, delay_max_s: float) -> None:
        """Keep them in *database*; no retry waits for more than *delay_max_s*."""
        self._database = database
        self.delay_max_s = delay_max_s
        self._ended: set[str] = set()
        self._are_kept = False
        # With tag and generation it tells deliveries apart, also from those of other daemons.
        self._token = token_hex(4)

    def known(self, delivery: Delivery, command: Command) -> Command:
        """Return *command* with a key, where it may need one and has no id."""
        if command.request_id is not None or command.row is None:
            return command
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
        rows = sorted({command.row for command in commands if command.row is not None})
        if rows:
            queues, row_ids = zip(*rows, strict=True)
            found = tx.rows("read_places", queues=lines(queues), row_ids=array(row_ids))
            for queue, row_id, key, since in found:
                # Ended here, and only not yet deleted.
                if key not in self._ended:
                    turns.add((queue, row_id), key, since)
        self._are_kept = True
        return turns

    def write(self, tx: Transaction, turns: Turns) -> None:
        """Let it travel with *tx* what has become of places."""
        if turns.kept:
            queues, row_ids = zip(*turns.kept.values(), strict=True)
            tx.later(
                "keep_places",
                keys=list(turns.kept),
                queues=lines(queues),
                row_ids=array(row_ids),
                seconds=PATIENCE_S + self.delay_max_s,
            )
        if turns.ended:
            tx.later("end_places", keys=sorted(turns.ended))

    def defer(
        self, failures: Sequence[tuple[Request, Exception]], attempts_max: int
    ) -> list[Result]:
        """Return the results of requests that could not be carried out, their places on record.

        Raises `DatabaseOutage`.
        """
        results = [failed(request, fault) for request, fault in failures]
        commands = [request.command for request, _ in failures]
        if not any(command.row for command in commands):
            return results
        with recording(self._database, _TABLE) as tx:
            turns = self.turns(tx, commands)
            deferred = [_in_line(turns, each, attempts_max) for each in results]
            self.write(tx, turns)
        return deferred

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
            self.write(tx, turns)
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


def _in_line(turns: Turns, result: Result, attempts_max: int) -> Result:
    command = result.command
    if command is None:
        return result
    ahead = turns.ahead_of(command)
    outcome = result.outcome if ahead is None else Waiting.behind(ahead)
    outcome = in_line(turns, command, outcome, attempts_max, datetime.now(UTC))
    return replace(result, outcome=outcome)


def _key_of(result: Result) -> str | None:
    """Return the key by which the message of *result* may have kept a place."""
    if isinstance(result.outcome, Deferred) and result.command is not None:
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
