"""Counts the work that this process has done with the servers."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from pytest_mock import MockerFixture

from orderd.amqp.publisher import Publisher
from tests.support.sends import counted_sends
from tests.support.statements import StatementProxy


@dataclass(frozen=True, slots=True)
class Work:
    """What was done with the servers.

    Calls of `send` to RabbitMQ are those that carry messages, and those that ack; `waits` is how
    often the confirms of messages were waited for.
    """

    round_trips: int
    statements: int
    commits: int
    publishes: int
    acks: int
    waits: int


class Counts:
    """Counts work at the edges: what goes to the servers, however it was made."""

    def __init__(
        self,
        proxy: StatementProxy,
        rabbitmq_url: str,
        monkeypatch: pytest.MonkeyPatch,
        mocker: MockerFixture,
    ) -> None:
        self._proxy = proxy
        self._sends = counted_sends(monkeypatch, urlsplit(rabbitmq_url).port or 5672)
        self._waits = mocker.spy(Publisher, "wait_out")

    def begin(self) -> None:
        """Count from now on."""
        self._proxy.round_trips.clear()
        self._sends.calls.clear()
        self._waits.reset_mock()

    def check(self, expected: Work) -> None:
        """Fail where other work was done, and print all of it."""
        tags = self._proxy.tags
        publishes = sum("Basic.Publish" in each.methods for each in self._sends.calls)
        found = Work(
            round_trips=len(self._proxy.round_trips),
            statements=len(tags),
            commits=tags.count("COMMIT"),
            publishes=publishes,
            acks=len(self._sends.calls) - publishes,
            waits=self._waits.call_count,
        )
        if found != expected:
            pytest.fail(
                f"\nexpected {expected}\nfound    {found}\n{self._listing()}", pytrace=False
            )

    def _listing(self) -> str:
        lines = []
        for number, trip in enumerate(self._proxy.round_trips, 1):
            lines += [f"round trip {number}", *(f"  {line}" for line in trip.lines())]
        return "\n".join([*lines, *(f"send  {each}" for each in self._sends.calls)])
