"""Webhooks to real web servers: what is posted and signed, and what answers mean."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from orderd.config.notify_checks import signing_keys
from orderd.config.notify_urls import web_server
from orderd.notify.channels.webhook import WebhookChannel, retry_after_s, signed
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from tests.integration.notify.conftest import KeepAlive, MakeMessage
from tests.support.certificates import NEEDS_OPENSSL, Certificate
from tests.support.scripted_server import Conversation, ScriptedServer
from tests.support.web_server import WebServer

KEY = b"k" * 32
OTHER = b"o" * 32
Connect = Callable[..., WebhookChannel]
Trust = Callable[[Path], None]


@pytest.fixture
def connect(keep_alive: KeepAlive) -> Connect:
    """Make a channel to the server on a port."""

    def make(port: int, *keys: bytes, scheme: str = "http") -> WebhookChannel:
        server = web_server(f"{scheme}://127.0.0.1:{port}/hooks/1?key=2")
        return WebhookChannel("hook", server, keys, keep_alive)

    return make


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for seconds only."""
    monkeypatch.setattr("orderd.notify.channels.webhook.TOTAL_S", 1.5)
    monkeypatch.setattr("orderd.notify.channels.transport.SLICE_S", 0.1)


def test_the_event_is_posted_and_signed(connect: Connect, message: MakeMessage) -> None:
    event = '{"specversion":"1.0","type":"order.shipped","data":{"name":"Grüße"}}'
    with WebServer() as server:
        connect(server.port, KEY, OTHER).send(message(event=event))

    (request,) = server.requests
    assert request.target == "/hooks/1?key=2"
    assert request.body == event.encode()
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["User-Agent"].startswith("orderd/")
    assert request.headers["Webhook-Id"] == "e5d76b93-ffef-430e-9d10-6c041459a639"
    sent_at = int(request.headers["Webhook-Timestamp"])
    content = f"{request.headers['Webhook-Id']}.{sent_at}.".encode() + request.body
    expected = [
        f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"
        for key in (KEY, OTHER)
    ]
    assert request.headers["Webhook-Signature"] == " ".join(expected)


def test_a_webhook_without_a_secret_is_not_signed(connect: Connect, message: MakeMessage) -> None:
    with WebServer() as server:
        connect(server.port).send(message())

    assert "Webhook-Id" in server.requests[0].headers
    assert "Webhook-Signature" not in server.requests[0].headers


def test_the_signature_is_that_of_the_published_test_vector() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, in the tests of its libraries
    keys = signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', keys)

    assert headers == {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_an_id_of_others_injects_no_header(connect: Connect, message: MakeMessage) -> None:
    with WebServer() as server:
        connect(server.port).send(message(id="a\r\nX-Evil: 1", event='"\udc80"'))

    (request,) = server.requests
    assert "X-Evil" not in request.headers
    assert json.loads(request.body) == "\udc80"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_a_refusal_for_now_has_the_answer(
    connect: Connect, message: MakeMessage, status: int
) -> None:
    with (
        WebServer(status, body=b"too\nbusy\x1b[31m") as server,
        pytest.raises(RefusedForNow) as caught,
    ):
        connect(server.port).send(message())

    assert caught.value.answer.startswith(f"{status} ")
    assert caught.value.answer.endswith(": too busy\N{REPLACEMENT CHARACTER}[31m")
    assert caught.value.retry_after_s is None


def test_a_retry_after_is_seconds_or_a_date(connect: Connect, message: MakeMessage) -> None:
    with WebServer(429, {"Retry-After": "120"}) as server:
        with pytest.raises(RefusedForNow) as seconds:
            connect(server.port).send(message())
        at = datetime.now(UTC) + timedelta(hours=1)
        server.headers = {"Retry-After": format_datetime(at, usegmt=True)}
        with pytest.raises(RefusedForNow) as date:
            connect(server.port).send(message())

    assert seconds.value.retry_after_s == 120
    assert date.value.retry_after_s is not None
    assert 3_000 < date.value.retry_after_s <= 3_600


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0),
        ("99999999999", 86_400),
        ("9" * 400, None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 86_400),
        ("Thu, 41 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_a_retry_after_is_bounded(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, 10.0) == expected


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 451])
def test_a_refusal_for_good_has_the_beginning_of_the_answer(
    connect: Connect, message: MakeMessage, status: int
) -> None:
    with (
        WebServer(status, body="ü".encode() * 10_000_000) as server,
        pytest.raises(RefusedForGood) as caught,
    ):
        connect(server.port).send(message())

    assert caught.value.answer.startswith(f"{status} ")
    assert caught.value.answer.endswith(f": {'ü' * 199}…")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(connect: Connect, message: MakeMessage, status: int) -> None:
    with WebServer() as target:
        location = f"http://127.0.0.1:{target.port}/elsewhere"
        with (
            WebServer(status, {"Location": location}) as server,
            pytest.raises(RefusedForGood) as caught,
        ):
            connect(server.port).send(message())

    assert caught.value.answer.endswith(f"redirects are not followed ({location})")
    assert target.requests == []


