"""What a daemon does with its messages: all in which one daemon differs from another."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from orderd.amqp.consumer import Consumer
from orderd.amqp.message import Delivery
from orderd.amqp.publisher import Publisher
from orderd.config.settings import Settings
from orderd.daemon.announcer import Announcer
from orderd.daemon.keepalive import KeepAlive
from orderd.db.connection import Database
from orderd.pipeline.batch import Commits, Decodes
from orderd.pipeline.measures import Labels, Measures
from orderd.pipeline.outbox.rows import Confirmed
from orderd.pipeline.overlap import Job
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.results import Result
from orderd.protocol.tenants import Tenant
from orderd.protocol.values import value


@value(eq=False)
class Parts:
    """The parts of a daemon that its work is given; nothing is connected yet.

    `confirmed` gathers the rows of events that RabbitMQ has confirmed. `retried` tells what is on
    its way to a retry queue, `finish` publishes and acks all that was done, and `assert_able`
    raises where what is on lease could not be settled now.
    """

    settings: Settings
    policy: Policy
    database: Database
    consumer: Consumer
    publisher: Publisher
    quarantine: Quarantine
    receipts: Receipts
    confirmed: Confirmed
    measures: Measures
    announcer: Announcer
    keep_alive: KeepAlive
    retried: Callable[[], Iterable[Delivery]]
    finish: Callable[[], None]
    assert_able: Callable[[], None]


class Work(Protocol):
    """The steps of the pipeline that are a daemon's own, and what it does between two batches."""

    @property
    def decoder(self) -> Decodes[Any]:
        """The step that reads messages."""

    @property
    def committer(self) -> Commits[Any]:
        """The step that does what was asked for."""

    @property
    def has_committed(self) -> bool:
        """Whether anything was done yet: the database was as it should be then."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What can be done while PostgreSQL works."""

    def about(self) -> str:
        """Return what the line about the start says of it, after a comma; may be empty."""

    def connected(self) -> None:
        """Go on with the database. Raises `ConfigError` and `DatabaseOutage`."""

    def examine(self, settings: Settings) -> None:
        """Raise `ConfigError` where something that these settings name cannot be used."""

    def take_over(self, settings: Settings) -> Sequence[str]:
        """Work by these settings from now on, with batches that were not begun yet.

        Return what is different besides the settings, in words.
        """

    def places(self, deliveries: Sequence[Delivery]) -> Mapping[int, str]:
        """Return the keys by which copies of *deliveries* keep their places, by tag."""

    def note_dead(self, results: Sequence[Result]) -> None:
        """Note that the messages of *results* have become dead letters."""

    def turn(self) -> None:
        """Do what is due between two batches. Raises `DatabaseOutage` and `BrokerFault`."""

    def wait_s(self, longest_s: float) -> float:
        """Return how long an idle loop may wait until `turn` has something to do."""

    def tidy(self) -> None:
        """Take off the record what has ended since the last time. Raises `DatabaseOutage`."""

    def end(self) -> None:
        """Leave nothing to do behind, in a drain. Raises `DatabaseOutage` and `BrokerFault`."""

    def close(self) -> None:
        """Let go of what it holds; never raises."""


@value(eq=False)
class Program:
    """A daemon: *tenant* says what it consumes, *work* makes what it does with that.

    `labels` makes those of its metrics; `prepared` are the queries worth keeping prepared.
    """

    tenant: Tenant
    labels: Callable[[], Labels]
    prepared: Collection[str]
    work: Callable[[Parts], Work]
