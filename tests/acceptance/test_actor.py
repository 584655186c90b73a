"""Who sent a command: in the ledger, the log and the events, whatever the command went through."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.acceptance.shop import HEARD, Message, Shop, product
from tests.conftest import StartDaemon
from tests.support.orderctl import Orderctl, orderctl_on
from tests.support.web_tokens import AUDIENCE, ISSUER, claims, jwk, jwks, private_key, token
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

LAMP = {"name": "lamp", "price": 5, "stock_quantity": 1}
HOLD = "SELECT FROM products WHERE id = 1 FOR UPDATE"
QUICK = "100ms,200ms,300ms"

Start = Callable[..., DaemonProcess]


@pytest.fixture
def start(daemon: StartDaemon, tmp_path: Path) -> Start:
    """Start a daemon that accepts JWTs, to the second."""
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks(jwk("EdDSA")))
    file = tmp_path / "orderd.toml"
    file.write_text(
        f'[jwt]\nkeys = "{keys}"\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nleeway = "0s"\n'
    )

    def start(**how: Any) -> DaemonProcess:
        return daemon(args=["--config", str(file)], **how)

    return start


@pytest.fixture
def orderctl(vhost_url: str, database_url: str) -> Orderctl:
    return orderctl_on({"ORDERD_RABBITMQ_URL": vhost_url, "ORDERD_DATABASE_URL": database_url})


@pytest.fixture
def holder(shop: Shop, admin_database_url: str) -> Iterator[Any]:
    """Another program, which holds product 1."""
    shop.open_with(stock=10)
    with closing(psycopg2.connect(admin_database_url)) as holder:
        holder.cursor().execute(HOLD)
        yield holder


def jwt(lifetime_s: float = 3_600) -> str:
    now_s = time.time()
    good = claims(exp=now_s + lifetime_s, iat=int(now_s), scope="product.*", sub="ann@shop")
    return token(good, key=private_key("EdDSA", 1), kid="k1")


def wait_for_end(lifetime_s: float, begun_s: float) -> None:
    time.sleep(max(0.0, begun_s + lifetime_s + 0.5 - time.time()))


def new_price(request_id: str, auth: str) -> Message:
    body = {"id": request_id, "action": "update", "data": {"id": 1, "price": 7}, "auth": auth}
    return replace(product(), body=json.dumps(body).encode())


def actors(shop: Shop) -> dict[str, str | None]:
    return dict(shop.query("SELECT id, actor FROM processed_requests"))


def test_the_subject_of_a_token_is_the_actor_everywhere(
    shop: Shop, start: Start, orderctl: Orderctl
) -> None:
    shop.listen()
    orderd = start(log_level="debug")

    shop.send("product", "create", LAMP, id="lamp-1", auth=jwt())
    shop.send("order", "create", {}, id="beyond", auth=jwt())
    shop.wait_for("lamp-1")

    assert actors(shop) == {"lamp-1": "ann@shop"}
    assert orderd.wait_for_event("command.applied", id="lamp-1")["actor"] == "ann@shop"
    assert orderd.wait_for_event("message.dead_lettered", id="beyond")["actor"] == "ann@shop"
    events = shop.take(HEARD, 3)
    told = {one.routing_key: one.json.get("actor") for one in events}
    assert told["product.created"] == told["system.dead_lettered"] == "ann@shop"
    assert told["system.started"] is None
    shown = orderctl("ledger", "show", "lamp-1", "--json").document
    assert shown["actor"] == "ann@shop"
    assert "ann@shop" in orderctl("ledger", "list", "--json").out
    assert "actor" in orderctl("explain", "lamp-1").out
    assert orderctl("explain", "lamp-1", "--json").document["ledger"]["actor"] == "ann@shop"


def test_without_tokens_the_user_of_rabbitmq_is_the_actor_also_after_a_retry(
    shop: Shop, daemon: StartDaemon, holder: Any, admin_vhost_url: str
) -> None:
    sender = urlsplit(admin_vhost_url).username
    orderd = daemon(retry_delays=QUICK)
    named, forged = new_price("named", ""), new_price("forged", "")
    named.properties.user_id = sender
    forged.properties.headers = {"orderd-user-id": "admin", "orderd-received": f"1.{'0' * 64}"}

    shop.send_all([named, forged])
    orderd.wait_for_event("command.deferred", id="named")
    holder.rollback()
    shop.wait_for("named", "forged")

    assert actors(shop) == {"named": sender, "forged": None}


def test_a_command_that_waits_for_its_retry_outlives_its_token(
    shop: Shop, start: Start, holder: Any
) -> None:
    orderd = start(retry_delays=QUICK)
    begun_s = time.time()
    auth = jwt(lifetime_s=3)

    shop.send_all([new_price("waiting", auth)])
    orderd.wait_for_event("command.deferred", id="waiting")
    wait_for_end(3, begun_s)
    shop.send_all([new_price("late", auth)])
    dead = orderd.wait_for_event("message.dead_lettered", id="late")
    holder.rollback()

    assert dead["message"] == "auth has expired"
    assert shop.wait_for("waiting") == {"waiting": "applied"}
    assert actors(shop) == {"waiting": "ann@shop"}
    assert shop.value("SELECT price FROM products") == 7


def test_an_operator_replays_dead_letters_after_their_tokens_have_expired(
    shop: Shop, start: Start, holder: Any, orderctl: Orderctl
) -> None:
    orderd = start(retry_delays="100ms", lock_patience="1s")
    begun_s = time.time()
    auth = jwt(lifetime_s=3)
    wrong = LAMP | {"price": -1}
    shop.send_all([new_price("given-up", auth)])
    shop.send("product", "create", wrong, id="wrong", auth=auth)
    wait_until(lambda: shop.ready("product.dlq") == 2, timeout_s=30, what="two dead letters")
    wait_for_end(3, begun_s)
    holder.rollback()

    shop.send_all([new_price("late", auth)])
    orderd.wait_for_event("message.dead_lettered", id="late")
    edited = orderctl("dlq", "edit", "wrong", EDITOR="sed -i s/-1/1/")
    replayed = orderctl("dlq", "replay", "product")

    assert (edited.code, replayed.code) == (0, 0), (edited, replayed)
    outcomes = shop.wait_for("given-up", "wrong")
    assert outcomes == {"given-up": "applied", "wrong": "applied"}
    wait_until(lambda: shop.ready("product.dlq") == 1, timeout_s=30, what="the late one again")
    (late,) = shop.take("product.dlq")
    assert json.loads(late.body)["id"] == "late"
    assert late.headers["orderd-code"] == "unauthorized"


@pytest.mark.usefixtures("holder")
def test_a_receipt_that_somebody_has_copied_lets_nothing_else_in(shop: Shop, start: Start) -> None:
    orderd = start(retry_delays="2s")
    begun_s = time.time()
    auth = jwt(lifetime_s=2)
    shop.send_all([new_price("seen", auth)])
    orderd.wait_for_event("command.deferred", id="seen")
    (seen,) = shop.take("product.retry.2s")
    wait_for_end(2, begun_s)

    copied = new_price("other", auth)
    copied.properties.headers = dict(seen.headers)
    shop.send_all([copied])

    dead = orderd.wait_for_event("message.dead_lettered", id="other")
    assert dead["message"] == "auth has expired"
