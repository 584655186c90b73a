"""Connecting: every URL once, bounded and sliced, and the text says what and where."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from orderd.amqp.consumer import Consumer
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault
from orderd.amqp.publisher import Publisher
from tests.integration.amqp.conftest import Opened
from tests.integration.amqp.steps import send, to_queue
from tests.support.tcp_proxy import TcpProxy
from tools.rabbitmq import PrivateRabbit


def test_the_first_node_that_answers_is_used(opened: Opened, vhost_url: str) -> None:
    publisher = opened.publisher(BrokerEndpoint(("amqp://127.0.0.1:1/v", vhost_url), "orderd-test"))

    publisher.connect()

    assert publisher.connection.where.endswith(urlsplit(vhost_url).path)


def test_the_fault_names_every_node_and_cause_but_no_password(vhost_url: str) -> None:
    parts = urlsplit(vhost_url)
    urls = (
        "amqp://u:s3cret@127.0.0.1:1/v",
        f"amqp://guest:s3cret@{parts.hostname}:{parts.port}{parts.path}",
        f"amqp://guest:guest@{parts.hostname}:{parts.port}/none",
        "amqp://u:s3cret@no.such.host.invalid/",
    )

    with pytest.raises(BrokerFault) as caught:
        Publisher(BrokerEndpoint(urls, "orderd-test")).connect()

    text = str(caught.value)
    assert "127.0.0.1:1/v: ConnectionRefusedError" in text
    assert f"login refused for user guest: {parts.hostname}:{parts.port}{parts.path}: " in text
    assert "ACCESS_REFUSED" in text
    assert "vhost none not found" in text
    assert "no.such.host.invalid:5672/: gaierror" in text
    assert "s3cret" not in text


@pytest.mark.parametrize("kind", ["consumer", "publisher"])
def test_a_silent_host_is_given_up_in_time_and_slices_go_on(opened: Opened, kind: str) -> None:
    slices = [time.monotonic()]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://u:p@127.0.0.1:{silent.getsockname()[1]}/v"
        endpoint = BrokerEndpoint((url,), "x", socket_timeout_s=1, stack_timeout_s=2.5)
        one = opened.publisher(endpoint) if kind == "publisher" else opened.consumer(endpoint)

        with pytest.raises(BrokerFault, match=r"127\.0\.0\.1:\d+/v: .*[Tt]imeout"):
            one.connect(lambda: slices.append(time.monotonic()))

    assert slices[-1] - slices[0] < 20
    assert len(slices) > 2
    assert max(later - sooner for sooner, later in pairwise(slices)) < 2.4


def test_connections_carry_their_name(publisher: Publisher, private_rabbit: PrivateRabbit) -> None:
    assert publisher.connection.is_open

    assert "orderd-test" in private_rabbit.ctl("list_connections", "client_properties")


def test_connecting_again_replaces_the_connection(publisher: Publisher, outside: Any) -> None:
    publisher.connect()
    outside.queue_declare("user")

    send(publisher, [to_queue("user", b"x")])


def test_closing_twice_and_without_a_connection_is_fine(
    opened: Opened, endpoint: BrokerEndpoint
) -> None:
    publisher = opened.publisher(endpoint)
    publisher.close()
    publisher.connect()

    publisher.close()
    publisher.close()

    with pytest.raises(BrokerFault, match="not connected"):
        publisher.pump()


def test_closing_does_not_ask_its_owner_who_may_have_given_up(
    opened: Opened, endpoint: BrokerEndpoint, consumer: Consumer
) -> None:
    has_given_up = False

    def on_slice() -> None:
        if has_given_up:
            raise RuntimeError("given up")

    for one in (opened.publisher(endpoint), consumer):
        has_given_up = False
        one.connect(on_slice)
        has_given_up = True

        one.close()

        assert not one.is_ready


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_amqps_by_url(opened: Opened, vhost_url: str, tmp_path: Path, outside: Any) -> None:
    import ssl  # noqa: PLC0415 - only this test is about TLS

    parts = urlsplit(vhost_url)
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with TcpProxy(vhost_url, context) as proxy:
        proxy.open()
        options = quote(repr({"cafile": str(cert)}))
        url = f"amqps://guest:guest@127.0.0.1:{proxy.port}{parts.path}?ssl_options={options}"
        publisher = opened.publisher(BrokerEndpoint((url,), "orderd-test"))
        publisher.connect()
        outside.queue_declare("user")

        send(publisher, [to_queue("user", b"x" * 200_000)])

        untrusted = f"amqps://guest:guest@127.0.0.1:{proxy.port}{parts.path}"
        with pytest.raises(BrokerFault, match="from an unknown authority"):
            Publisher(BrokerEndpoint((untrusted,), "orderd-test")).connect()


def test_heartbeats_are_kept_by_polls_and_pumps_alone(opened: Opened, vhost_url: str) -> None:
    endpoint = BrokerEndpoint((vhost_url,), "orderd-test", heartbeat_s=2)
    publisher = opened.publisher(endpoint)
    consumer = opened.consumer(endpoint)
    publisher.connect()
    consumer.connect()
    deadline = time.monotonic() + 10

    while time.monotonic() < deadline:
        consumer.poll(1)
        publisher.pump()

    assert consumer.is_ready
    send(publisher, [to_queue("user", b"x")])


def fault_of(use: Callable[[], None]) -> str:
    try:
        use()
    except BrokerFault as fault:
        return str(fault)
    return ""


def test_a_cut_connection_is_found_by_the_heartbeat(opened: Opened, vhost_url: str) -> None:
    with TcpProxy(vhost_url) as proxy:
        proxy.open()
        endpoint = BrokerEndpoint((proxy.url,), "orderd-test", heartbeat_s=1)
        publisher = opened.publisher(endpoint)
        consumer = opened.consumer(endpoint)
        publisher.connect()
        consumer.connect()
        proxy.silence()
        faults = ("", "")
        deadline = time.monotonic() + 20

        while not all(faults) and time.monotonic() < deadline:
            faults = (fault_of(lambda: consumer.poll(0.5)), fault_of(publisher.pump))

        assert all("HeartbeatTimeout" in text for text in faults)
        assert not consumer.is_ready
