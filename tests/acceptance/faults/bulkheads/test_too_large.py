"""What is larger than the broker's `max_message_size` costs itself, and nothing else."""

from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.acceptance.faults.test_refusals import unidentified
from tests.acceptance.shop import Message, Shop, command
from tests.conftest import StartDaemon
from tests.integration.ctl.test_lint import set_max_message_size
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

SMALL_BYTES = 4_000
COUNT = 100
DONE = "SELECT count(*) FROM orders"


@pytest.fixture
def small(private_rabbit: PrivateRabbit, shop: Shop) -> Iterator[None]:
    """Have the broker take small messages alone, once what is too large is in its queue."""
    shop.open_with(stock=10_000, products=60)
    size = "element(2, application:get_env(rabbit, max_message_size))."
    usual_bytes = int(private_rabbit.ctl("eval", size))
    shop.send_all([Message("order", b"{" * 9_000, command("order", "create").properties)])
    shop.send_all([command("product", "list", {"limit": 50}, id="page")])
    unidentified(shop, COUNT)
    set_max_message_size(private_rabbit, SMALL_BYTES)
    yield
    set_max_message_size(private_rabbit, usual_bytes)


@pytest.mark.usefixtures("small")
def test_a_letter_goes_shortened_a_reply_is_dropped_and_all_others_are_done_once(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon(batch_max=10)

    said = orderd.wait_for_event("message.truncated", queue="order", timeout_s=60)
    orderd.wait_for_event("message.dead_lettered", queue="order", timeout_s=60)
    refused = orderd.wait_for_event("reply.refused", timeout_s=60)
    wait_until(lambda: shop.value(DONE) >= COUNT, timeout_s=60, what="all orders")
    assert orderd.stop() == 0

    (letter,) = shop.take_all("order.dlq")
    digest = sha256(b"{" * 9_000).hexdigest()
    assert letter.body == b"{" * SMALL_BYTES
    assert letter.headers["orderd-original-bytes"] == 9_000
    assert letter.headers["orderd-original-sha256"] == digest
    assert letter.headers["orderd-code"] == "malformed"
    assert "9000 bytes" in said["message"]
    assert digest in said["message"]
    assert "larger than configured max size" in refused["message"]
    assert shop.value(DONE) == COUNT
    assert (shop.ready("order"), shop.ready("product")) == (0, 0)
    assert orderd.events("broker.disconnected") == []
