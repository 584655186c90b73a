"""A web shop that may send `order.create` alone: by the commands of the documentation."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from tests.acceptance.shop import DIRECT_REPLY_TO, Shop, command
from tests.conftest import StartDaemonOn
from tests.support.grants import run_as_printed, with_login
from tests.support.pages import blocks
from tests.support.versions import Broker
from tests.support.web_tokens import AUDIENCE, ISSUER, claims, jwk, jwks, token
from tools.waiting import NotObserved, patience_s

PAGE = Path(__file__).parents[2] / "docs/how-to/least-privilege.md"
USER, PASSWORD = "web-shop", "PASSWORD"
NEW_ORDER = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
TIMEOUT_S = 20
REFUSED = 403

Try = Callable[[Any], object]
TRIED: dict[str, Try] = {
    "default exchange": lambda channel: channel.basic_publish("", "order", b"{}"),
    "another queue": lambda channel: channel.basic_publish("", "product", b"{}"),
    "another action": lambda channel: channel.basic_publish("shop", "order.update_status", b"{}"),
    "a longer key": lambda channel: channel.basic_publish("shop", "order.create.other", b"{}"),
    "another key": lambda channel: channel.basic_publish("shop", "product.create", b"{}"),
    "events": lambda channel: channel.basic_publish("orderd.events", "order.created", b"{}"),
    "another exchange": lambda channel: channel.basic_publish("amq.topic", "order.create", b"{}"),
    "declare": lambda channel: channel.queue_declare("other"),
    "delete": lambda channel: channel.exchange_delete("shop"),
    "get": lambda channel: channel.basic_get("order"),
    "dead letters": lambda channel: channel.basic_get("order.dlq"),
    "purge": lambda channel: channel.queue_purge("order"),
    "bind": lambda channel: channel.queue_bind("order", "shop", "#"),
}


@pytest.fixture
def shop(
    broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn, tmp_path: Path
) -> Iterator[Shop]:
    """A user, a product, and a daemon that accepts JWTs alone."""
    (tmp_path / "jwks.json").write_bytes(jwks(jwk("EdDSA")))
    file = tmp_path / "orderd.toml"
    file.write_text(
        f'[jwt]\nkeys = "{tmp_path}/jwks.json"\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
    )
    with closing(Shop(broker.admin_url, admin_database_url)) as shop:
        shop.open_with(stock=10)
        daemon_on(broker.url, args=["--config", str(file)])
        yield shop


@pytest.fixture
def web_shop(broker: Broker, shop: Shop) -> Iterator[Any]:
    """A connection of the web shop, which has what the page gives it."""
    (block,) = [one for one in blocks(PAGE) if "set_topic_permissions" in one.text]
    shop.channel.exchange_declare("shop", "topic", durable=True)
    shop.channel.queue_bind("order", "shop", "order.create")
    assert block.text.count("-p / ") == 2
    run_as_printed(broker.rabbit, block.text.replace("-p / ", f"-p {broker.vhost} "))
    where = pika.URLParameters(with_login(broker.url, USER, PASSWORD))
    with closing(pika.BlockingConnection(where)) as connection:
        yield connection
    broker.rabbit.ctl("delete_user", USER)


def auth(scope: str) -> str:
    now_s = int(time.time())
    return token(claims(exp=now_s + 3_600, iat=now_s, scope=scope))


def answer(connection: Any, action: str, content: object) -> Any:
    """Return the reply to a command that is sent with the key of order.create."""
    message = command("order", action, content, reply_to=DIRECT_REPLY_TO, auth=auth("order.create"))
    replies: list[bytes] = []
    channel = connection.channel()
    channel.basic_consume(DIRECT_REPLY_TO, lambda *reply: replies.append(reply[-1]), auto_ack=True)
    channel.basic_publish("shop", "order.create", message.body, message.properties, mandatory=True)
    deadline_s = time.monotonic() + patience_s(TIMEOUT_S)
    while not replies:
        if time.monotonic() > deadline_s:
            raise NotObserved("no reply")
        connection.process_data_events(0.5)
    return json.loads(replies[0])


def test_it_orders_and_is_answered(web_shop: Any, shop: Shop) -> None:
    reply = answer(web_shop, "create", NEW_ORDER)

    assert reply["status"] == "ok"
    assert shop.value("SELECT count(*) FROM orders") == 1


def test_another_action_in_the_body_is_forbidden_by_the_scope(web_shop: Any, shop: Shop) -> None:
    answer(web_shop, "create", NEW_ORDER)

    reply = answer(web_shop, "update_status", {"order_id": 1, "status": "cancelled"})

    assert reply["code"] == "forbidden"
    assert shop.value("SELECT status FROM orders") == "pending"


def test_the_broker_refuses_everything_else(web_shop: Any, shop: Shop) -> None:
    allowed = [what for what, attempt in TRIED.items() if not is_refused(web_shop, attempt)]

    assert allowed == []
    assert shop.value("SELECT count(*) FROM orders") == 0


def is_refused(connection: Any, attempt: Try) -> bool:
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        attempt(channel)
    except ChannelClosedByBroker as closed:
        return bool(closed.reply_code == REFUSED)
    return False
