"""`orderctl dlq edit`: the body is corrected, checked and sent; the original stays until then."""

import getpass
import json
import shlex
from pathlib import Path

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker, execute, value, wait_for_value

LAMP = {"name": "lamp", "price": "5.00", "stock_quantity": 1}
WRONG = {**LAMP, "price": "-5.00"}
PRODUCTS = "SELECT count(*) FROM products"
SWAP_SIGN = "sed -i s/-5.00/5.00/"


def body_of(content: object, request_id: str = "lamp-1") -> bytes:
    return json.dumps({"id": request_id, "action": "create", "data": content}).encode()


def test_a_corrected_body_is_applied(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    daemon()
    orderctl("publish", "product", "create", json.dumps(WRONG), "--id", "lamp-1")
    broker.wait_for("product.dlq", 1)

    done = orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN)

    assert (done.code, done.out, done.err) == (0, "sent to queue product\n", "")
    wait_for_value(database_url, PRODUCTS, 1)
    assert broker.ready("product.dlq") == 0


def test_the_copy_says_who_edited_it_and_keeps_the_rest(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", b"0")
    broker.bury("product", body_of(WRONG), headers={"own": 1}, priority=3, message_id="m")
    broker.bury("product", b"2")

    done = orderctl("dlq", "edit", "lamp-1", "--json", EDITOR=SWAP_SIGN, SUDO_USER="ada")

    assert done.document == {"dry_run": False, "id": "lamp-1", "queue": "product", "sent": True}
    [sent] = broker.take_all("product")
    assert json.loads(sent.body)["data"] == LAMP
    assert sent.headers == {"own": 1, "orderd-replayed": 1, "orderd-edited-by": "ada"}
    assert (sent.properties.priority, sent.properties.message_id) == (3, "m")
    broker.wait_for("product.dlq", 2)
    assert broker.take_bodies("product.dlq") == [b"0", b"2"]


def test_without_sudo_it_is_the_login_name(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))

    orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN, SUDO_USER="")

    [sent] = broker.take_all("product")
    assert sent.headers["orderd-edited-by"] == getpass.getuser()


def test_an_edited_message_that_dies_again_still_says_so(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    execute(
        database_url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22012'; END $$; CREATE TRIGGER refuse "
        "BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    daemon(retry_delays="100ms")
    orderctl("publish", "product", "create", json.dumps(WRONG), "--id", "lamp-1")
    broker.wait_for("product.dlq", 1)

    orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN, SUDO_USER="ada")
    broker.wait_for("product.dlq", 1)

    [letter] = orderctl("dlq", "show", "--json").document["items"]
    assert letter["code"] == "retries_exhausted"
    assert letter["headers"]["orderd-edited-by"] == "ada"
    assert letter["headers"]["orderd-replayed"] == 1


def test_what_the_daemon_would_not_take_changes_nothing(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))

    done = orderctl("dlq", "edit", "lamp-1", EDITOR="sed -i s/-5.00/-6.00/")

    assert (done.code, done.out) == (1, "")
    assert (
        "invalid_data: data.price must be at least 0 and less than 10^10; got '-6.00'" in done.err
    )
    broker.wait_for("product.dlq", 1)
    assert broker.take_bodies("product.dlq") == [body_of(WRONG)]
    assert broker.ready("product") == 0


@pytest.mark.parametrize(
    ("editor", "ended"),
    [
        ("true", (0, "nothing changed\n", "")),
        ("false", (1, "", "orderctl: the editor false ended with 1; nothing changed\n")),
    ],
)
def test_an_editor_that_changes_nothing_or_fails_changes_nothing(
    orderctl: Orderctl, broker: Broker, editor: str, ended: tuple[int, str, str]
) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))

    done = orderctl("dlq", "edit", "lamp-1", EDITOR=editor)

    assert (done.code, done.out, done.err) == ended
    broker.wait_for("product.dlq", 1)


def test_a_body_that_is_no_json_is_edited_as_it_is(
    orderctl: Orderctl, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    broker.bury("product", b"{oops", message_id="m-1")
    seen = tmp_path / "seen"
    good = tmp_path / "good"
    good.write_bytes(body_of(LAMP))
    script = (
        f'copy() {{ cp "$1" {shlex.quote(str(seen))}; cp {shlex.quote(str(good))} "$1"; }}; copy'
    )

    done = orderctl("dlq", "edit", "m-1", EDITOR=script)

    assert done.code == 0
    assert seen.read_bytes() == b"{oops"
    assert broker.take_bodies("product") == [body_of(LAMP)]


def test_a_dry_run_sends_nothing(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))

    done = orderctl("dlq", "edit", "lamp-1", "--dry-run", EDITOR=SWAP_SIGN)

    assert (done.code, done.out) == (0, "would be sent to queue product\n")
    broker.wait_for("product.dlq", 1)
    assert broker.ready("product") == 0


