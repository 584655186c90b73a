"""The table ``notifications``: what was sent, on record before each sending and after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Final

from orderd.db.connection import Database
from orderd.db.transaction import Transaction
from orderd.notify.notice import Notice
from orderd.protocol.notifications import State
from orderd.protocol.values import value

ERROR_CHARS_MAX: Final = 1_000


class Begun(Enum):
    """What is to be done with a notification that was looked up or put on record."""

    DUE = auto()  # it is to be sent
    OVER = auto()  # it was sent, skipped or collected
    ELSEWHERE = auto()  # another daemon is sending it


@value
class Failed:
    """It has failed for good in an earlier try of the same message; *error* says why."""

    error: str


@value
class User:
    """A user as the database has it now."""

    id: int
    email: str
    is_active: bool
    username: str
    full_name: str | None


@value
class Target:
    """One sending: over *channel* to *recipient*, whose *address* it has now."""

    channel: str
    recipient: str
    address: str


class Entry:
    """The record of one sending in an open transaction, which holds it until the end."""

    def __init__(self, tx: Transaction, key: dict[str, str]) -> None:
        """Write with *tx* to the row with this *key*."""
        self._tx = tx
        self._key = key

    def note(self, state: State, error: str | None = None, *, is_unspent: bool = False) -> None:
        """Let it travel with COMMIT that the sending came to *state*; *error* says why."""
        text = None if error is None else stored(error)
        self._tx.later(
            "note_notification", **self._key, state=state, error=text, unspent=int(is_unspent)
        )


class Records:
    """Reads and writes the record; all methods raise `DatabaseOutage`."""

    def __init__(self, database: Database) -> None:
        """Keep it in *database*."""
        self._database = database

    @contextmanager
    def begin(self) -> Iterator["Beginning"]:
        """Look up and put on record, in a transaction that is committed at the end."""
        with self._database.transaction() as tx:
            yield Beginning(tx)

    @contextmanager
    def sending(self, notice: Notice, target: Target) -> Iterator[Entry | None]:
        """Hold the record of a sending for the time that it takes.

        None where another daemon holds it: it sends the same now.
        """
        key = _key(notice, target)
        with self._database.transaction() as tx:
            tx.later("allow_sending")
            rows = tx.rows("lock_notification", **key)
            is_ours = bool(rows) and rows[0][0] == State.SENDING
            yield Entry(tx, key) if is_ours else None

    def given_id(self, prefix: str) -> str | None:
        """Return the newest id of the last 30 days that begins with *prefix* and a dot."""
        with self._database.transaction() as tx:
            rows = tx.rows("find_given_id", prefix=f"{prefix}.")
        return rows[0][0] if rows else None


class Beginning:
    """The transaction before the sendings of one notice."""

    def __init__(self, tx: Transaction) -> None:
        """Work in *tx*."""
        self._tx = tx

    def user(self, user_id: int) -> User | None:
        """Return the user, None where there is none."""
        rows = self._tx.rows("read_recipient", user_id=user_id)
        return User(user_id, *rows[0]) if rows else None

    def start(self, notice: Notice, target: Target, *, may_retry_failed: bool) -> Begun | Failed:
        """Put on record that it is about to be sent, unless that is over."""
        key = _key(notice, target)
        rows = self._tx.rows("lock_notification", **key)
        if not rows:
            is_new = self._insert(notice, target, State.SENDING, attempts=1)
            return Begun.DUE if is_new else Begun.ELSEWHERE
        state, error = rows[0]
        if state in _OVER:
            return Begun.OVER
        if state == State.FAILED and not may_retry_failed:
            return Failed(error or "")
        self._tx.later("try_notification", **key, address=stored(target.address))
        return Begun.DUE

    def skip(self, notice: Notice, target: Target, why: str) -> None:
        """Put on record that it is not sent, and why, unless it was sent before."""
        rows = self._tx.rows("lock_notification", **_key(notice, target))
        if not rows:
            self._insert(notice, target, State.SKIPPED, attempts=0, error=why)
        elif rows[0][0] not in _OVER:
            # An earlier try was deferred, or cut off.
            Entry(self._tx, _key(notice, target)).note(State.SKIPPED, why)

    def is_collecting(self, notice: Notice, target: Target, digest_s: float) -> bool:
        """Return whether one of its type went to the recipient within the time of a digest."""
        (is_so,) = self._tx.row(
            "is_collecting", **_key(notice, target), type=notice.type, digest_s=digest_s
        )
        return bool(is_so)

    def collect(self, notice: Notice, target: Target, subject: str, body: str) -> Begun | Failed:
        """Keep it for a digest, unless it is on record already."""
        rows = self._tx.rows("lock_notification", **_key(notice, target))
        if rows and rows[0][0] not in _OVER:
            # It was about to be sent when a daemon ended.
            return self.start(notice, target, may_retry_failed=not notice.attempt)
        said = {"subject": stored(subject), "body": stored(body)}
        self._insert(notice, target, State.COLLECTED, attempts=0, **said)
        return Begun.OVER

    def _insert(
        self, notice: Notice, target: Target, state: State, *, attempts: int, **more: Any
    ) -> bool:
        given = {"error": None, "subject": None, "body": None} | more
        key = _key(notice, target)
        address = stored(target.address)
        return bool(
            self._tx.count(
                "insert_notification",
                **key,
                state=state,
                attempts=attempts,
                type=notice.type,
                address=address,
                **given,
            )
        )


_OVER: Final = frozenset({State.SENT, State.SKIPPED, State.COLLECTED})


def stored(text: str) -> str:
    """Return *text* as the database can keep it, not longer than is worth keeping."""
    plain = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return plain.encode(errors="replace").decode()[:ERROR_CHARS_MAX]


def _key(notice: Notice, target: Target) -> dict[str, str]:
    return {
        "event_id": notice.event_id,
        "channel": target.channel,
        "recipient": target.recipient,
    }
