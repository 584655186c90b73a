"""Mails through real servers: what arrives, over which connection, and what refusals mean."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orderd.config.notify_urls import mail_server
from orderd.notify.channels.mail import sender_of
from orderd.notify.channels.smtp import SmtpChannel
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from tests.integration.notify.conftest import KeepAlive, MakeMessage
from tests.support.certificates import NEEDS_OPENSSL, Certificate
from tests.support.mail_server import MailServer
from tools.waiting import wait_until

Trust = Callable[[Path], None]
Connect = Callable[..., SmtpChannel]
# The servers of tests take passwords in clear.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def connect(keep_alive: KeepAlive) -> Iterator[Connect]:
    """Make a channel to the server on a port."""
    made: list[SmtpChannel] = []

    def make(
        port: int,
        *,
        scheme: str = "smtp",
        login: str = "",
        sender: str = "Shop <shop@example.com>",
        needs_starttls: bool = False,
    ) -> SmtpChannel:
        server = mail_server(f"{scheme}://{login}127.0.0.1:{port}")
        one = SmtpChannel(
            "mail", server, sender_of(sender), keep_alive, needs_starttls=needs_starttls
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_a_mail_arrives_with_its_headers(connect: Connect, message: MakeMessage) -> None:
    with MailServer() as server:
        connect(server.port).send(message())

    (got,) = server.received
    assert (got.sender, got.recipients) == ("shop@example.com", ["ada@example.com"])
    assert got.mail["From"] == "Shop <shop@example.com>"
    assert got.mail["To"] == "ada@example.com"
    assert got.mail["Subject"] == "Your order 1 is on its way"
    assert got.mail["Message-ID"] == "<e5d76b93-ffef-430e-9d10-6c041459a639@example.com>"
    assert got.mail["Auto-Submitted"] == "auto-generated"
    assert got.mail["Date"].datetime.tzinfo is not None
    assert got.text == "Dear Ada,\n\nit is on its way.\n"
    assert not got.is_tls
    assert got.host_name


def test_further_mails_go_over_the_same_connection(connect: Connect, message: MakeMessage) -> None:
    with MailServer() as server:
        channel = connect(server.port)
        for number in range(3):
            channel.send(message(id=f"m{number}"))

    assert [got.mail["Message-ID"] for got in server.received] == [
        f"<m{number}@example.com>" for number in range(3)
    ]
    assert server.connections == 1


def test_a_connection_that_was_let_go_is_opened_again(
    connect: Connect, message: MakeMessage
) -> None:
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(message())
        channel.close()
        channel.send(message())

    assert len(server.received) == 2
    assert server.connections == 2


def test_an_idle_connection_is_not_used_again(
    connect: Connect, message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderd.notify.channels.smtp.IDLE_S", 0.0)
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(message())
        channel.send(message())

    assert server.connections == 2


def test_a_connection_is_let_go_once_it_is_idle(
    connect: Connect, message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(message())
        channel.rest()
        channel.send(message())
        assert (server.connections, server.quits) == (1, 0)

        monkeypatch.setattr("orderd.notify.channels.smtp.IDLE_S", 0.0)
        channel.rest()
        wait_until(lambda: server.quits == 1, timeout_s=20, what="QUIT")
        channel.rest()


def test_a_stale_connection_costs_nothing(connect: Connect, message: MakeMessage) -> None:
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(message())
        port = server.port
        server.cut()
        with MailServer(port=port) as successor:
            channel.send(message(id="second"))

    assert [got.mail["Message-ID"] for got in successor.received] == ["<second@example.com>"]


def test_a_server_that_is_gone_is_unreachable_and_comes_back(
    connect: Connect, message: MakeMessage
) -> None:
    with MailServer() as server:
        port = server.port
        channel = connect(port)
        channel.send(message())
        server.cut()
        with pytest.raises(Unreachable, match=rf"^127\.0\.0\.1:{port}: connection refused$"):
            channel.send(message())
        with MailServer(port=port) as successor:
            channel.send(message())

    assert len(successor.received) == 1


@NEEDS_OPENSSL
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mails_and_passwords_go_over_tls(
    connect: Connect, message: MakeMessage, certificate: Certificate, trust: Trust, scheme: str
) -> None:
    trust(certificate.path)
    is_starttls = scheme == "smtp"
    with MailServer(certificate.context(), starttls=is_starttls, login=("shop", "pä ss")) as server:
        channel = connect(
            server.port, scheme=scheme, login="shop:p%C3%A4%20ss@", needs_starttls=True
        )
        channel.send(message())
        channel.send(message())

    assert [(got.is_tls or not is_starttls, got.login) for got in server.received] == [
        (True, "shop"),
        (True, "shop"),
    ]
    assert server.connections == 1


@pytest.mark.parametrize("excluded", ["PLAIN", "LOGIN"])
def test_a_login_uses_what_the_server_offers(
    connect: Connect, message: MakeMessage, excluded: str
) -> None:
    options = {"auth_exclude_mechanism": [excluded]}
    with MailServer(login=("shop", "hunter2"), options=options) as server:
        connect(server.port, login="shop:hunter2@").send(message())

    assert [got.login for got in server.received] == ["shop"]


def test_a_login_that_is_refused_is_an_outage_that_tells_no_password(
    connect: Connect, message: MakeMessage
) -> None:
    with MailServer(login=("shop", "right")) as server:
        channel = connect(server.port, login="shop:hunter2@")
        with pytest.raises(Unreachable, match=r"535 .*\(answer to AUTH\)") as caught:
            channel.send(message())

    assert "hunter2" not in repr(caught.value)
    assert server.received == []


def test_a_server_that_offers_no_login_is_an_outage(connect: Connect, message: MakeMessage) -> None:
    with MailServer() as server:
        channel = connect(server.port, login="shop:hunter2@")
        with pytest.raises(Unreachable, match="offers neither AUTH PLAIN nor AUTH LOGIN"):
            channel.send(message())


def test_a_login_that_is_missing_is_an_outage(connect: Connect, message: MakeMessage) -> None:
    with (
        MailServer(login=("shop", "right")) as server,
        pytest.raises(Unreachable, match=r"530 .*\(answer to MAIL FROM\)"),
    ):
        connect(server.port).send(message())


def test_a_server_without_starttls_gets_nothing(connect: Connect, message: MakeMessage) -> None:
    with MailServer() as server:
        channel = connect(server.port, login="shop:hunter2@", needs_starttls=True)
        with pytest.raises(Unreachable, match="does not offer STARTTLS"):
            channel.send(message())

    assert server.received == []


@NEEDS_OPENSSL
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_of_another_host_is_an_outage(
    connect: Connect,
    message: MakeMessage,
    certificate_of_another: Certificate,
    trust: Trust,
    scheme: str,
) -> None:
    trust(certificate_of_another.path)
    with MailServer(certificate_of_another.context(), starttls=scheme == "smtp") as server:
        channel = connect(server.port, scheme=scheme, needs_starttls=True)
        with pytest.raises(Unreachable, match=r"certificate does not verify: IP address mismatch"):
            channel.send(message())

    assert server.received == []


@NEEDS_OPENSSL
def test_a_certificate_of_an_unknown_authority_is_an_outage(
    connect: Connect, message: MakeMessage, certificate: Certificate
) -> None:
    with (
        MailServer(certificate.context()) as server,
        pytest.raises(Unreachable, match="certificate does not verify: self-signed"),
    ):
        connect(server.port, scheme="smtps").send(message())


def test_a_server_without_tls_is_an_outage_where_the_url_says_tls(
    connect: Connect, message: MakeMessage
) -> None:
    with (
        MailServer() as server,
        pytest.raises(Unreachable, match="TLS fails: WRONG_VERSION_NUMBER"),
    ):
        connect(server.port, scheme="smtps").send(message())


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_refusal_for_now_has_the_servers_answer(
    connect: Connect, message: MakeMessage, step: str
) -> None:
    answers = {step: "451 4.7.1 try again later"}
    with MailServer(answers=answers) as server:
        channel = connect(server.port)
        with pytest.raises(RefusedForNow) as caught:
            channel.send(message())
        server.answers = {}
        channel.send(message())

    step = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", "DATA": "the message"}[step]
    assert caught.value.answer == f"451 4.7.1 try again later (answer to {step})"
    assert caught.value.retry_after_s is None
    assert len(server.received) == 1
    assert server.connections == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_refusal_for_good_has_the_servers_answer(
    connect: Connect, message: MakeMessage, step: str
) -> None:
    answers = {step: "550 5.1.1 no such user"}
    with MailServer(answers=answers) as server:
        channel = connect(server.port)
        with pytest.raises(RefusedForGood, match=r"^550 5\.1\.1 no such user \(answer to "):
            channel.send(message())
        server.answers = {}
        channel.send(message())

    assert len(server.received) == 1
    assert server.connections == 1


def test_a_server_that_closes_with_421_is_left(connect: Connect, message: MakeMessage) -> None:
    with MailServer(answers={"RCPT": "421 4.3.2 shutting down"}) as server:
        channel = connect(server.port)
        with pytest.raises(RefusedForNow, match=r"^421 4\.3\.2 shutting down"):
            channel.send(message())
        server.answers = {}
        channel.send(message())

    assert server.connections == 2


def test_a_mail_that_is_too_large_for_the_server_is_not_sent(
    connect: Connect, message: MakeMessage
) -> None:
    with (
        MailServer(options={"data_size_limit": 1_000}) as server,
        pytest.raises(RefusedForGood, match=r"127\.0\.0\.1 takes 1000 bytes at most"),
    ):
        connect(server.port).send(message(text="x" * 1_000))

    assert server.received == []


def test_what_is_no_address_is_refused_without_asking_the_server(
    connect: Connect, message: MakeMessage
) -> None:
    with MailServer() as server:
        channel = connect(server.port)
        for address in (
            "",
            "ada",
            "ada@example.com\r\nRCPT TO:<b@c.d>",
            "a b@c.d",
            "a@-.x",
            "a@ü" * 9,
        ):
            with pytest.raises(RefusedForGood):
                channel.send(message(address=address))

    assert server.connections == 0


def test_an_international_domain_goes_to_any_server(connect: Connect, message: MakeMessage) -> None:
    with MailServer(options={"enable_SMTPUTF8": False}) as server:
        connect(server.port, sender="Bücher <shop@bücher.example>").send(
            message(address="ada@straße.example")
        )

    (got,) = server.received
    assert got.sender == "shop@xn--bcher-kva.example"
    assert got.recipients == ["ada@xn--strae-oqa.example"]
    assert got.content.isascii()
    assert got.mail["From"] == "Bücher <shop@xn--bcher-kva.example>"
    assert got.mail["Message-ID"].endswith("@xn--bcher-kva.example>")


def test_an_international_address_needs_a_server_that_takes_it(
    connect: Connect, message: MakeMessage
) -> None:
    theirs = message(address="jürgen@straße.example", subject="Grüße", text="Größe\n")
    with (
        MailServer(options={"enable_SMTPUTF8": False}) as server,
        pytest.raises(RefusedForGood, match="does not take international addresses"),
    ):
        connect(server.port).send(theirs)
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(theirs)
        channel.send(message())

    international, plain = server.received
    assert international.recipients == ["jürgen@xn--strae-oqa.example"]
    assert "SMTPUTF8" in international.options
    assert international.mail["To"] == "jürgen@xn--strae-oqa.example"
    assert international.mail["Subject"] == "Grüße"
    assert international.text == "Größe\n"
    assert "SMTPUTF8" not in plain.options


@pytest.mark.parametrize(
    "text",
    [
        "Größe 42 €, 日本",
        ".\n..\n.end\n.",
        "x" * 3_000,
        "From me\n\n\nend",
        "a\r\nb\rc\x00d\u202ee",
    ],
)
def test_every_text_arrives_as_it_was(connect: Connect, message: MakeMessage, text: str) -> None:
    with MailServer() as server:
        connect(server.port).send(message(text=text))

    (got,) = server.received
    shown = text.replace("\r\n", "\n").replace("\r", "\n")
    assert got.text == shown.replace("\x00", "\ufffd").replace("\u202e", "\ufffd") + "\n"
    assert got.content.isascii()
    assert max(map(len, got.content.splitlines())) <= 998


def test_keep_alive_work_that_stops_the_daemon_leaves_no_half_open_dialogue(
    connect: Connect, message: MakeMessage, keep_alive: KeepAlive, monkeypatch: Any
) -> None:
    class Stop(BaseException):
        pass

    monkeypatch.setattr("orderd.notify.channels.transport.SLICE_S", 0.0)
    with MailServer() as server:
        channel = connect(server.port)
        channel.send(message())
        keep_alive.fault = Stop()
        with pytest.raises(Stop):
            channel.send(message())
        keep_alive.fault = None
        with closing(channel):
            channel.send(message())

    assert len(server.received) == 2
    assert server.connections == 2
