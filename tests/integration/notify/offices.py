"""A database with users, the parts that send, and channels that do as they are told."""

from collections.abc import Callable
from typing import Any

from orderd.config.notify import BaseChannel, NotifySettings
from orderd.db.connection import Database
from orderd.notify.decoder import NoticeDecoder
from orderd.notify.deliver import Deliverer
from orderd.notify.digests import Digests
from orderd.notify.labels import notice_labels
from orderd.notify.message import Message
from orderd.notify.records import Records
from orderd.notify.routes import Routes
from orderd.notify.sending import Sender
from orderd.notify.templates import Templates
from orderd.pipeline.measures import Measures
from orderd.shop.outcomes import Outcome
from tests.support.policies import policy
from tests.support.sessions import autocommitting

USERS = """
    INSERT INTO users (username, email, is_active)
    VALUES ('ann', 'ann@example.org', true), ('bob', 'bob@example.org', false)
"""


class Killed(BaseException):
    """The daemon dies: nothing handles this, and its transaction is rolled back."""


class ScriptedChannel:
    """Takes what it is given, or raises what it is told to.

    `on_send` is called before that, and `on_taken` once it has taken a message.
    """

    def __init__(self, settings: BaseChannel) -> None:
        self.name = settings.name
        self.kind = "smtp"
        self.taken: list[Message] = []
        self.faults: list[Exception] = []
        self.on_send: Callable[[], object] = lambda: None
        self.on_taken: Callable[[], object] = lambda: None

    def send(self, message: Message) -> None:
        self.on_send()
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append(message)
        self.on_taken()

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass

    def kill(self) -> None:
        """Die once, right after a message was taken."""

        def die() -> None:
            self.on_taken = lambda: None
            raise Killed

        self.on_taken = die


Offices = Callable[..., "Office"]


class Office:
    """The parts of one orderd-notify without a broker, on a database that others may share."""

    def __init__(self, url: str, channels: list[dict[str, Any]]) -> None:
        self._url = url
        self.database = Database(url, "orderd-notify")
        settings = NotifySettings.model_validate({"channel": channels})
        self.channels = {each.name: ScriptedChannel(each) for each in settings.channel}
        self.routes = Routes(settings, list(self.channels.values()), Templates.load(None))
        self.now_s = 1_000.0
        records = Records(self.database)
        sender = Sender(records, policy())
        self.decoder = NoticeDecoder(policy(), self.database, Measures(notice_labels()))
        self.deliverer = Deliverer(
            records,
            sender,
            lambda: self.routes,
            assert_able=lambda: None,
            keep_alive=lambda: None,
        )
        self.digests = Digests(self.database, lambda: self.routes, lambda: self.now_s)

    def send(self, *deliveries: Any) -> list[Outcome]:
        """Return what became of *deliveries*, all of them readable."""
        tasks, invalid = self.decoder.decode(deliveries)
        assert not invalid
        return [each.outcome for part in self.deliverer.commit(tasks) for each in part]

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that an observer runs."""
        with autocommitting(self._url) as observer, observer.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    @property
    def states(self) -> list[tuple[Any, ...]]:
        """Channel, recipient, state and attempts of all that is on record."""
        return self.query(
            "SELECT channel, recipient, state, attempts FROM notifications ORDER BY 1, 2, event_id"
        )
