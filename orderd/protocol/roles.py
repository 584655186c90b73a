"""The roles that share the work on one shop, each with no more rights than it needs."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A login at PostgreSQL and at RabbitMQ, by what is done with it."""

    OWNER = "owner"
    DAEMON = "daemon"
    NOTIFY = "notify"
    READER = "reader"


DEFAULT_NAMES: Final = {
    Role.OWNER: "orderd-owner",
    Role.DAEMON: "orderd",
    Role.NOTIFY: "orderd-notify",
    Role.READER: "orderd-reader",
}
PURPOSES: Final = {
    Role.OWNER: "owns the tables; runs orderctl migrate, prune and topology apply",
    Role.DAEMON: "runs orderd, and orderctl for its administration",
    Role.NOTIFY: "runs orderd-notify, and orderctl notify",
    Role.READER: "runs orderctl status, daemons, explain, ledger, outbox list and dlq list",
}
