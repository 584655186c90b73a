"""Events and notifications become mails: to whom they are for, once, and never to others."""

import signal
from pathlib import Path
from typing import Any

import pytest

from orderd.protocol.names import NoticeQueue
from tests.acceptance.notify.conftest import StartNotifier
from tests.acceptance.notify.office import (
    NOTIFICATIONS,
    TOLD_S,
    Office,
    mail_to_admins,
    mail_to_users,
)
from tests.acceptance.shop import Shop, command, order, product, user
from tests.conftest import StartDaemon
from tests.support.mail_server import MailServer
from tools.waiting import wait_until

PAYLOAD: dict[str, Any] = {
    "user_id": 1,
    "message": "Your password was changed.",
    "notification_type": "warning",
}
PLAIN: dict[str, Any] = {"type": "user.security", "source": "accounts", "payload": PAYLOAD}


def subjects(mail: MailServer, recipient: str) -> list[str]:
    return [str(each.mail["Subject"]) for each in mail.received if each.recipients == [recipient]]


def wait_for_mails(mail: MailServer, count: int) -> None:
    wait_until(lambda: len(mail.received) >= count, timeout_s=TOLD_S, what=f"{count} mails")


def test_what_happens_to_an_order_is_told_to_its_user(
    shop: Shop, daemon: StartDaemon, notifier: StartNotifier, mail: MailServer
) -> None:
    # The queues are there before anything happens.
    notifier()
    daemon()

    shop.send_all([user("ann"), product(stock=3), order({1: 2}, id="order")])
    shop.wait_for("order")
    for status in ("processing", "shipped", "delivered"):
        shop.send_all([command("order", "update_status", {"order_id": 1, "status": status})])
    shop.send_all([command("product", "mark_out_of_stock", {"id": 1})])
    wait_until(
        lambda: len(subjects(mail, "ann@example.com")) == 4, timeout_s=TOLD_S, what="mails to ann"
    )

    assert all("1" in subject for subject in subjects(mail, "ann@example.com"))

    def sold_out() -> list[str]:
        return [each for each in subjects(mail, "ops@example.org") if "product:3" in each]

    wait_until(sold_out, timeout_s=TOLD_S, what="mail to administrators")
    assert len(sold_out()) == 1


