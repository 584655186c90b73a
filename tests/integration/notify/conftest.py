"""What the tests of channels share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orderd.notify.message import Message
from tests.integration.notify.offices import USERS, Office, Offices
from tests.support.certificates import Certificate

MakeMessage = Callable[..., Message]


class KeepAlive:
    """Counts how often keep-alive work ran; `fault` is raised from it, if set."""

    def __init__(self) -> None:
        self.runs = 0
        self.fault: BaseException | None = None

    def __call__(self) -> None:
        """Run."""
        self.runs += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def keep_alive() -> KeepAlive:
    """The keep-alive work of the daemon."""
    return KeepAlive()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1 and localhost."""
    directory = tmp_path_factory.mktemp("certificates")
    return Certificate.made(directory / "right", "DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="session")
def certificate_of_another(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of another host."""
    directory = tmp_path_factory.mktemp("certificates")
    return Certificate.made(directory / "wrong", "DNS:other.example")


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make channels that are built from now on trust the certificate in the file."""
    return lambda path: monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.fixture
def message() -> MakeMessage:
    """Make a message, with other values where they are given."""

    def make(**values: str) -> Message:
        usual = {
            "id": "e5d76b93-ffef-430e-9d10-6c041459a639",
            "type": "order.shipped",
            "address": "ada@example.com",
            "subject": "Your order 1 is on its way",
            "text": "Dear Ada,\n\nit is on its way.\n",
            "event": '{"specversion":"1.0","type":"order.shipped"}',
        }
        return Message(**usual | values)

    return make


@pytest.fixture
def offices(database_url: str) -> Iterator[Offices]:
    """Makes parts of one more orderd-notify on the same database."""
    made: list[Office] = []

    def make(*channels: dict[str, Any]) -> Office:
        office = Office(database_url, list(channels))
        if not made:
            office.query(USERS)
        made.append(office)
        return office

    yield make
    for office in made:
        office.database.close()
