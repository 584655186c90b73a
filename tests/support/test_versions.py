"""Servers of other Debian suites run as plain processes, and leave nothing behind."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import psycopg2
import pytest

from tests.conftest import StartDaemonOn
from tests.support.versions import Broker, NotHere, installation_of
from tools.installation import Installation
from tools.postgresql import PrivatePostgres
from tools.program import descendants, end_descendants
from tools.rabbitmq import PrivateRabbit
from tools.server_root import SUITES

QUEUE = "kept"
STAY = """
import signal, sys
from pathlib import Path
from tools.servers import Servers
from tools.installation import Installation

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in background shells
with Servers(fsync=False, installation=Installation(Path(sys.argv[1]))) as servers:
    print(servers.scratch, flush=True)
    signal.pause()
"""


@pytest.fixture(params=[*SUITES.values()])
def installation(request: pytest.FixtureRequest) -> Installation:
    """The servers of each suite."""
    try:
        return installation_of(request.param)
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture
def rabbit(installation: Installation, tmp_path: Path) -> Iterator[PrivateRabbit]:
    """A node of a suite, which the test may stop."""
    one = PrivateRabbit(tmp_path / "rabbitmq", installation)
    try:
        one.start()
        yield one
    finally:
        one.close()


def test_a_broker_is_of_the_version_that_was_asked_for(
    broker: Broker, daemon_on: StartDaemonOn
) -> None:
    overview = broker.rabbit.require_management().request("GET", "/api/overview")

    assert overview["rabbitmq_version"].startswith(f"{broker.version}.")
    assert daemon_on(broker.url).stop() == 0


@pytest.mark.versions
def test_a_node_of_a_suite_keeps_its_data_when_it_is_stopped_or_killed(
    rabbit: PrivateRabbit,
) -> None:
    # Killed second: RabbitMQ writes a queue that was declared just now to disk some seconds later.
    for number, end in enumerate((rabbit.stop, rabbit.kill)):
        pid = rabbit.pid
        assert pid is not None
        assert "beam" in Path(f"/proc/{pid}/exe").readlink().name
        with closing(pika.BlockingConnection(pika.URLParameters(rabbit.url()))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare(QUEUE, durable=True)
            properties = pika.BasicProperties(delivery_mode=2)
            channel.basic_publish("", QUEUE, b"", properties, mandatory=True)

        end()

        assert not Path(f"/proc/{pid}").exists()
        rabbit.start()
        told = rabbit.ctl("list_queues", "--no-table-headers", "name", "messages")
        assert told.split() == [QUEUE, str(number + 1)]


@pytest.mark.versions
def test_a_message_is_published_by_the_suites_own_rabbitmqadmin(rabbit: PrivateRabbit) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(rabbit.url()))) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)

        rabbit.publish_by_rabbitmqadmin("/", QUEUE, '{"a": 1}', {"correlation_id": "c"})

        _, properties, body = channel.basic_get(QUEUE, auto_ack=True)
    assert (body, properties.correlation_id) == (b'{"a": 1}', "c")


@pytest.mark.versions
def test_postgresql_of_a_suite_keeps_its_data_when_it_is_restarted(
    installation: Installation, tmp_path: Path
) -> None:
    tmp_path.chmod(0o711)
    server = PrivatePostgres(tmp_path / "postgresql", fsync=False, installation=installation)
    try:
        server.start()
        server.run("CREATE TABLE kept ()")
        server.restart("immediate")
        with closing(psycopg2.connect(server.admin_dsn)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT to_regclass('kept')::text")
            assert cursor.fetchone() == ("kept",)
    finally:
        server.close()


@pytest.mark.versions
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_nothing_stays_mounted(
    installation: Installation, signum: signal.Signals
) -> None:
    argv = [sys.executable, "-c", STAY, str(installation.root)]
    mounts = Path("/proc/self/mounts").read_text()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as stay:
        assert stay.stdout is not None
        scratch = Path(stay.stdout.readline().strip())
        spawned = descendants(stay.pid)

        stay.send_signal(signum)
        stay.wait(timeout=60)

    assert len(spawned) > 2
    assert Path("/proc/self/mounts").read_text() == mounts
    if signum is signal.SIGKILL:
        end_descendants(spawned, timeout_s=0)
        shutil.rmtree(scratch)
    else:
        assert not any(one.is_alive for one in spawned)
        assert not scratch.exists()
