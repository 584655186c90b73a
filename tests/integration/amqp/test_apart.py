"""Queues on connections of their own: one that is silent is found out, and costs its queue."""

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from orderd.amqp.connection import Connection
from orderd.amqp.declaration import Declaration
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.intakes import Intakes
from orderd.amqp.publisher import Publisher
from tests.integration.amqp.steps import LIMIT_S, numbered, send
from tests.support.tcp_proxy import TcpProxy
from tools.waiting import wait_until

QUEUES = ("user", "order")


@contextmanager
def consuming_apart(
    proxy: TcpProxy, path: str, heartbeat_s: int
) -> Iterator[tuple[Intakes, list[str]]]:
    """Give intakes through *proxy*, whose first connection is the main one, and what is lost."""
    lost: list[str] = []
    url = f"amqp://guest:guest@127.0.0.1:{proxy.port}{path}"
    endpoint = BrokerEndpoint((url,), "orderd-test", heartbeat_s=heartbeat_s)
    with closing(Connection(endpoint)) as connection:
        connection.open()
        intakes = Intakes(
            connection,
            QUEUES,
            (),
            10,
            declare=Declaration(connection, (), "").queue,
            on_arrival=lambda *_: None,
            on_lost=lost.append,
        )
        intakes.apart.is_wanted = True
        with closing(intakes.apart):
            intakes.begin(is_first=True)
            yield intakes, lost


@pytest.fixture
def proxy(vhost_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(vhost_url) as one:
        one.open()
        yield one


def is_silent(intakes: Intakes) -> bool:
    intakes.serve(0.2)
    return all(intakes.apart.connection_for(queue).is_silent for queue in QUEUES)


# The sockets of a connection that did not answer go with pika's objects.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_silent_one_is_asked_before_anything_is_committed(
    proxy: TcpProxy, vhost_url: str, publisher: Publisher
) -> None:
    with consuming_apart(proxy, urlsplit(vhost_url).path, heartbeat_s=8) as (intakes, lost):
        send(publisher, numbered("order", 1))
        # The main one and that of user; the heartbeat alone would take far longer.
        proxy.silence(spared=2)
        wait_until(lambda: is_silent(intakes), timeout_s=LIMIT_S, what="a long silence")

        intakes.assert_alive()

        assert lost == ["order"]
        assert list(intakes.failing) == ["order"]
    gc.collect()


def test_a_silent_one_is_found_by_its_heartbeat(proxy: TcpProxy, vhost_url: str) -> None:
    with consuming_apart(proxy, urlsplit(vhost_url).path, heartbeat_s=1) as (intakes, lost):
        proxy.silence(spared=2)

        def is_lost() -> bool:
            intakes.serve(0.2)
            return bool(lost)

        wait_until(is_lost, timeout_s=3 * LIMIT_S, what="a lost connection")
        assert list(intakes.failing) == ["order"]
        assert "HeartbeatTimeout" in intakes.failing["order"]
