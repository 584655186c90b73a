"""The broker for a command: its faults become failures with the right exit code."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.connection import Connection
from orderd.amqp.faults import BrokerFault, BrokerRefused, ChannelFault, TopologyMismatch
from orderd.ctl.client import endpoint_of
from orderd.ctl.errors import AccessRefused, Failure, Misconfigured, Unavailable
from orderd.ctl.interrupts import interruptible
from orderd.logs.logger import silence_libraries

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_ACCESS_REFUSED: Final = 403


@contextmanager
def broker_of(settings: "Settings") -> Iterator[ConfirmedPublisher]:
    """Give a publisher, connected; raises Unavailable, Misconfigured or Failure."""
    silence_libraries()
    try:
        with (
            closing(Connection(endpoint_of(settings))) as connection,
            interruptible(connection),
        ):
            connection.open()
            yield ConfirmedPublisher(connection)
    except TopologyMismatch as fault:
        raise Misconfigured(f"broker: {fault}") from fault
    except ChannelFault as fault:
        failure = Failure if fault.code == _ACCESS_REFUSED else Unavailable
        raise failure(f"broker: {fault}") from fault
    except BrokerRefused as fault:
        raise AccessRefused(f"broker: {fault}") from fault
    except BrokerFault as fault:
        raise Unavailable(f"broker: {fault}") from fault


@contextmanager
def browser_of(publisher: ConfirmedPublisher) -> Iterator[Browser]:
    """Give a browser on the publisher's connection; what it took goes back at the end."""
    browser = Browser(publisher.connection)
    try:
        with interruptible(publisher.connection):
            yield browser
    finally:
        browser.give_back()