def test_other_services_tell_by_the_exchange(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier()

    office.publish(NOTIFICATIONS, "user.security", PLAIN)
    office.publish(NOTIFICATIONS, "admin.backup", {**PLAIN, "type": "admin.backup"})

    def texts() -> list[str]:
        return [each.text for each in mail.received if PAYLOAD["message"] in each.text]

    wait_until(lambda: len(texts()) == 2, timeout_s=TOLD_S, what="both mails")
    assert subjects(mail, "ann@example.org")


def test_a_bad_one_is_dead_lettered_with_its_field(office: Office, notifier: StartNotifier) -> None:
    notifier()

    office.publish(NOTIFICATIONS, "user.security", {**PLAIN, "payload": {**PAYLOAD, "user_id": 0}})

    wait_until(
        lambda: office.shop.ready("user_notifications.dlq") == 1, timeout_s=TOLD_S, what="letter"
    )
    (headers,) = office.dead_letters()
    assert headers["orderd-code"] == "invalid_data"
    assert headers["orderd-reason"] == "payload.user_id must be at least 1; got 0"


def test_the_same_event_twice_is_told_once(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier()

    for _ in range(3):
        office.ship("once")
    office.ship("last")
    office.wait_for("last/mail", "sent")

    assert len(subjects(mail, "ann@example.org")) == 2


def test_two_daemons_share_the_work(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier(instance_name="one")
    notifier(instance_name="two")

    for number in range(60):
        office.ship(f"event-{number % 30}")
    for number in range(30):
        assert office.wait_for(f"event-{number}/mail", "sent") == 1
    office.wait_until_done()

    assert len(subjects(mail, "ann@example.org")) == 30


def test_an_inactive_user_gets_nothing_and_the_record_says_why(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier()

    office.ship("to-bob", user_id=2)
    office.wait_for("to-bob/mail", "skipped")

    assert subjects(mail, "bob@example.org") == []
    (error,) = office.shop.query("SELECT error FROM notifications WHERE event_id = 'to-bob'")
    assert error == ("user 2 is not active",)


def test_a_refusal_for_now_is_tried_again(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    mail.answers = {"RCPT": "450 4.2.0 greylisted"}
    notify = notifier(retry_delays="1s, 2s, 4s")
    office.ship("later")
    notify.wait_for_event("command.deferred", code="transient", queue="user_notifications")
    mail.answers = {}

    assert office.wait_for("later/mail", "sent") >= 2


def test_a_refusal_for_good_is_dead_lettered_with_the_answer(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier()
    mail.answers = {"RCPT": "550 5.1.1 no such user"}

    office.ship("never")
    office.wait_for("never/mail", "failed")

    wait_until(
        lambda: office.shop.ready("user_notifications.dlq") == 1, timeout_s=TOLD_S, what="letter"
    )
    (headers,) = office.dead_letters()
    assert headers["orderd-code"] == "undeliverable"
    assert "550 5.1.1 no such user" in headers["orderd-reason"]


def test_administrators_that_cannot_be_told_are_no_reason_for_another_message(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    mail.answers = {"RCPT": "550 5.1.1 no such user"}
    notifier()

    office.sell_out("unheard")
    office.wait_for("unheard/admins", "failed")
    office.wait_until_done()

    events = {kind for (kind,) in office.shop.query("SELECT type FROM notifications")}
    assert "system.dead_lettered" not in events


def test_a_stop_leaves_the_rest_for_the_next_daemon(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    first = notifier()
    for number in range(40):
        office.ship(f"event-{number}")
    wait_for_mails(mail, 3)

    first.terminate()
    assert first.exit_code() == 0
    notifier()
    office.wait_for("event-39/mail", "sent")

    told = [each for each in mail.received if each.recipients == ["ann@example.org"]]
    assert len(told) == len({str(each.mail["Message-ID"]) for each in told}) == 40


def test_a_reload_takes_over_channels_and_refuses_wrong_ones(
    office: Office, notifier: StartNotifier, mail: MailServer, tmp_path: Path
) -> None:
    config = tmp_path / "orderd.toml"
    one, two = mail_to_users(mail), mail_to_admins(mail)
    config.write_text(toml(one, two))
    notify = notifier(config=config)
    config.write_text(toml(one, {**two, "to": ["late@example.org"]}))
    mark = notify.mark()
    notify.send(signal.SIGHUP)
    notify.wait_for_event("config.reloaded", after=mark)

    office.sell_out("reloaded")
    wait_until(lambda: subjects(mail, "late@example.org"), timeout_s=TOLD_S, what="mail")

    config.write_text(toml(one, {**two, "to": ["nowhere"]}))
    mark = notify.mark()
    notify.send(signal.SIGHUP)
    rejected = notify.wait_for_event("config.rejected", after=mark)
    assert "nowhere" in rejected["message"]


def toml(*channels: dict[str, Any]) -> str:
    tables = []
    for channel in channels:
        lines = ["[[notify.channel]]"]
        for key, value in channel.items():
            shown = str(value).lower() if isinstance(value, bool) else repr(value)
            lines.append(f"{key} = {shown}")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) + "\n"


@pytest.mark.parametrize("queue", NoticeQueue)
def test_its_queues_are_as_durable_as_those_of_commands(
    shop: Shop, notifier: StartNotifier, queue: NoticeQueue
) -> None:
    notifier()

    for name in (queue, f"{queue}.dlq", f"{queue}.retry.5s"):
        shop.channel.queue_declare(name, passive=True)
