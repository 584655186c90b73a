"""`orderd-notify`'s work: it tells users and administrators what has happened, once each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from orderd.amqp.message import Delivery
from orderd.config.settings import Settings
from orderd.daemon.work import Parts, Program
from orderd.notify.channels.build import build_channels
from orderd.notify.decoder import NoticeDecoder
from orderd.notify.deliver import Deliverer
from orderd.notify.digests import Digests
from orderd.notify.labels import notice_labels
from orderd.notify.records import Records
from orderd.notify.routes import Routes
from orderd.notify.sending import Sender
from orderd.notify.templates import Templates
from orderd.pipeline.overlap import Job
from orderd.pipeline.results import Result
from orderd.protocol.tenants import NOTIFY


class NotifyWork:
    """Decodes notices, sends them by the channels of the settings, and sends digests."""

    def __init__(self, parts: Parts) -> None:
        """Work with *parts*."""
        self._parts = parts
        self._routes = self._next_routes = self._built(parts.settings)
        records = Records(parts.database)
        self.decoder = NoticeDecoder(parts.policy, parts.database, parts.measures)
        self.committer = Deliverer(
            records,
            Sender(records, parts.policy),
            lambda: self._routes,
            assert_able=parts.assert_able,
            keep_alive=parts.keep_alive,
        )
        self._digests = Digests(parts.database, lambda: self._routes)

    @property
    def has_committed(self) -> bool:
        """Whether any notice was done yet."""
        return self.committer.has_sent

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What it does while PostgreSQL works: nothing of its own."""
        return ()

    def about(self) -> str:
        """Return the names of the channels."""
        return f", channels {', '.join(self._routes.names)}"

    def connected(self) -> None:
        """Do nothing: there is nothing to put on record first."""

    def examine(self, settings: Settings) -> None:
        """Raise `ConfigError` where a template or a channel cannot be used; keep them."""
        self._next_routes = self._built(settings)

    def take_over(self, _settings: Settings) -> Sequence[str]:
        """Send by what was examined from now on; nothing is different but the settings."""
        if self._next_routes is not self._routes:
            self._routes.close()
            self._routes = self._next_routes
        return ()

    def places(self, deliveries: Sequence[Delivery]) -> Mapping[int, str]:
        """Return none: notices are in no line; a copy of one without an id keeps its given one."""
        tasks, _ = self.decoder.decode(deliveries)
        return {task.delivery.tag: task.notice.place for task in tasks if task.notice.place}

    def note_dead(self, results: Sequence[Result]) -> None:
        """Do nothing: the records have what has failed."""

    def turn(self) -> None:
        """Send the digests that are due; let connections go that have had nothing to send."""
        self._digests.turn()
        self._routes.rest()

    def wait_s(self, longest_s: float) -> float:
        """Return *longest_s*: a digest may be as late as that."""
        return longest_s

    def tidy(self) -> None:
        """Do nothing: no record ends before its time."""

    def end(self) -> None:
        """Do nothing: what is collected waits in the database for the next daemon."""

    def close(self) -> None:
        """Close the connections to servers."""
        self._routes.close()

    def _built(self, settings: Settings) -> Routes:
        notify = settings.notify
        channels = build_channels(settings, self._wait)
        own = Path(notify.templates) if notify.templates else None
        return Routes(notify, channels, Templates.load(own))

    def _wait(self) -> None:
        """Keep everything alive in the middle of a sending, which must not be broken off."""
        self._parts.keep_alive.during_statement(0.0)


NOTIFY_PROGRAM: Final = Program(NOTIFY, notice_labels, (), NotifyWork)
