"""Tokens appear in nothing that orderd logs and orderctl prints, whatever becomes of a command."""

import base64
import json
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pika
import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Open, Orderctl
from tests.integration.ctl.letters import Broker, execute
from tests.support.web_tokens import AUDIENCE, ISSUER, claims, jwk, jwks, private_key, token
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

LAMP = {"name": "lamp", "price": "5.00", "stock_quantity": 1}
OPAQUE = {"shop": "opaque-1c9d", "reader": "opaque-77ab"}
ALLOWED = {"shop": ["*"], "reader": ["product.list"]}
# With a name like that, the trigger of the test refuses a product in words that repeat it.
TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.name LIKE 'ey%' THEN
            RAISE EXCEPTION 'odd: %', NEW.name USING ERRCODE = '22012';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION refuse()
"""


class Sent:
    """Messages, each with a token of its own; `secrets` are what nobody may see again."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.secrets = list(OPAQUE.values())

    def jwt(self, number: int = 1, **others: Any) -> str:
        """Return another token, signed by the key *number*."""
        now_s = int(time.time())
        good = claims(exp=now_s + 600, iat=now_s, scope="*", jti=str(len(self.secrets)))
        made = token(good | others, key=private_key("EdDSA", number))
        _, payload, signature = made.split(".")
        # The second part as it may stand in a text that was cut.
        self.secrets += [payload[10:40], signature]
        return made

    def opaque(self) -> str:
        """Return another text that may be somebody's token."""
        made = f"opaque-{len(self.secrets):04d}"
        self.secrets.append(made)
        return made

    def send(self, body: object, queue: str = "product", **told: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._broker.channel.basic_publish("", queue, raw, pika.BasicProperties(**told))

    def command(self, auth: object, name: str, data: object, **more: Any) -> None:
        queue, _, action = name.partition(".")
        self.send({"auth": auth, "action": action, "data": data, **more}, queue)


@pytest.fixture
def sent(broker: Broker) -> Sent:
    broker.declare()
    return Sent(broker)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """The settings of a daemon that takes JWTs and other tokens."""
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks(jwk("EdDSA")))
    tokens = {
        name: {"sha256": sha256(secret.encode()).hexdigest(), "allow": ALLOWED[name]}
        for name, secret in OPAQUE.items()
    }
    jwt = {"jwt__keys": str(keys), "jwt__issuer": ISSUER, "jwt__audience": AUDIENCE}
    return {"tokens": json.dumps(tokens), **jwt}


def send_settled(sent: Sent) -> None:
    """Send commands that are applied, answered and refused, this one last."""
    sent.command(f"Bearer {sent.jwt()}", "product.create", LAMP, id="applied-jwt")
    sent.command(OPAQUE["shop"], "product.create", LAMP, id="applied-token")
    # A token where a value belongs, in a row and in the answer that the ledger keeps.
    sent.command(sent.jwt(), "user.create", {"username": sent.jwt()[:150], "email": "a@x.org"})
    sent.command(sent.jwt(), "product.list", {})
    sent.command(sent.jwt(), "product.health_check", {})
    sent.command(sent.jwt(), "product.update", {"id": 99, "price": 1}, id="refused")


def send_dead(sent: Sent) -> int:
    """Send what becomes a dead letter for every reason there is; return how many."""
    jwt, opaque = sent.jwt, sent.opaque
    sent.command(jwt(exp=1), "product.list", {}, id="expired")
    sent.command(jwt(2), "product.list", {}, id="forged")
    sent.command(jwt(aud="billing"), "product.list", {}, id="elsewhere")
    sent.command(jwt(scope="order.list"), "product.create", LAMP, id="forbidden")
    sent.command(OPAQUE["reader"], "product.create", LAMP, id="forbidden-token")
    sent.command(opaque(), "product.list", {}, id="unknown-token")
    sent.command([opaque()], "product.list", {}, id="list")
    sent.command(jwt(), f"product.{jwt()}", {}, id="as-action")
    sent.command(jwt(), "product.create", LAMP, id="as-version", version=jwt())
    sent.command(jwt(), "product.create", {**LAMP, "price": jwt()}, id="as-value")
    sent.command(jwt(), "product.create", {**LAMP, "auth": opaque()}, id="in-data")
    sent.command(jwt(), "product.create", {**LAMP, jwt(): 1}, id="as-name")
    sent.command(jwt(), "product.create", {**LAMP, "name": jwt()[:190]}, id="unexpected")
    names = ("auht", "Auth", "authorization", "token", "access_token")
    for name in names:
        sent.send({"action": "list", name: opaque(), "id": name})
    others = [
        f'{{"action":"list","auth":"{opaque()}",}}'.encode(),
        f'{{"action":"list","auth":"{jwt()}'.encode(),
        f'{{"{jwt()}":1,"action":"list","auth":"{opaque()}","auth":"x"}}'.encode(),
        f"action=list&auth={opaque()}".encode(),
        json.dumps(jwt()).encode(),
        json.dumps([f"Bearer {opaque()}"]).encode(),
        json.dumps({"action": "list", "auth": opaque()}).encode("utf-16"),
        json.dumps({"action": "list", "auth": jwt()}).encode("utf-16"),
        f'{{"action":"list","auth":"{opaque()}","note":"\xe4"}}'.encode("latin-1"),
        b'{"auth":"%s","pad":"%s"}' % (opaque().encode(), b"x" * 70_000),
    ]
    for number, body in enumerate(others):
        headers = {"authorization": f"Bearer {opaque()}", "x-note": jwt()}
        sent.send(body, headers=headers, message_id=f"raw-{number}", correlation_id=jwt()[:250])
    return 13 + len(names) + len(others)


