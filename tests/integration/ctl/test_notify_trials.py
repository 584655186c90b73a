"""`orderctl notify preview` and `test`: texts, and channels on real servers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ctl.conftest import Orderctl
from tests.support.mail_server import MailServer
from tests.support.scripted_server import Conversation, ScriptedServer
from tests.unit.notify.notices import EVENT
from tools.ports import free_ports


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def channel(port: int, **more: Any) -> dict[str, str]:
    """Return the variable that sets one channel for mail."""
    one = {
        "kind": "smtp",
        "name": "mail",
        "for": "users",
        "url": f"smtp://127.0.0.1:{port}",
        "starttls": False,
        "from": "Shop <shop@example.org>",
    }
    return {"ORDERD_NOTIFY__CHANNEL": json.dumps([one | more])}


def test_without_an_event_an_example_is_previewed(orderctl: Orderctl) -> None:
    done = orderctl("notify", "preview", "order.shipped", "--json")

    assert done.code == 0, done.err
    assert done.document["subject"] == "Your order 1 is on its way"
    assert done.document["is_sample"] is True
    assert done.document["template"].endswith("/order.shipped.txt")


def test_an_event_is_previewed_by_the_operators_template(
    orderctl: Orderctl, tmp_path: Path
) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    template = own / "order.shipped.txt"
    template.write_text("subject: Order {{ data.id }}\n\nTo {{ user.full_name }}.\n")
    event = tmp_path / "event.json"
    event.write_text(json.dumps(EVENT))
    env = {"ORDERD_NOTIFY__TEMPLATES": str(own)}

    done = orderctl("notify", "preview", "order.shipped", f"@{event}", **env)
    assert (done.code, done.out) == (0, "Subject: Order 7\n\nTo Ada Lovelace.\n")
    another = orderctl("notify", "preview", "order.created", f"@{event}", **env)
    assert (another.code, "another type" in another.err) == (2, True)
    invalid = orderctl("notify", "preview", "order.shipped", '{"type":"order.shipped"}', **env)
    assert (invalid.code, "orderd-notify would not take it" in invalid.err) == (1, True)
    unknown = orderctl("notify", "preview", "order.lost", **env)
    assert (unknown.code, "have no type order.lost" in unknown.err) == (2, True)

    # Only with order 7 it fails, so it is taken.
    fault = "{% if data.id == 7 %}{{ data.parcel.number }}{% endif %}"
    template.write_text(f"subject: Order\n\nHello\n{fault}\n")
    failing = orderctl("notify", "preview", "order.shipped", f"@{event}", **env)
    assert failing.code == 1
    assert f"{template}:4: " in failing.err
    assert orderctl("notify", "preview", "order.shipped", **env).code == 0
    template.write_text("subject: Order\n\n{% if %}\n")
    faulty = orderctl("notify", "preview", "order.shipped", **env)
    assert faulty.code == 78
    assert f"{template}:3: " in faulty.err


def test_a_test_mail_arrives(orderctl: Orderctl, mail: MailServer) -> None:
    env = channel(mail.port)

    done = orderctl("notify", "test", "mail", "--to", "ada@example.org", **env)
    document = orderctl("notify", "test", "mail", "--to", "ada@example.org", "--json", **env)
    without_address = orderctl("notify", "test", "mail", **env)
    unknown = orderctl("notify", "test", "post", **env)

    assert done.code == 0, done.err
    assert "has taken the message for ada@example.org" in done.out
    assert document.document["to"] == ["ada@example.org"]
    assert [each.recipients for each in mail.received] == [["ada@example.org"]] * 2
    assert mail.received[0].mail["Subject"] == "Test of orderd-notify"
    assert (without_address.code, "--to is required" in without_address.err) == (2, True)
    assert (unknown.code, "there are: mail" in unknown.err) == (2, True)


def test_a_channel_for_administrators_has_its_own_addresses(
    orderctl: Orderctl, mail: MailServer
) -> None:
    env = channel(mail.port, **{"for": "admins", "to": ["a@example.org", "b@example.org"]})

    assert orderctl("notify", "test", "mail", **env).code == 0
    assert [each.recipients for each in mail.received] == [["a@example.org"], ["b@example.org"]]


@pytest.mark.parametrize("answer", ["550 no such user", "451 try later"])
def test_the_answer_of_a_server_that_refuses_is_told(orderctl: Orderctl, answer: str) -> None:
    with MailServer(answers={"RCPT": answer}) as server:
        env = channel(server.port)
        done = orderctl("notify", "test", "mail", "--to", "ada@example.org", **env)

    assert done.code == 1
    assert answer in done.err


def test_a_server_that_is_away_is_told(orderctl: Orderctl) -> None:
    env = channel(free_ports(1)[0])

    done = orderctl("notify", "test", "mail", "--to", "ada@example.org", **env)

    assert done.code == 69
    assert "channel mail: 127.0.0.1:" in done.err


def test_a_webhook_is_tested(orderctl: Orderctl) -> None:
    def take(peer: Conversation) -> None:
        peer.hear(b"\r\n\r\n")
        peer.say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    with ScriptedServer(take) as server:
        hook = {"kind": "webhook", "for": "admins", "url": f"http://127.0.0.1:{server.port}/x"}
        env = {"ORDERD_NOTIFY__CHANNEL": json.dumps([hook])}
        done = orderctl("notify", "test", "webhook", **env)
        to = orderctl("notify", "test", "webhook", "--to", "ada@example.org", **env)

    assert done.code == 0, done.err
    assert "has taken the message" in done.out
    assert (to.code, "sends to no address" in to.err) == (2, True)
