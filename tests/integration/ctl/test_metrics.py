"""`orderctl metrics`: what a daemon has written, and live figures of its servers."""

from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker
from tests.support.exporter import serving

NOWHERE = "127.0.0.1:1"
WRITTEN = """\
# HELP orderd_state x
# TYPE orderd_state gauge
orderd_state{daemon="a",state="running"} 1.0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "metrics.prom"
    file.write_text(WRITTEN)
    return file


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "daemon")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_the_daemon_wrote_and_what_the_servers_say(
    orderctl: Orderctl, daemon: StartDaemon, file: Path
) -> None:
    daemon()
    orderctl("call", "user", "create", '{"username": "ann", "email": "ann@example.com"}')

    done = orderctl("metrics", "--file", str(file))

    found = samples(done.out)
    assert (done.code, done.err) == (0, "")
    assert found["orderd_state", "running"] == 1
    assert found["orderd_queue_messages", "user"] == 0
    assert found["orderd_queue_consumers", "user"] == 1
    assert found["orderd_queue_messages", "user.dlq"] == 0
    assert found["orderd_ledger_rows",] == 1
    assert found["orderd_schema_outdated",] == 0
    assert ("orderd_outbox_rows",) in found


def test_the_files_of_several_daemons_are_joined(
    orderctl: Orderctl, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.prom"
    other.write_text(WRITTEN.replace('"a"', '"b"'))

    done = orderctl("metrics", "--file", str(file), "--file", str(other))

    assert done.out.count("# TYPE orderd_state gauge") == 1
    (states,) = [
        family
        for family in text_string_to_metric_families(done.out)
        if family.name == "orderd_state"
    ]
    assert {sample.labels["daemon"] for sample in states.samples} == {"a", "b"}


def test_queues_of_notifications_are_counted_where_they_exist(
    orderctl: Orderctl, broker: Broker, file: Path
) -> None:
    without = samples(orderctl("metrics", "--file", str(file)).out)
    broker.channel.queue_declare("user_notifications", durable=True)
    broker.channel.basic_publish("", "user_notifications", b"{}", mandatory=True)

    found = samples(orderctl("metrics", "--file", str(file)).out)

    assert ("orderd_queue_messages", "user_notifications") not in without
    assert found["orderd_queue_messages", "user_notifications"] == 1
    assert found["orderd_queue_consumers", "user_notifications"] == 0
    assert ("orderd_queue_messages", "user_notifications.dlq") not in found


def test_what_cannot_be_had_is_said_and_the_rest_printed(
    orderctl: Orderctl, file: Path, tmp_path: Path
) -> None:
    without_file = orderctl("metrics", "--file", str(tmp_path / "none"))
    without_broker = orderctl(
        "metrics", "--file", str(file), ORDERD_RABBITMQ_URL=f"amqp://{NOWHERE}"
    )

    assert without_file.code == 1
    assert "none: No such file or directory; no metrics of a daemon" in without_file.err
    assert samples(without_file.out)["orderd_schema_outdated",] == 0
    assert without_broker.code == 69
    assert f"broker: {NOWHERE}" in without_broker.err
    assert samples(without_broker.out)["orderd_state", "running"] == 1


def test_a_database_without_tables_is_outdated(
    orderctl_before_migration: Orderctl, file: Path
) -> None:
    done = orderctl_before_migration("metrics", "--file", str(file))

    found = samples(done.out)
    assert found["orderd_schema_outdated",] == 1
    assert ("orderd_ledger_rows",) not in found


@pytest.mark.parametrize("address", ["9645", "localhost:99999", "here:port", "::1:9645"])
def test_what_is_no_address_is_wrong_usage(orderctl: Orderctl, address: str) -> None:
    done = orderctl("metrics", "--listen", address)

    assert done.code == 2
    assert f"'{address}' is not HOST:PORT" in done.err


def get(url: str, path: str = "") -> tuple[int, str, str]:
    """Return status, type and text of what is at *url*, or at another *path* of its server."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as connection:
        connection.request("GET", path or parts.path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_each_request_is_a_new_look(file: Path, database_url: str, vhost_url: str) -> None:
    servers = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    with serving(file, servers) as url:
        status, kind, text = get(url)
        assert (status, kind.split(";")[:2]) == (200, ["text/plain", " version=0.0.4"])
        assert samples(text)["orderd_state", "running"] == 1
        file.write_text(WRITTEN.replace("1.0", "0.0"))
        assert samples(get(url)[2])["orderd_state", "running"] == 0
        assert get(url, "/")[0] == 404
