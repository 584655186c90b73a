"""Digests: what came in numbers within a short time goes to administrators as one message."""

import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from orderd.db.connection import Database
from orderd.db.transaction import Transaction
from orderd.logs.logger import LogEvent, emit
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable, Unrenderable
from orderd.notify.records import stored
from orderd.notify.routes import Digest, DigestLine, Route, Routes
from orderd.protocol.notifications import State
from orderd.runtime.crash_points import reach

LOOK_EVERY_S: Final = 1.0
AGAIN_AFTER_S: Final = 30.0
LINES_MAX: Final = 100


class Digests:
    """Sends the digests that are due; of several daemons one sends each."""

    def __init__(
        self,
        database: Database,
        routes: Callable[[], Routes],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send what is collected in *database*, by the routes that are in force."""
        self._database = database
        self._routes = routes
        self._now_s = now_s
        self._look_at_s = 0.0
        self._again_at_s: dict[str, float] = {}

    def turn(self) -> None:
        """Send what is due, where it is time for a look; raises `DatabaseOutage`."""
        now_s = self._now_s()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_EVERY_S
        for route in self._routes().for_admins:
            if now_s < self._again_at_s.get(route.name, 0.0):
                continue
            if not route.digest_s:
                # What was collected while it had a digest, or by a daemon that has one still.
                self._again_at_s[route.name] = now_s + AGAIN_AFTER_S
            self._send_due(route)

    def _send_due(self, route: Route) -> None:
        with self._database.transaction() as tx:
            due = tx.rows("due_digests", channel=route.name, digest_s=route.digest_s or 0)
            ids = [digest_id for kind, to in due for digest_id in _opened(tx, route, kind, to)]
        for digest_id in ids:
            if not self._send(route, digest_id):
                self._again_at_s[route.name] = self._now_s() + AGAIN_AFTER_S
                return

    def _send(self, route: Route, digest_id: str) -> bool:
        """Send a digest, and note what became of it; return whether the channel works."""
        with self._database.transaction() as tx:
            tx.later("allow_sending")
            (is_ours,) = tx.row("lock_digest", digest_id=digest_id)
            rows = tx.rows("read_digest", digest_id=digest_id, limit=LINES_MAX) if is_ours else []
            if not rows:
                return True
            kind, recipient, count = rows[0][:3]
            lines = [DigestLine(moment, subject, body) for *_, moment, subject, body in rows]
            digest = Digest(digest_id, kind, recipient, count, lines)
            state, error, works = self._tried(route, digest)
            if state is State.SENT:
                reach("notification_sent")
            tx.later(
                "note_digest",
                digest_id=digest_id,
                state=state,
                error=None if error is None else stored(error),
                spent=int(works),
            )
        _report(route, digest, state, error)
        return works

    def _tried(self, route: Route, digest: Digest) -> tuple[State, str | None, bool]:
        """Send *digest*; return its state then, why, and whether the channel works."""
        try:
            route.channel.send(route.digest(digest))
        except (Unreachable, RefusedForNow) as fault:
            return State.COLLECTED, str(fault), False
        except RefusedForGood as fault:
            return State.FAILED, fault.answer, True
        except Unrenderable as fault:
            return State.FAILED, str(fault), True
        except Exception as error:  # noqa: BLE001 - a fault of the channel costs this digest alone
            return State.COLLECTED, f"{type(error).__name__}: {error}", False
        return State.SENT, None, True


def _opened(tx: Transaction, route: Route, kind: str, recipient: str) -> list[str]:
    """Return the digests of that type for the recipient that are to be sent now."""
    key = {"channel": route.name, "type": kind, "recipient": recipient}
    tx.later("open_digest", **key, digest_id=str(uuid4()))
    return [digest_id for (digest_id,) in tx.rows("opened_digests", **key)]


def _report(route: Route, digest: Digest, state: State, error: str | None) -> None:
    about = f"digest of {digest.count} {digest.type} over {route.name}"
    if state is State.SENT:
        emit(LogEvent.NOTIFICATION_SENT, f"sent: {about}", action=digest.type)
    elif state is State.FAILED:
        emit(LogEvent.NOTIFICATION_FAILED, f"{about}: {error}", action=digest.type)
    else:
        text = f"{about}: {error}; retry in {AGAIN_AFTER_S:g} s"
        emit(LogEvent.NOTIFICATION_DELAYED, text, action=digest.type)
