"""A queue that cannot be consumed, for whatever reason, holds up no other one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pika

from tests.acceptance.faults.test_refusals import unidentified
from tests.acceptance.shop import Shop, user
from tests.conftest import StartDaemon, StartDaemonOn
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

LIMITED = "some_rights"


def assert_others_work(shop: Shop, name: str) -> None:
    """Return when a command of another queue is done."""
    shop.send_all([user(name)])
    done = "SELECT count(*) FROM users WHERE username = %s"
    wait_until(lambda: shop.value(done, name) == 1, timeout_s=30, what=f"user {name}")


@contextmanager
def limited(rabbit: PrivateRabbit, vhost: str, url: str, readable: str) -> Iterator[str]:
    """Give the URL for a user who may read only from what *readable* matches."""
    rabbit.ctl("add_user", LIMITED, LIMITED)
    try:
        rabbit.ctl("set_permissions", "-p", vhost, LIMITED, ".*", ".*", readable)
        host = urlsplit(url)
        yield f"amqp://{LIMITED}:{LIMITED}@{host.hostname}:{host.port}{host.path}"
    finally:
        rabbit.ctl("delete_user", LIMITED)


def test_a_queue_that_another_program_keeps_to_itself_is_consumed_once_that_has_gone(
    shop: Shop, admin_vhost_url: str, daemon: StartDaemon
) -> None:
    shop.open_with(stock=1000)
    with closing(pika.BlockingConnection(pika.URLParameters(admin_vhost_url))) as other:
        other.channel().basic_consume("order", lambda *_: None, exclusive=True)
        orderd = daemon()
        unidentified(shop, 1)

        assert_others_work(shop, "ann")
        standing_by = orderd.wait_for_event("consumer.standby")
        assert "order: another program consumes it exclusively" in standing_by["message"]
    orderd.wait_for_event("consumer.took_over", timeout_s=30)

    unidentified(shop, 1)
    wait_until(lambda: shop.value("SELECT count(*) FROM orders") == 2, timeout_s=30, what="orders")
    assert orderd.stop() == 0


def test_a_queue_that_may_not_be_read_is_failing_until_it_may(
    shop: Shop, vhost: str, vhost_url: str, private_rabbit: PrivateRabbit, daemon_on: StartDaemonOn
) -> None:
    shop.open_with(stock=1000)
    with limited(private_rabbit, vhost, vhost_url, "^(?!order$).*") as url:
        orderd = daemon_on(url)
        failing = orderd.wait_for_event("queue.failing", queue="order")
        assert "403" in failing["message"]
        unidentified(shop, 1)
        assert_others_work(shop, "ann")

        private_rabbit.ctl("set_permissions", "-p", vhost, LIMITED, ".*", ".*", ".*")

        orderd.wait_for_event("queue.recovered", queue="order", timeout_s=90)
        orders = "SELECT count(*) FROM orders"
        wait_until(lambda: shop.value(orders) == 1, timeout_s=30, what="the order")
        assert orderd.stop() == 0
