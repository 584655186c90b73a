"""A fault of one queue, exchange, listener or connection costs that one; the others go on."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from orderd.ctl.main import main as orderctl
from orderd.protocol.exit_codes import ExitCode
from tests.acceptance.faults.test_refusals import unidentified
from tests.acceptance.shop import EVENTS_EXCHANGE, HEARD, Message, Shop, command, order, user
from tests.conftest import StartDaemon, StartDaemonOn
from tests.support import amqp10
from tests.support.connections import close_publishing_connection
from tests.support.versions import Broker
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 400
TIMES = 3
LIMITED = "limited"


def applied(shop: Shop) -> int:
    return int(shop.value("SELECT count(*) FROM orders"))


def wait_for_more(shop: Shop) -> None:
    """Return once some more orders are there, or all."""
    before = applied(shop)
    wait_until(lambda: applied(shop) > before or before >= COUNT, timeout_s=60, what="more orders")


def assert_done_once(shop: Shop, orderd: DaemonProcess, count: int = COUNT) -> None:
    """Return when all is done and acked; without id, a redelivery would have been done again."""
    wait_until(lambda: applied(shop) >= count, timeout_s=90, what="all orders")
    assert orderd.stop() == 0
    assert shop.ready("order") == 0
    assert applied(shop) == count
    assert shop.ready("order.dlq") == 0


def test_to_lose_the_publishing_connection_repeats_nothing(
    shop: Shop, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10_000)
    unidentified(shop, COUNT)
    orderd = daemon(batch_max=10)

    for _ in range(TIMES):
        wait_for_more(shop)
        mark = orderd.mark()
        close_publishing_connection(private_rabbit, vhost)
        orderd.wait_for_event("broker.disconnected", after=mark)

    assert_done_once(shop, orderd)


def test_a_queue_that_others_delete_costs_no_other_queue_anything(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10_000)
    unidentified(shop, COUNT)
    orderd = daemon(batch_max=10)

    for _ in range(TIMES):
        wait_for_more(shop)
        mark = orderd.mark()
        shop.channel.queue_delete("user")
        orderd.wait_for_event("queue.recovered", after=mark, timeout_s=30)

    assert_done_once(shop, orderd)
    assert orderd.events("broker.disconnected") == []


def test_a_deleted_exchange_repeats_nothing_and_is_there_again(
    shop: Shop, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10_000)
    unidentified(shop, COUNT)
    orderd = daemon(batch_max=10)
    wait_for_more(shop)

    shop.channel.exchange_delete(EVENTS_EXCHANGE)

    wait_until(lambda: applied(shop) >= COUNT, timeout_s=90, what="all orders")
    shop.send_all([order({1: 1}, id="after")])
    wait_until(
        lambda: EVENTS_EXCHANGE in private_rabbit.ctl("list_exchanges", "-p", vhost),
        timeout_s=30,
        what="the exchange",
    )
    assert_done_once(shop, orderd, COUNT + 1)
    assert orderd.events("broker.disconnected") == []


@contextmanager
def suspended(rabbit: PrivateRabbit, vhost: str, queue: str) -> Iterator[None]:
    """Have the process of a classic queue do nothing, so that it confirms nothing."""

    def tell(what: str) -> None:
        rabbit.ctl(
            "eval",
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, '
            f'<<"{queue}">>)), sys:{what}(amqqueue:get_pid(Q)).',
        )

    tell("suspend")
    try:
        yield
    finally:
        tell("resume")


def test_a_listener_that_confirms_nothing_holds_nobody_up(
    shop: Shop, vhost: str, private_rabbit: PrivateRabbit, daemon: StartDaemon
) -> None:
    shop.open_with(stock=10_000)
    shop.channel.queue_declare("deaf", durable=True)
    shop.channel.queue_bind("deaf", EVENTS_EXCHANGE, "#")
    unidentified(shop, COUNT)

    with suspended(private_rabbit, vhost, "deaf"):
        orderd = daemon(batch_max=50)
        wait_until(lambda: applied(shop) >= COUNT, timeout_s=90, what="all orders")
        wait_until(lambda: shop.ready(HEARD) >= COUNT, timeout_s=60, what="the others' events")

    assert_done_once(shop, orderd)
    assert orderd.events("broker.disconnected") == []


@pytest.fixture
def limited_url(vhost_url: str, vhost: str, private_rabbit: PrivateRabbit) -> Iterator[str]:
    """The URL for a user who may not publish to the exchange of events."""
    private_rabbit.ctl("add_user", LIMITED, LIMITED)
    allow_write(private_rabbit, vhost, r"^(?!orderd\.events$).*")
    host = urlsplit(vhost_url)
    yield f"amqp://{LIMITED}:{LIMITED}@{host.hostname}:{host.port}{host.path}"
    private_rabbit.ctl("delete_user", LIMITED)


def allow_write(rabbit: PrivateRabbit, vhost: str, pattern: str) -> None:
    rabbit.ctl("set_permissions", "-p", vhost, LIMITED, ".*", pattern, ".*")


def test_without_the_right_to_publish_events_commands_are_done(
    shop: Shop,
    vhost: str,
    private_rabbit: PrivateRabbit,
    limited_url: str,
    daemon_on: StartDaemonOn,
) -> None:
    shop.open_with(stock=10_000)
    unidentified(shop, COUNT)
    orderd = daemon_on(limited_url, batch_max=50)
    wait_until(lambda: applied(shop) >= COUNT, timeout_s=90, what="all orders")
    refused = orderd.wait_for_event("outbox.refused", timeout_s=30)
    assert "403 ACCESS_REFUSED" in refused["message"]

    allow_write(private_rabbit, vhost, ".*")
    shop.query("UPDATE outbox SET not_before = '-infinity', claimed_at = now() - interval '1 h'")

    wait_until(lambda: shop.ready(HEARD) >= COUNT, timeout_s=90, what="all events")
    assert_done_once(shop, orderd)
    assert orderd.events("broker.disconnected") == []


def test_topic_rights_that_forget_system_events_cost_these_alone(
    shop: Shop,
    vhost: str,
    private_rabbit: PrivateRabbit,
    limited_url: str,
    daemon_on: StartDaemonOn,
) -> None:
    allow_write(private_rabbit, vhost, ".*")
    private_rabbit.ctl(
        *("set_topic_permissions", "-p", vhost, LIMITED, EVENTS_EXCHANGE),
        *(r"^(user|product|order)\..*", ".*"),
    )
    shop.open_with(stock=10_000)
    # The first is a dead letter, of which a system event tells.
    shop.send_all([Message("order", b"{", command("order", "create").properties)])
    unidentified(shop, COUNT)

    orderd = daemon_on(limited_url, batch_max=50)

    orderd.wait_for_event("message.dead_lettered", timeout_s=30)
    wait_until(lambda: shop.ready(HEARD) >= COUNT, timeout_s=90, what="the other events")
    assert orderd.stop() == 0
    assert (applied(shop), shop.ready("order"), shop.ready("order.dlq")) == (COUNT, 0, 1)
    assert orderd.events("broker.disconnected") == []


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])
def test_a_message_that_the_broker_cannot_deliver_costs_its_queue(
    broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn, queue_type: str
) -> None:
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        orderd = daemon_on(broker.url, queue_type=queue_type)
        body = amqp10.data(b'{"action": "list"}')
        guid = amqp10.application_properties(key=amqp10.uuid(bytes(range(16))))
        amqp10.send(broker.admin_url, "/queues/product", [amqp10.message(guid + body)])

        failing = orderd.wait_for_event("queue.failing", queue="product", timeout_s=60)
        said = "RabbitMQ fails to deliver the head of queue product (541)"
        assert said in failing["message"]
        shop.send_all([user(f"ann{number}") for number in range(COUNT)])
        users = "SELECT count(*) FROM users"
        wait_until(lambda: shop.value(users) >= COUNT, timeout_s=60, what="all users")

        assert orderd.stop() == 0
        assert shop.value(users) == COUNT
        assert (shop.ready("user"), shop.ready("product")) == (0, 1)


@pytest.mark.parametrize("broker_version", ["4.0", "4.3"])
def test_a_letter_that_the_broker_cannot_deliver_is_named(
    broker: Broker,
    database_url: str,
    admin_database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORDERD_RABBITMQ_URL", broker.url)
    monkeypatch.setenv("ORDERD_DATABASE_URL", database_url)
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        for queue in ("product.dlq", "user.dlq"):
            shop.channel.queue_declare(queue, durable=True)
        guid = amqp10.application_properties(key=amqp10.uuid(bytes(range(16))))
        message = amqp10.message(guid + amqp10.data(b"{}"))
        amqp10.send(broker.admin_url, "/queues/product.dlq", [message])
        shop.channel.basic_publish("", "user.dlq", b"{}")

        assert orderctl(["dlq", "list", "product"]) == ExitCode.UNAVAILABLE
        said = "RabbitMQ fails to deliver the head of queue product.dlq (541)"
        assert said in capsys.readouterr().err
        for verb in ("list", "show"):
            assert orderctl(["dlq", verb]) == ExitCode.NOT_CHECKED
            told = capsys.readouterr()
            assert "user.dlq" in told.out or '"request":{}' in told.out
            assert said in told.err
        assert orderctl(["dlq", "discard", "--yes"]) == ExitCode.NOT_CHECKED
        told = capsys.readouterr()
        assert "1 discarded" in told.out
        assert said in told.err
        assert (shop.ready("user.dlq"), shop.ready("product.dlq")) == (0, 1)