def test_an_id_with_an_outcome_is_refused_unless_forced(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    daemon()
    orderctl("call", "product", "create", json.dumps(LAMP), "--id", "lamp-1")
    broker.bury("product", body_of(WRONG))

    refused = orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN)
    forced = orderctl("dlq", "edit", "lamp-1", "--force", EDITOR=SWAP_SIGN)

    assert refused.code == 1
    assert "the ledger records it as applied; nothing changed" in refused.err
    assert forced.code == 0
    broker.wait_for("product", 0)
    assert value(database_url, PRODUCTS) == 1


def test_an_id_has_to_name_one_letter(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))
    broker.bury("product", body_of(WRONG))

    several = orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN)
    none = orderctl("dlq", "edit", "lamp-2", EDITOR=SWAP_SIGN)

    assert (several.code, none.code) == (1, 1)
    assert "orderctl dlq discard --id lamp-1 --limit 1 --yes" in several.err
    assert none.err == "orderctl: no dead letter with id lamp-2 (2 checked)\n"
    broker.wait_for("product.dlq", 2)


def test_a_kill_before_the_ack_leaves_the_original_and_the_ledger_knows_the_copy(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    broker.declare()
    broker.bury("product", body_of(WRONG))

    killed = orderctl(
        "dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN, ORDERD_FAILPOINT="dlq_replay_published"
    )
    broker.wait_for("product.dlq", 1)
    daemon()
    wait_for_value(database_url, PRODUCTS, 1)
    again = orderctl("dlq", "edit", "lamp-1", EDITOR=SWAP_SIGN)

    assert killed.code == -9
    assert "the ledger records it as applied" in again.err
    assert value(database_url, PRODUCTS) == 1


def body_with(auth: str, content: object = WRONG) -> bytes:
    found = {"id": "lamp-1", "action": "create", "auth": auth, "data": content}
    return json.dumps(found).encode()


def keeping(copy: Path, then: str) -> str:
    """Return an editor that keeps what it was given in *copy*, as editors do, and then edits."""
    return f'keep() {{ cp "$1" {shlex.quote(str(copy))}; {then} "$1"; }}; keep'


def test_an_editor_gets_a_mark_for_the_token_which_is_sent_as_it_was(
    orderctl: Orderctl, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    secret = 'Bearer s3"cr\\et ä'
    broker.bury("product", body_with(secret))

    done = orderctl("dlq", "edit", "lamp-1", EDITOR=keeping(tmp_path / "seen", SWAP_SIGN))

    assert done.code == 0
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["auth"].startswith("Bearer <token sha256=")
    [sent] = broker.take_bodies("product")
    assert json.loads(sent) == json.loads(body_with(secret, LAMP))


def test_a_body_that_is_no_json_keeps_its_token_to_the_byte(
    orderctl: Orderctl, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    body = b'{"action":"create","auth":"s3cr\xc3\xa9t","data":' + json.dumps(LAMP).encode() + b"]"
    broker.bury("product", body, message_id="lamp-1")

    editor = keeping(tmp_path / "seen", "sed -i 's/]$/}/'")
    done = orderctl("dlq", "edit", "lamp-1", EDITOR=editor)

    assert done.code == 0
    assert b"s3cr" not in (tmp_path / "seen").read_bytes()
    assert broker.take_bodies("product") == [body[:-1] + b"}"]


def test_a_token_can_be_replaced_and_a_changed_mark_is_refused(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    broker.bury("product", body_with("s3cret", LAMP))

    refused = orderctl("dlq", "edit", "lamp-1", EDITOR="sed -i s/sha256=.../sha256=000/")
    done = orderctl("dlq", "edit", "lamp-1", EDITOR="sed -i 's/<token [^>]*>/another/'")

    assert refused.code == 1
    assert "stands for no token: leave a mark as it was, or replace all of it" in refused.err
    assert done.code == 0
    assert json.loads(broker.take_bodies("product")[0])["auth"] == "another"
