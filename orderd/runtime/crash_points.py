"""Crash points for tests: `ORDERD_FAILPOINT=name[@request id][:nth]` kills the daemon there.

`stop:` before the name freezes it there (SIGSTOP) instead. Several are separated by commas. Without
a request id every pass counts; with one, only those with this request. The daemon dies
by SIGKILL at the nth counted pass, by default the first (which must be written out where the
request id itself ends in a colon and digits).
"""

import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from orderd.runtime.config_errors import ConfigError, Problem

Failpoint = Literal[
    "received",
    "decoded",
    "tx_begun",
    "loaded",
    "decided",
    "persisted",
    "before_commit",
    "after_commit",
    "events_published",
    "events_confirmed",
    "replies_published",
    "retry_published",
    "dlq_published",
    "before_ack",
    "after_ack",
    "drain_started",
    "outbox_claimed",
    "outbox_marked",
    "dlq_replay_published",
    "notification_recorded",
    "notification_sent",
    "notification_noted",
]

VARIABLE = "ORDERD_FAILPOINT"
_STOP = "stop:"


@dataclass(slots=True)
class _Trigger:
    """One armed point and how many passes it still lets through, the last one included."""

    text: str
    request_id: str | None
    passes_left: int
    is_stop: bool


# Crash points concern the whole program and are armed once, so this is the place for them.
_armed: dict[str, list[_Trigger]] = {}


def reach(point: Failpoint, ids: Iterable[str | None] = ()) -> None:
    """Die here if the point is armed; `ids`, those of the current requests, are read only then."""
    if _armed:
        _pass(point, ids)


def reach_any(points: Iterable[Failpoint]) -> None:
    """Die here if one of *points*, which are read only then, is armed; each is passed once."""
    if _armed:
        for point in dict.fromkeys(points):
            _pass(point, ())


def arm(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Arm what the environment asks for, instead of what was armed before, and return it.

    Raises ConfigError for an unknown name or a count that is none.
    """
    armed: dict[str, list[_Trigger]] = {}
    texts = [text.strip() for text in environ.get(VARIABLE, "").split(",") if text.strip()]
    for text in texts:
        point, trigger = _parse(text)
        armed.setdefault(point, []).append(trigger)
    _armed.clear()
    _armed.update(armed)
    return tuple(texts)


def _parse(text: str) -> tuple[str, _Trigger]:
    # A request id may hold colons, so only digits after the last one are a count.
    rest, colon, count = text.rpartition(":")
    if not (colon and count.isdecimal()):
        rest, count = text, "1"
    is_stop = rest.startswith(_STOP)
    point, at, request_id = rest.removeprefix(_STOP).partition("@")
    if point not in get_args(Failpoint):
        reason = f"unknown crash point; known are {', '.join(get_args(Failpoint))}"
        raise ConfigError([Problem(VARIABLE, reason, value=repr(text))])
    if int(count) < 1 or (at and not request_id):
        reason = "must be [stop:]name[@request id][:nth], nth from 1"
        raise ConfigError([Problem(VARIABLE, reason, value=repr(text))])
    return point, _Trigger(text, request_id or None, int(count), is_stop)


def _pass(point: str, ids: Iterable[str | None]) -> None:
    triggers = _armed.get(point)
    if not triggers:
        return
    in_hand = frozenset(ids)
    for trigger in triggers:
        if trigger.request_id is None or trigger.request_id in in_hand:
            trigger.passes_left -= 1
            if trigger.passes_left == 0 and trigger.is_stop:
                os.kill(os.getpid(), signal.SIGSTOP)
            elif trigger.passes_left == 0:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # The first program of a container cannot kill itself.
    os._exit(128 + signal.SIGKILL)
