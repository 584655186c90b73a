import json
from contextlib import closing

import pika
import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tools.waiting import wait_until

PRODUCT = '{"name": "Käse", "price": 2.50, "stock_quantity": 7}'


@pytest.fixture
def product_queue(vhost_url: str) -> None:
    """A queue that a producer declared, and that nobody takes from."""
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        connection.channel().queue_declare("product", durable=True)


def ready(vhost_url: str) -> int:
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        frame = connection.channel().queue_declare("product", passive=True)
        count: int = frame.method.message_count
        return count


@pytest.mark.usefixtures("product_queue")
def test_what_is_published_survives_the_broker(orderctl: Orderctl, vhost_url: str) -> None:
    done = orderctl("publish", "product", "create", PRODUCT, "--version", "v2")

    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        _, properties, body = connection.channel().basic_get("product", auto_ack=True)
    request_id = done.out.strip()
    assert done.code == 0
    assert properties.delivery_mode == 2
    assert properties.message_id == request_id
    assert json.loads(body) == {
        "id": request_id,
        "action": "create",
        "version": "v2",
        "data": {"name": "Käse", "price": 2.5, "stock_quantity": 7},
    }


@pytest.mark.usefixtures("product_queue")
def test_an_id_too_long_for_a_property_is_still_the_requests_id(
    orderctl: Orderctl, vhost_url: str
) -> None:
    done = orderctl("publish", "product", "list", "--id", "ü" * 255)

    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        _, properties, body = connection.channel().basic_get("product", auto_ack=True)
    assert done.code == 0
    assert properties.message_id is None
    assert json.loads(body)["id"] == "ü" * 255


@pytest.mark.parametrize("verb", ["publish", "call"])
def test_a_queue_that_is_not_there_is_said_so(orderctl: Orderctl, verb: str) -> None:
    done = orderctl(verb, "prodcut", "create", "{}")

    assert done.code == 1
    assert "no queue prodcut; orderd's are user, product, order" in done.err
    assert done.out == ""


def test_a_reply_is_printed_with_its_decimals(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()

    done = orderctl("call", "product", "create", "-", "--id", "p1", stdin=PRODUCT)

    assert (done.code, done.err) == (0, "id p1\n")
    assert '"price":2.50' in done.out
    assert done.document["correlation_id"] == "p1"
    assert done.document["data"]["name"] == "Käse"


def test_an_error_reply_is_a_failure(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()

    done = orderctl("call", "product", "update", '{"id": 9, "price": 1}')

    assert done.code == 1
    assert done.document["code"] == "product_not_found"


@pytest.mark.usefixtures("product_queue")
def test_a_call_without_reply_can_be_repeated_safely(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    first = orderctl("call", "product", "create", PRODUCT, "--id", "p1", "--timeout", "200ms")
    daemon()
    second = orderctl("call", "product", "create", PRODUCT, "--id", "p1")
    listed = orderctl("products", "list", "--json")

    assert (first.code, first.out) == (1, "")
    assert "no reply from queue product in 0.2 s" in first.err
    assert "it may still be applied as p1" in first.err
    assert (second.code, second.document["data"]["id"]) == (0, 1)
    assert listed.document["total"] == 1


@pytest.mark.usefixtures("product_queue")
def test_a_query_that_nobody_waits_for_any_more_is_dropped(
    orderctl: Orderctl, vhost_url: str
) -> None:
    done = orderctl("products", "list", "--timeout", "0.2")

    assert done.code == 1
    wait_until(lambda: ready(vhost_url) == 0, timeout_s=5, what="the query is gone")
