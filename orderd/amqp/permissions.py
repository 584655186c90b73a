"""What each role needs of RabbitMQ, as the regular expressions that its permissions are."""

import re
from collections.abc import Iterable
from typing import Final

from orderd.protocol.names import (
    EVENT_QUEUES,
    EVENTS_EXCHANGE,
    NOTIFICATIONS_EXCHANGE,
    NoticeQueue,
    Queue,
    dead_letter_queue,
    lock_queue,
    retry_queue,
)
from orderd.protocol.roles import Role
from orderd.protocol.tenants import NOTIFY
from orderd.protocol.values import value

# What permissions call the default exchange: replies, retries and dead letters go through it.
DEFAULT_EXCHANGE: Final = "amq.default"
NOTHING: Final = "^$"
_DEAD_LETTERS: Final = re.escape(dead_letter_queue(""))
# Of any delay: that may be changed at a reload.
_RETRY: Final = re.escape(retry_queue("", 0).removesuffix("0ms")) + "[0-9]+(ms|s|min|h)"
_EXCHANGES: Final = (EVENTS_EXCHANGE, NOTIFICATIONS_EXCHANGE)
_SYSTEM_EVENTS: Final = r"^system\.[a-z_]+$"


@value
class TopicPermission:
    """The routing keys with which a user may publish to *exchange*, and bind queues to it."""

    exchange: str
    write: str
    read: str


@value
class Permissions:
    """What a user may declare and delete, publish to or bind, and consume, purge or bind to."""

    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[TopicPermission, ...] = ()


def permissions_of(role: Role) -> Permissions:
    """Return what *role* needs in the virtual host of the shop, and no more."""
    return _PERMISSIONS[role]


def _named(names: Iterable[str]) -> list[str]:
    return [re.escape(name) for name in names]


def _with(queues: Iterable[str], *endings: str, alone: bool = False) -> str:
    """Return what matches *queues* with one of *endings*, and *alone* without."""
    return f"{_one_of(_named(queues))}{_one_of(endings)}{'?' if alone else ''}"


def _one_of(alternatives: Iterable[str]) -> str:
    return f"({'|'.join(alternatives)})"


def _any(*alternatives: str) -> str:
    return f"^{_one_of(alternatives)}$"


def _daemon() -> Permissions:
    own = _with(Queue, _DEAD_LETTERS, _RETRY, re.escape(lock_queue("")), alone=True)
    return Permissions(
        configure=_any(own, *_named([EVENTS_EXCHANGE])),
        write=_any(*_named([DEFAULT_EXCHANGE, EVENTS_EXCHANGE])),
        # Dead letters of notifications are for orderctl beside the daemon.
        read=_any(own, _with(NoticeQueue, _DEAD_LETTERS)),
    )


def _notify() -> Permissions:
    own = _with(NoticeQueue, _DEAD_LETTERS, _RETRY, alone=True)
    exchanges = _named(_EXCHANGES)
    return Permissions(
        configure=_any(own, *exchanges),
        # To bind a queue is to write to it.
        write=_any(*_named([*NoticeQueue, DEFAULT_EXCHANGE, EVENTS_EXCHANGE])),
        read=_any(own, *exchanges),
        topics=(
            TopicPermission(EVENTS_EXCHANGE, _SYSTEM_EVENTS, _bound_by(EVENTS_EXCHANGE)),
            TopicPermission(NOTIFICATIONS_EXCHANGE, NOTHING, _bound_by(NOTIFICATIONS_EXCHANGE)),
        ),
    )


def _bound_by(exchange: str) -> str:
    """Return by which patterns orderd-notify binds its queues to *exchange*."""
    return _any(*_named(each.pattern for each in NOTIFY.bindings if each.exchange == exchange))


def _owner() -> Permissions:
    """Return what declares everything, and can take no message from a queue of commands."""
    queues = (*Queue, *NoticeQueue)
    exchanges = _named(_EXCHANGES)
    return Permissions(
        configure=_any(
            _with(queues, _DEAD_LETTERS, _RETRY, alone=True), *_named(EVENT_QUEUES), *exchanges
        ),
        # Who declares a retry queue has to have what that does: it reads the queue, and publishes
        # to the default exchange.
        write=_any(*_named([*NoticeQueue, *EVENT_QUEUES, DEFAULT_EXCHANGE])),
        read=_any(_with(queues, _RETRY), *exchanges),
    )


def _reader() -> Permissions:
    return Permissions(read=_any(_with((*Queue, *NoticeQueue), _DEAD_LETTERS)))


_PERMISSIONS: Final = {
    Role.OWNER: _owner(),
    Role.DAEMON: _daemon(),
    Role.NOTIFY: _notify(),
    Role.READER: _reader(),
}
