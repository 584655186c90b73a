"""Starting: wait for servers that are not there yet, refuse what only an operator can mend."""

from typing import Any

import pytest

from tests.acceptance.shop import Shop, product
from tests.conftest import RUN_NAME, StartDaemon
from tests.support.tcp_proxy import proxy_before
from tools.daemon import DaemonProcess
from tools.servers import Servers

# Nobody listens at port 1.
NOWHERE: dict[str, dict[str, Any]] = {
    "database": {"database_url": "postgresql://postgres:secret@127.0.0.1:1/none"},
    "broker": {"rabbitmq_url": "amqp://guest:secret@127.0.0.1:1/"},
}


@pytest.mark.parametrize("missing", ["broker", "database"])
def test_a_server_that_is_missing_at_start_is_waited_for(
    shop: Shop, database_url: str, vhost_url: str, daemon: StartDaemon, missing: str
) -> None:
    shop.send_all([product(id="early")])
    urls = {"database": database_url, "broker": vhost_url}
    with proxy_before(urls[missing]) as proxy:
        urls[missing] = proxy.url
        orderd = daemon(ready=False, database_url=urls["database"], rabbitmq_url=urls["broker"])
        lost = orderd.wait_for_event(f"{missing}.disconnected")

        proxy.open()

        orderd.wait_ready(timeout_s=10)
        assert shop.wait_for("early") == {"early": "applied"}
        # Its state changed once, however often a connection was tried.
        assert orderd.events(f"{missing}.disconnected") == [lost]
        assert orderd.stop() == 0


@pytest.mark.parametrize("missing", ["broker", "database"])
def test_a_daemon_that_waits_for_a_server_stops_when_asked(
    daemon: StartDaemon, missing: str
) -> None:
    orderd = daemon(ready=False, **NOWHERE[missing])
    orderd.wait_for_event(f"{missing}.disconnected")

    orderd.terminate()

    assert orderd.exit_code(timeout_s=10) == 0


@pytest.mark.parametrize("missing", ["broker", "database"])
def test_no_wait_exits_with_69_instead(daemon: StartDaemon, missing: str) -> None:
    orderd = daemon(ready=False, args=["--no-wait"], **NOWHERE[missing])

    assert orderd.exit_code() == 69
    assert "127.0.0.1" in orderd.events(f"{missing}.disconnected")[0]["message"]
    assert "secret" not in orderd.output


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_max", "many"),
        ("batch_max", "0"),
        ("retry_delays", "5s,5s"),
        ("shutdown_timeout", "soon"),
        ("queue_type", "lazy"),
        ("rabbitmq_url", "http://localhost"),
        ("batch_maximum", "5"),
        ("failpoint", "somewhere"),
    ],
)
def test_a_wrong_setting_exits_with_78_and_is_named(
    daemon: StartDaemon, key: str, value: str
) -> None:
    wrong: dict[str, Any] = {key: value}
    orderd = daemon(ready=False, **wrong)

    assert orderd.exit_code() == 78
    (rejected,) = orderd.events("config.rejected")
    assert key in rejected["message"].lower()


@pytest.mark.parametrize(
    ("key", "url", "option"),
    [
        ("database_url", "postgresql://u:S3cret/pw@127.0.0.1/db", "port"),
        ("database_url", "postgresql://u:1234/S3cret@127.0.0.1/db", "host"),
        ("database_url", "host=127.0.0.1 port=1 password=S3cret sslmode=frob", "sslmode"),
        ("database_url", "host=127.0.0.1 port=abc password=S3cret", "port"),
        ("database_url", "host=a,b port=1,2,3 password=S3cret", "port"),
        ("rabbitmq_url", "amqp://u:1234/S3cret@127.0.0.1", "host and port"),
        ("rabbitmq_url", "amqp://u:S3cret@127.0.0.1:1?heartbeat=often", "heartbeat"),
    ],
)
def test_a_url_that_can_never_work_exits_with_78_and_shows_no_password(
    daemon: StartDaemon, key: str, url: str, option: str
) -> None:
    wrong: dict[str, Any] = {key: url}
    orderd = daemon(ready=False, **wrong)

    assert orderd.exit_code() == 78
    (rejected,) = orderd.events("config.rejected")
    assert option in rejected["message"]
    assert "S3cret" not in orderd.output


def test_a_database_without_tables_exits_with_78(empty_database_url: str, vhost_url: str) -> None:
    env = {"ORDERD_DATABASE_URL": empty_database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    orderd = DaemonProcess(env)

    assert orderd.exit_code() == 78
    (outdated,) = orderd.events("schema.outdated")
    assert "orderctl migrate" in outdated["message"]


def test_a_table_that_would_give_back_other_values_exits_with_78(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.query("ALTER TABLE products ALTER price TYPE numeric(12,1)")

    orderd = daemon(ready=False)

    assert orderd.exit_code() == 78
    (outdated,) = orderd.events("schema.outdated")
    assert "column products.price is numeric(12,1), " in outdated["message"]


def test_a_unique_index_that_is_gone_is_said_at_start(shop: Shop, daemon: StartDaemon) -> None:
    shop.query("ALTER TABLE users DROP CONSTRAINT users_email_key")

    orderd = daemon()

    (weakened,) = orderd.events("schema.weakened")
    assert "column users.email has no unique index" in weakened["message"]
    assert orderd.stop() == 0


def test_a_database_of_another_encoding_exits_with_78(servers: Servers, vhost_url: str) -> None:
    name = f"{RUN_NAME}_latin1"
    servers.postgres.create_database(name, encoding="LATIN1")
    env = {"ORDERD_DATABASE_URL": servers.postgres.url(name), "ORDERD_RABBITMQ_URL": vhost_url}
    orderd = DaemonProcess(env)

    assert orderd.exit_code() == 78
    servers.postgres.drop_database(name)
    (outdated,) = orderd.events("schema.outdated")
    assert "encoding LATIN1" in outdated["message"]


def test_a_queue_that_orderd_cannot_use_exits_with_78_and_the_difference(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.channel.queue_declare("order.retry.5s", durable=True)

    orderd = daemon(ready=False)

    assert orderd.exit_code() == 78
    (mismatch,) = orderd.events("topology.mismatched")
    assert "order.retry.5s" in mismatch["message"]
    assert "x-message-ttl" in mismatch["message"] or "x-dead-letter" in mismatch["message"]