def test_a_server_that_is_not_there_is_an_outage(connect: Connect, message: MakeMessage) -> None:
    with WebServer() as server:
        port = server.port

    with pytest.raises(Unreachable, match=rf"^127\.0\.0\.1:{port}: connection refused$"):
        connect(port).send(message())


@NEEDS_OPENSSL
def test_https_is_used_and_checked(
    connect: Connect,
    message: MakeMessage,
    certificate: Certificate,
    certificate_of_another: Certificate,
    trust: Trust,
) -> None:
    with WebServer(context=certificate.context()) as server:
        with pytest.raises(Unreachable, match="certificate does not verify: self-signed"):
            connect(server.port, scheme="https").send(message())
        trust(certificate.path)
        connect(server.port, scheme="https").send(message())
    trust(certificate_of_another.path)
    with (
        WebServer(context=certificate_of_another.context()) as other,
        pytest.raises(Unreachable, match="certificate does not verify: IP address mismatch"),
    ):
        connect(other.port, scheme="https").send(message())

    assert len(server.requests) == 1
    assert other.requests == []


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    "answer",
    [
        Conversation.be_silent,
        lambda one: one.dribble("HTTP/1.1 204 No Content"),
        lambda one: one.dribble("HTTP/1.1 100 Continue\r\n\r\n", 0.01),
        Conversation.reset,
        lambda one: one.say("HTTP/1.1 20"),
        lambda one: one.say("hello\r\n\r\n"),
        lambda one: one.say("HTTP/1.1 200 OK\r\n" + "X-A: b\r\n" * 5_000),
    ],
    ids=["silent", "dribbling", "continuing", "reset", "cut", "no HTTP", "flooding"],
)
def test_no_proper_answer_counts_as_a_try(
    connect: Connect, message: MakeMessage, answer: Callable[[Conversation], None]
) -> None:
    def run(conversation: Conversation) -> None:
        conversation.hear(b"\r\n\r\n")
        answer(conversation)

    with (
        ScriptedServer(run) as server,
        pytest.raises(RefusedForNow, match=r"^no answer: it may have been delivered \("),
    ):
        connect(server.port).send(message())


@pytest.mark.usefixtures("short_waits")
def test_keep_alive_work_goes_on_while_a_server_dribbles(
    connect: Connect, message: MakeMessage, keep_alive: KeepAlive
) -> None:
    with (
        ScriptedServer(lambda one: one.dribble("HTTP/1.1 204 No Content")) as server,
        pytest.raises(RefusedForNow),
    ):
        connect(server.port).send(message())

    assert keep_alive.runs >= 5


@pytest.mark.usefixtures("short_waits")
def test_an_answer_that_is_cut_is_told_as_far_as_it_came(
    connect: Connect, message: MakeMessage
) -> None:
    def run(conversation: Conversation) -> None:
        conversation.hear(b"\r\n\r\n")
        conversation.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nno such")

    with (
        ScriptedServer(run) as server,
        pytest.raises(RefusedForGood, match=r"^400 Bad Request: no such$"),
    ):
        connect(server.port).send(message())


def test_an_answer_that_comes_before_the_body_was_read_counts(
    connect: Connect, message: MakeMessage
) -> None:
    def run(conversation: Conversation) -> None:
        conversation.hear(b"\r\n\r\n")
        conversation.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    with (
        ScriptedServer(run) as server,
        pytest.raises((RefusedForGood, RefusedForNow)) as caught,
    ):
        connect(server.port).send(message(event=json.dumps("x" * 5_000_000)))

    # Where the kernel has thrown the answer away with the connection, nothing is known.
    assert str(caught.value).startswith(("413 Too Large", "no answer: it may have been"))


def test_keep_alive_work_that_stops_the_daemon_leaves_the_wait(
    connect: Connect, message: MakeMessage, keep_alive: KeepAlive
) -> None:
    class Stop(BaseException):
        pass

    keep_alive.fault = Stop()
    with ScriptedServer(Conversation.be_silent) as server, pytest.raises(Stop):
        connect(server.port).send(message())
