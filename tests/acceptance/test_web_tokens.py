"""The daemon accepts JWTs, and keys that change while it runs."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import Shop
from tests.conftest import StartDaemon
from tests.support.orderctl import Orderctl, orderctl_on
from tests.support.web_tokens import AUDIENCE, ISSUER, claims, jwk, jwks, private_key, token
from tools.daemon import DaemonProcess

NEW_PRODUCT = {"name": "Laptop", "price": 10, "stock_quantity": 1}
NEW_USER = {"username": "alice", "email": "alice@x.org"}

Start = Callable[..., DaemonProcess]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The file with the keys, of which there is one."""
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(jwk("EdDSA")))
    return file


@pytest.fixture
def start(daemon: StartDaemon, tmp_path: Path, keys: Path) -> Start:
    """Start a daemon that accepts JWTs alone."""
    file = tmp_path / "orderd.toml"
    file.write_text(f'[jwt]\nkeys = "{keys}"\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n')

    def start(**how: Any) -> DaemonProcess:
        return daemon(args=["--config", str(file)], **how)

    return start


def jwt(number: int = 1, kid: str = "k1", **others: Any) -> str:
    now_s = int(time.time())
    good = claims(exp=now_s + 3_600, iat=now_s, scope="product.* user.*:own") | others
    return token(good, key=private_key("EdDSA", number), kid=kid)


def reload(orderd: DaemonProcess, event: str) -> dict[str, Any]:
    mark = orderd.mark()
    orderd.send(signal.SIGHUP)
    return orderd.wait_for_event(event, after=mark)


def test_a_jwt_decides_who_may_do_what(shop: Shop, start: Start) -> None:
    orderd = start()
    started = orderd.events("daemon.started")[0]["message"]
    assert f"authorization jwt (issuer {ISSUER})" in started

    shop.send("product", "create", NEW_PRODUCT, id="good", auth=f"Bearer {jwt()}")
    shop.send("user", "create", NEW_USER, id="beyond", auth=jwt())
    shop.send("product", "create", NEW_PRODUCT, id="forged", auth=jwt(2))
    shop.send("product", "create", NEW_PRODUCT, id="late", auth=jwt(exp=1))
    shop.send("product", "create", NEW_PRODUCT, id="opaque", auth="s3cret")
    shop.send("product", "create", NEW_PRODUCT, id="none")

    assert shop.wait_for("good") == {"good": "applied"}
    reasons = {
        "beyond": ("forbidden", "auth does not allow user.create"),
        "forged": ("unauthorized", "auth has a wrong signature"),
        "late": ("unauthorized", "auth has expired"),
        "opaque": ("unauthorized", "auth is malformed: "),
        "none": ("unauthorized", "auth is missing"),
    }
    for request_id, (code, reason) in reasons.items():
        dead = orderd.wait_for_event("message.dead_lettered", id=request_id, code=code)
        assert reason in dead["message"]
    assert "eyJ" not in orderd.output


def test_a_reload_takes_new_keys_and_keeps_the_old_ones_where_there_are_none(
    shop: Shop, start: Start, keys: Path
) -> None:
    orderd = start()
    keys.write_bytes(jwks())

    rejected = reload(orderd, "config.rejected")

    assert f"jwt.keys ({keys}): has no key for EdDSA, ES256, RS256" in rejected["message"]
    shop.send("product", "create", NEW_PRODUCT, id="old", auth=jwt())
    assert shop.wait_for("old") == {"old": "applied"}

    keys.write_bytes(jwks(jwk("EdDSA", "k2", 2)))
    told = reload(orderd, "config.reloaded")
    assert told["message"] == "jwt.keys: added kid 'k2', removed kid 'k1'"
    assert reload(orderd, "config.reloaded")["message"] == "no setting has changed"
    shop.send("product", "create", NEW_PRODUCT, id="new", auth=jwt(2, "k2"))
    shop.send("product", "create", NEW_PRODUCT, id="gone", auth=jwt())

    assert shop.wait_for("old", "new") == {"old": "applied", "new": "applied"}
    dead = orderd.wait_for_event("message.dead_lettered", id="gone", code="unauthorized")
    assert "auth has an unknown key: kid 'k1'" in dead["message"]


@pytest.mark.parametrize("content", [None, b"", jwks(), jwks(jwk("HS256"))])
def test_a_start_without_a_usable_key_exits_with_78(
    start: Start, keys: Path, content: bytes | None
) -> None:
    keys.unlink()
    if content is not None:
        keys.write_bytes(content)

    orderd = start(ready=False)

    assert orderd.exit_code() == 78
    (rejected,) = orderd.events("config.rejected")
    assert "jwt.keys" in rejected["message"]


def test_a_start_that_would_lose_the_section_exits_with_78(
    start: Start, daemon: StartDaemon
) -> None:
    start().stop()

    orderd = daemon(ready=False)

    assert orderd.exit_code() == 78
    assert "would change from jwt to none" in orderd.events("config.rejected")[0]["message"]


@pytest.fixture
def orderctl(vhost_url: str, database_url: str) -> Orderctl:
    return orderctl_on({"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url})


def test_keys_and_tokens_of_orderctl_are_all_that_is_needed(
    start: Start, orderctl: Orderctl, tmp_path: Path, keys: Path
) -> None:
    keys.unlink()
    config = ("--config", str(tmp_path / "orderd.toml"))

    def issue(key: Path, kid: str, scope: str) -> str:
        asked = ("--key", str(key), "--kid", kid, "--subject", "shop", "--scope", scope)
        return orderctl("token", "issue", *config, *asked).out.strip()

    def call(auth: str, *command: str) -> tuple[int, str]:
        done = orderctl("call", *command, ORDERD_TOKEN=auth)
        return done.code, done.out + done.err

    made = orderctl("token", "keygen", "--kid", "2026", "--out", str(tmp_path))
    assert made.code == 0, made.err
    orderd = start()
    old = issue(tmp_path / "private.pem", "2026", "product.*")
    assert call(old, "product", "create", json.dumps(NEW_PRODUCT))[0] == 0
    code, answer = call(old, "user", "list")
    assert code == 1
    assert "auth does not allow user.list" in answer

    (tmp_path / "new").mkdir()
    where = ("--out", str(tmp_path / "new"), "--add-to", str(keys))
    assert orderctl("token", "keygen", "--kid", "2027", *where).code == 0
    assert reload(orderd, "config.reloaded")["message"] == "jwt.keys: added kid '2027'"
    new = issue(tmp_path / "new" / "private.pem", "2027", "user.list")
    assert call(new, "user", "list")[0] == 0
    assert call(old, "product", "list")[0] == 0
    assert old not in orderd.output
    assert new not in orderd.output
