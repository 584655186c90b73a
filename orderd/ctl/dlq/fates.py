"""What becomes of replayed dead letters: the database and the dead letter queues tell."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.replayer import Move
from orderd.ctl.dlq.settled import settled
from orderd.db.connection import Database
from orderd.protocol.amqp10 import message_id_of
from orderd.protocol.values import value

# A message that is in none of the queues may be unacked for a moment, at a daemon.
_QUIET_LOOKS: Final = 3

Key = tuple[str, int]


@value
class Sources:
    """Where fates are found out.

    *database* has ledger and notifications. `later` gives the letters that have come into the dead
    letter queue since the last call, `is_quiet` whether nothing waits in its queue
    and its retry queues.
    """

    database: Database
    later: Callable[[], Iterable[DeadLetter]]
    is_quiet: Callable[[], bool]


class Fates:
    """The fates of the messages that were replayed from one queue.

    A change with an id is decided once the ledger has its outcome or it is a dead letter again, a
    notification once it is sent or skipped. A query, or a message without id, leaves no record: it
    is taken for done once nothing waits any more, and for failed after all should it be found among
    the dead letters later.
    """

    def __init__(self, sources: Sources) -> None:
        """Begin with none."""
        self._sources = sources
        self._recorded: dict[Key, DeadLetter] = {}
        self._unrecorded: Counter[Key] = Counter()
        self._done: Counter[Key] = Counter()
        self._quiet_looks = 0
        self.replayed = 0
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many messages have met each fate."""
        return {**self._counts, "undecided": self.undecided}

    @property
    def failed(self) -> int:
        """How many have become dead letters again, or were refused."""
        return self._counts["dead_again"] + self._counts["refused"]

    @property
    def undecided(self) -> int:
        """How many have no fate yet."""
        return len(self._recorded) + self._unrecorded.total()

    def note(self, move: Move) -> None:
        """Note a message that was replayed just now."""
        key = _key(move.copy.body, move.copy.properties, move.dead_letter.replayed + 1)
        self.replayed += 1
        self._quiet_looks = 0
        request_id = move.dead_letter.request_id
        if request_id is None or _is_query(move.dead_letter) or key in self._recorded:
            self._unrecorded[key] += 1
        else:
            self._recorded[key] = move.dead_letter

    def look(self) -> bool:
        """Look once at what has become of them; return whether anything was found."""
        before = self.undecided, self.failed
        self._look_at_dead_letters()
        if self._recorded:
            self._look_into_database()
        if self._unrecorded:
            self._look_whether_quiet()
        return before != (self.undecided, self.failed)

    def _look_at_dead_letters(self) -> None:
        for dead_letter in self._sources.later():
            delivery = dead_letter.delivery
            key = _key(delivery.body, delivery.properties, dead_letter.replayed)
            if self._recorded.pop(key, None) is not None or _taken(self._unrecorded, key):
                self._counts["dead_again"] += 1
            elif _taken(self._done, key):
                self._counts["dead_again"] += 1
                self._counts["without_record"] -= 1

    def _look_into_database(self) -> None:
        with self._sources.database.transaction() as tx:
            found = settled(tx, list(self._recorded.values()))
        for key, dead_letter in list(self._recorded.items()):
            if (end := found.get(dead_letter)) is not None:
                del self._recorded[key]
                self._counts[end.outcome] += 1

    def _look_whether_quiet(self) -> None:
        self._quiet_looks = self._quiet_looks + 1 if self._sources.is_quiet() else 0
        if self._quiet_looks >= _QUIET_LOOKS:
            self._counts["without_record"] += self._unrecorded.total()
            self._done.update(self._unrecorded)
            self._unrecorded.clear()


def _taken(counter: Counter[Key], key: Key) -> bool:
    """Take one of *key* out of *counter*; return whether there was one."""
    if not counter[key]:
        del counter[key]
        return False
    counter[key] -= 1
    return True


def _key(body: bytes, properties: Any, replayed: int) -> Key:
    """Return what a replayed message and the dead letter that it becomes have in common.

    The count of replays tells it from what was dead before.
    """
    message_id = message_id_of(properties.message_id, properties.headers)
    digest = blake2b(body + repr(message_id).encode(errors="surrogateescape"), digest_size=16)
    return digest.hexdigest(), replayed


def _is_query(dead_letter: DeadLetter) -> bool:
    from orderd.shop.registry import SHOP  # noqa: PLC0415 (slow to load)

    name = dead_letter.origin, dead_letter.action or ""
    models = (each.get(name) for each in SHOP.models.values())
    return any(model is not None and model.is_query for model in models)
