"""Webhooks, lines in the log and digests, as the daemon sends them."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.notify.conftest import StartNotifier
from tests.acceptance.notify.office import NOTIFICATIONS, TOLD_S, Office, mail_to_admins
from tests.acceptance.test_pauses import TRIAL_DUE
from tests.support.mail_server import MailServer
from tests.support.web_server import WebServer
from tools.waiting import wait_until

OLD, NEW = (f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"o", b"n"))
OTHER = f"whsec_{base64.b64encode(b'x' * 32).decode()}"
TO_ALL = [
    {"kind": "log", "for": audience, "name": f"log-{audience}"} for audience in ("users", "admins")
]
SOLD_OUT = "product.out_of_stock"


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server that takes everything."""
    with WebServer() as server:
        yield server


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the daemon's credentials."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def hook(server: WebServer, **more: Any) -> dict[str, Any]:
    """Return a channel that posts to the server what is for users."""
    url = f"http://127.0.0.1:{server.port}/hook"
    return {"kind": "webhook", "name": "hook", "for": "users", "url": url} | more


def wait_for_requests(server: WebServer, count: int) -> None:
    wait_until(lambda: len(server.requests) >= count, timeout_s=TOLD_S, what=f"{count} requests")


def test_a_webhook_gets_the_event_signed_with_each_secret(
    office: Office, notifier: StartNotifier, web: WebServer, credentials: Path
) -> None:
    (credentials / "notify_hook").write_text(f"{NEW}\n{OLD}\n")
    notifier(hook(web))

    office.ship("signed")
    office.wait_for("signed/hook", "sent")

    (request,) = web.requests
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    event = json.loads(request.body)
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", "signed", "order.shipped")
    assert (event["subject"], event["data"]["user_id"]) == ("order/7", 1)
    assert request.is_signed_with(OLD)
    assert request.is_signed_with(NEW)
    assert not request.is_signed_with(OTHER)


def test_a_webhook_gets_notifications_of_other_services_as_events(
    office: Office, notifier: StartNotifier, web: WebServer
) -> None:
    notifier(hook(web, **{"for": "admins", "types": ["admin.*"]}))
    payload = {"message": "Backup failed.", "notification_type": "error"}

    office.publish(
        NOTIFICATIONS,
        "admin.backup",
        {"id": "b-1", "type": "admin.backup", "source": "backup", "payload": payload},
    )
    office.wait_for("b-1/hook", "sent")

    (request,) = web.requests
    event = json.loads(request.body)
    assert (event["specversion"], event["id"], event["source"]) == ("1.0", "b-1", "backup")
    assert event["data"] == payload
    assert "Webhook-Signature" not in request.headers


def test_a_webhook_that_refuses_for_now_gets_the_same_id_again(
    office: Office, notifier: StartNotifier, web: WebServer
) -> None:
    web.status, web.headers = 503, {"Retry-After": "1"}
    notifier(hook(web), retry_delays="1s, 2s, 4s")
    office.ship("later")
    wait_for_requests(web, 2)
    web.status = 204

    attempts = office.wait_for("later/hook", "sent")

    ids = [request.headers["Webhook-Id"] for request in web.requests]
    assert attempts == len(ids)
    assert len(set(ids)) == 1


ELSEWHERE = "https://elsewhere.example/"
FOR_GOOD = {
    410: "410 Gone: no such hook",
    307: f"307 Temporary Redirect: redirects are not followed ({ELSEWHERE})",
}


@pytest.mark.parametrize("status", FOR_GOOD)
def test_a_webhook_that_refuses_for_good_is_a_dead_letter_with_its_answer(
    office: Office, notifier: StartNotifier, web: WebServer, status: int
) -> None:
    web.status, web.headers, web.body = status, {"Location": ELSEWHERE}, b"no such hook\n"
    notifier(hook(web))

    office.ship("never")
    office.wait_for("never/hook", "failed")

    wait_until(
        lambda: office.shop.ready("user_notifications.dlq") == 1, timeout_s=TOLD_S, what="letter"
    )
    (letter,) = office.dead_letters()
    assert letter["orderd-code"] == "undeliverable"
    assert letter["orderd-reason"] == f"channel hook: {FOR_GOOD[status]}"


def test_a_webhook_that_is_away_pauses_its_queue_and_costs_nothing(
    office: Office, notifier: StartNotifier
) -> None:
    with WebServer() as web:
        channel = hook(web)
    notify = notifier(channel)
    for number in range(3):
        office.ship(f"event-{number}")
    paused = notify.wait_for_event("queue.paused", queue="user_notifications")
    assert f"127.0.0.1:{web.port}: connection refused" in paused["message"]

    with WebServer(port=web.port) as back:
        office.shop.query(TRIAL_DUE)
        attempts = {office.wait_for(f"event-{number}/hook", "sent") for number in range(3)}

    assert attempts == {1}
    assert len(back.requests) == 3


def test_without_channels_all_is_told_in_the_log(office: Office, notifier: StartNotifier) -> None:
    notify = notifier(config=Path("/dev/null"))

    office.ship("told")
    office.sell_out("gone")
    to_user = notify.wait_for_event("notification.sent", action="order.shipped")
    to_admins = notify.wait_for_event("notification.sent", action=SOLD_OUT)

    assert to_user["message"].startswith("Your order 7 is on its way: Dear ann, Your order 7 has")
    assert to_admins["message"].startswith("Out of stock: Lamp: Product 3, Lamp, went out of stock")


def test_a_text_of_others_stays_in_its_line_of_the_log(
    office: Office, notifier: StartNotifier
) -> None:
    notify = notifier(*TO_ALL)
    message = 'Hi\n{"event": "notification.sent", "action": "forged"}\x1b[2J\u202e'

    office.publish(
        NOTIFICATIONS,
        "admin.note",
        {
            "type": "admin.note",
            "source": "notes",
            "payload": {"message": message, "notification_type": "info"},
        },
    )
    told = notify.wait_for_event("notification.sent", action="admin.note")

    assert not notify.events("notification.sent", action="forged")
    assert told["message"].isprintable()
    assert '"action": "forged"' in told["message"]


def test_what_comes_in_numbers_is_told_as_a_digest(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    channel = mail_to_admins(mail, types=[SOLD_OUT])
    notify = notifier(channel | {"digest": "1h"})
    for number in range(12):
        office.sell_out(f"event-{number}")
    wait_until(lambda: len(office.states()) == 12, timeout_s=TOLD_S, what="all on record")
    assert Counter(office.states().values()) == {("collected", 0): 11, ("sent", 1): 1}

    # What is collected waits in the database for whichever daemon comes next.
    assert notify.stop() == 0
    notifier(channel | {"digest": "1s"})
    for number in range(12):
        office.wait_for(f"event-{number}/admins", "sent")

    first, digest = (each.mail for each in mail.received)
    assert first["Subject"] == "Out of stock: Lamp"
    assert digest["Subject"] == f"11 notifications of type {SOLD_OUT}"
    assert digest.get_content().count("Out of stock: Lamp") == 11


def test_a_kill_after_a_digest_was_sent_sends_it_again_with_its_id(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    channel = mail_to_admins(mail, types=[SOLD_OUT], digest="1s")
    dying = notifier(channel, failpoint="notification_sent:2")
    for number in range(5):
        office.sell_out(f"event-{number}")
    dying.exit_code()

    notifier(channel)
    for number in range(5):
        office.wait_for(f"event-{number}/admins", "sent")
    office.wait_until_done()

    ids = [str(each.mail["Message-ID"]) for each in mail.received]
    assert len(ids) == 3
    assert len(set(ids)) == 2
