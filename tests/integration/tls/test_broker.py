"""What keeps orderd from a broker with TLS is said in one sentence, by each kind of connection."""

import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from orderd.amqp.connection import Connection
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, BrokerRefused
from orderd.amqp.publisher import Publisher
from orderd.amqp.stepwise import StepwisePublisher
from orderd.runtime.tls import TlsFiles
from tests.support.authority import Authority, KeyPair
from tests.support.tls_rabbit import TlsRabbit
from tests.support.tls_server import shaking_hands

Connect = Callable[[BrokerEndpoint], None]
SECONDS_MAX = 10


def connect_blocking(endpoint: BrokerEndpoint) -> None:
    with closing(Connection(endpoint)) as connection:
        connection.open()
        connection.open_channel()


def connect_publisher(endpoint: BrokerEndpoint) -> None:
    with closing(Publisher(endpoint)) as publisher:
        publisher.connect()


def connect_stepwise(endpoint: BrokerEndpoint) -> None:
    with closing(StepwisePublisher(endpoint)) as publisher:
        publisher.begin()
        until_s = time.monotonic() + SECONDS_MAX
        while not publisher.step():
            assert time.monotonic() < until_s
            publisher.serve(0.1)


KINDS: Sequence[Connect] = (connect_blocking, connect_publisher, connect_stepwise)


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Each kind of connection that orderd makes."""
    found: Connect = request.param
    return found


@pytest.fixture
def server(tls_rabbit: TlsRabbit) -> Iterator[TlsRabbit]:
    """The broker, with its own certificate again after the test."""
    yield tls_rabbit
    tls_rabbit.restore()


def endpoint(
    url: str, authority: Authority | None = None, client: KeyPair | None = None
) -> BrokerEndpoint:
    pair = ("", "") if client is None else (str(client.certificate), str(client.key))
    ca_file = "" if authority is None else str(authority.certificate)
    return BrokerEndpoint((url,), "orderd-test", TlsFiles(ca_file, *pair))


def refusal(connect: Connect, where: BrokerEndpoint) -> str:
    with pytest.raises(BrokerRefused) as caught:
        connect(where)
    text = str(caught.value)
    assert "\n" not in text
    assert "guest:guest" not in text
    return text


def test_a_certificate_of_the_given_authority_is_accepted(
    connect: Connect, server: TlsRabbit, authority: Authority
) -> None:
    connect(endpoint(server.url(), authority))
    connect(endpoint(server.url(host="localhost"), authority))


def test_an_unknown_authority(
    connect: Connect, server: TlsRabbit, other_authority: Authority
) -> None:
    where = f"TLS fails: 127.0.0.1:{server.port}/: the server's certificate is from an unknown "

    by_file = refusal(connect, endpoint(server.url(), other_authority))
    by_system = refusal(connect, endpoint(server.url()))

    assert by_file.startswith(where)
    assert by_file.endswith(
        f": rabbitmq_ca_file ({other_authority.certificate}) must have that authority"
    )
    assert by_system.startswith(where)
    assert by_system.endswith(": set rabbitmq_ca_file to a file with that authority")


def test_a_certificate_for_another_host(server: TlsRabbit, authority: Authority) -> None:
    server.present(authority.issue("elsewhere", ["mq.example.com"]))

    for connect, host in product(KINDS, ("localhost", "127.0.0.1")):
        assert refusal(connect, endpoint(server.url(host=host), authority)) == (
            f"TLS fails: {host}:{server.port}/: the server's certificate is not for {host}: "
            "rabbitmq_url must have a name that is in the certificate"
        )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "has expired: renew it on the server"),
        ("not_yet_valid", "is not yet valid: compare the clocks of both machines"),
    ],
)
def test_a_certificate_out_of_its_time(
    server: TlsRabbit, authority: Authority, kind: str, reason: str
) -> None:
    server.present(getattr(authority, kind)())

    for connect in KINDS:
        assert refusal(connect, endpoint(server.url(), authority)) == (
            f"TLS fails: 127.0.0.1:{server.port}/: the server's certificate {reason}"
        )


def test_a_port_without_tls(connect: Connect, server: TlsRabbit, authority: Authority) -> None:
    url = f"amqps://guest:guest@127.0.0.1:{server.node.amqp_port}"

    assert refusal(connect, endpoint(url, authority)) == (
        f"TLS fails: 127.0.0.1:{server.node.amqp_port}/: the server does not speak TLS on this "
        "port: give the port of its TLS listener (5671 by default) in rabbitmq_url"
    )


def test_a_port_with_tls_spoken_to_without(connect: Connect, server: TlsRabbit) -> None:
    assert refusal(connect, endpoint(server.url(scheme="amqp"))) == (
        f"TLS fails: 127.0.0.1:{server.port}/: the server speaks TLS on this port: "
        "rabbitmq_url needs amqps://"
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_with_old_versions_alone(
    connect: Connect, authority: Authority, version: ssl.TLSVersion
) -> None:
    with shaking_hands(authority.issue("old"), version) as port:
        text = refusal(connect, endpoint(f"amqps://guest:guest@127.0.0.1:{port}", authority))

    assert text == (
        f"TLS fails: 127.0.0.1:{port}/: the server has no TLS version that orderd accepts "
        "(1.2 or 1.3): update its settings"
    )


def test_a_broker_with_old_versions_alone(server: TlsRabbit, authority: Authority) -> None:
    with server.demanding(["tlsv1.1"], certificate=False):
        texts = [refusal(connect, endpoint(server.url(), authority)) for connect in KINDS]

    assert all("no TLS version that orderd accepts (1.2 or 1.3)" in text for text in texts)


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_a_broker_that_wants_a_certificate(
    server: TlsRabbit, authority: Authority, other_authority: Authority, version: str
) -> None:
    given = authority.issue("client", ["client"])
    foreign = other_authority.issue("client", ["client"])
    expired = authority.expired("expired-client")
    asked = {"tlsv1.2": "the server breaks off: where it wants", "tlsv1.3": "the server wants"}

    with server.demanding([version], certificate=True):
        for connect in KINDS:
            connect(endpoint(server.url(), authority, given))
            missing = refusal(connect, endpoint(server.url(), authority))
            assert missing.startswith(f"TLS fails: 127.0.0.1:{server.port}/: {asked[version]} ")
            assert missing.endswith("set rabbitmq_cert_file and rabbitmq_key_file")
            for pair, said in ((foreign, "unknown ca"), (expired, "certificate expired")):
                text = refusal(connect, endpoint(server.url(), authority, pair))
                assert text.endswith(
                    "the server refuses the client certificate of rabbitmq_cert_file "
                    f"({pair.certificate}): {said}"
                )


def test_files_are_read_again_for_each_connection(
    connect: Connect,
    server: TlsRabbit,
    authority: Authority,
    other_authority: Authority,
    tmp_path: Path,
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(other_authority.certificate.read_bytes())
    where = BrokerEndpoint((server.url(),), "orderd-test", TlsFiles(str(file)))
    refusal(connect, where)

    file.write_bytes(authority.certificate.read_bytes()[:200])
    assert refusal(connect, where) == (
        f"rabbitmq_ca_file = '{file}': has a certificate that is damaged"
    )

    file.write_bytes(authority.certificate.read_bytes())
    connect(where)


def test_each_node_of_a_cluster_is_checked_by_its_own_name(
    server: TlsRabbit, authority: Authority
) -> None:
    server.present(authority.issue("by-name", ["localhost"]))
    urls = (server.url(), server.url(host="localhost"))
    where = BrokerEndpoint(urls, "orderd-test", TlsFiles(str(authority.certificate)))

    connection = Connection(where)
    with closing(connection):
        connection.open()
        assert connection.where.startswith("localhost:")


@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated")
def test_options_in_the_url_cannot_turn_the_check_of_the_name_off(
    server: TlsRabbit, authority: Authority
) -> None:
    server.present(authority.issue("elsewhere", ["mq.example.com"]))
    options = f"{{'protocol':{int(ssl.PROTOCOL_TLS)},'cafile':'{authority.certificate}'}}"

    text = refusal(connect_blocking, endpoint(f"{server.url()}?ssl_options={options}"))

    assert "is not for 127.0.0.1" in text


def test_no_socket_is_left_open_by_failed_attempts(
    connect: Connect, server: TlsRabbit, other_authority: Authority
) -> None:
    where = endpoint(server.url(), other_authority)
    refusal(connect, where)
    before = len(list(Path("/proc/self/fd").iterdir()))
    gc.disable()
    try:
        for _ in range(10):
            refusal(connect, where)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
    finally:
        gc.enable()


def test_a_server_that_breaks_off_without_a_word_is_an_outage(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            client.recv(1)
            client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"amqps://guest:guest@127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BrokerFault) as caught:
            connect_blocking(endpoint(url, authority))
        thread.join()

    assert not isinstance(caught.value, BrokerRefused)