def looks() -> Iterator[tuple[str, ...]]:
    """Yield every command of orderctl that tells of messages, requests or settings."""
    for verb in ("list", "show", "groups"):
        yield "dlq", verb
    for request_id in ("applied-jwt", "refused"):
        yield "ledger", "show", request_id
    for request_id in ("applied-jwt", "refused", "expired", "as-name", "unexpected", "raw-1"):
        yield "explain", request_id
    yield from (("ledger", "list"), ("outbox", "list"), ("notify", "list"), ("daemons",))
    yield from (("config", "show"), ("config", "check"), ("status",), ("topology", "show"))
    yield from (("users", "list"), ("products", "list"), ("metrics",))
    for request_id in ("expired", "raw-0", "raw-3"):
        yield "dlq", "edit", request_id
    yield "dlq", "replay", "--dry-run"
    yield "dlq", "discard", "--dry-run"


def everything_in(text: str) -> str:
    """Return *text* with what its members `base64` stand for."""
    found = re.findall(r'"base64": ?"([^"]*)"', text)
    decoded = (base64.b64decode(each).replace(b"\0", b"").decode("latin-1") for each in found)
    return "\n".join((text, *decoded))


@pytest.fixture
def orderd(daemon: StartDaemon, settings: dict[str, str], database_url: str) -> DaemonProcess:
    """A daemon that logs all that it can."""
    execute(database_url, TRIGGER)
    more = {"log_level": "debug", "retry_delays": "100ms", "body_bytes_max": "65536"}
    given: dict[str, Any] = {**settings, **more}
    return daemon(**given)


def test_no_output_has_a_token_in_it(
    sent: Sent, broker: Broker, orderd: DaemonProcess, orderctl: Orderctl, settings: dict[str, str]
) -> None:
    send_settled(sent)
    orderd.wait_for_event("command.refused", id="refused")
    count = send_dead(sent)
    wait_for_dead(broker, count)
    env = {f"ORDERD_{name.upper()}": each for name, each in settings.items()}
    env |= {"ORDERD_TOKEN": OPAQUE["shop"], "EDITOR": "cat"}

    printed = {}
    for command in looks():
        for form in ((), ("--json",)):
            done = orderctl(*command, *form, **env)
            printed[" ".join((*command, *form))] = done.out + done.err
    for form in ((), ("--json",)):
        done = orderctl("call", "product", "create", '{"name":""}', *form, **env)
        printed[f"call {form}"] = done.out + done.err
        wrong = env | {"ORDERD_TOKEN": sent.opaque()}
        done = orderctl("call", "product", "list", *form, **wrong)
        printed[f"call as somebody else {form}"] = done.out + done.err
        assert "auth is not a known token" in done.err + done.out

    orderd.stop()
    printed["log"] = orderd.output

    leaks = {
        (command, secret)
        for command, text in printed.items()
        for secret in sent.secrets
        if secret in everything_in(text)
    }
    assert leaks == set()
    assert all(printed.values()), [command for command, text in printed.items() if not text]
    shown = printed["dlq show"]
    assert shown.count('"failed_at"') >= count
    assert f"<token sha256={sha256(OPAQUE['reader'].encode()).hexdigest()[:8]}>" in shown
    assert "<JWT kid=k1 sub=shop sha256=" in shown


def wait_for_dead(broker: Broker, count: int) -> None:
    queues = ("product.dlq", "order.dlq", "user.dlq")
    wait_until(lambda: sum(map(broker.ready, queues)) == count, timeout_s=20, what="dead letters")


def test_an_export_keeps_what_it_exports(
    sent: Sent, broker: Broker, orderctl: Orderctl, tmp_path: Path
) -> None:
    secret = sent.opaque()
    body = json.dumps({"id": "a", "auth": secret}).encode()
    broker.bury("product", body)
    file = tmp_path / "letters"

    orderctl("dlq", "export", "--output", str(file))
    piped = orderctl("dlq", "export")

    assert file.read_text() == piped.out
    assert json.loads(piped.out)["body"] == body.decode()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_terminal_shows_an_export_masked_and_it_cannot_be_imported(
    sent: Sent, broker: Broker, orderctl: Orderctl, open_terminal: Open, tmp_path: Path
) -> None:
    secret = sent.opaque()
    headers = {"authorization": secret}
    broker.bury("product", json.dumps({"id": "a", "auth": secret}).encode(), headers=headers)
    window = open_terminal(200)

    shown = window.run("orderctl dlq export 2>notes")

    assert secret not in "".join(shown)
    assert base64.b64encode(secret.encode()).decode()[2:-4] not in "".join(shown)
    file = tmp_path / "copied"
    file.write_text("".join(window.screen("-J")[1:-2]))
    assert json.loads(file.read_text())["masked"] is True
    done = orderctl("dlq", "import", str(file))
    assert done.code == 1
    assert "line 1: has its tokens masked; export to a file or a pipe" in done.err
