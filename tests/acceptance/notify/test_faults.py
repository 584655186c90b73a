"""Whatever is killed or away: nothing is lost, and sent twice only what a kill left unrecorded."""

import signal
from collections import Counter

import pytest

from orderd.protocol.names import NoticeQueue
from tests.acceptance.notify.conftest import StartNotifier
from tests.acceptance.notify.office import (
    TOLD_S,
    Office,
    mail_to_admins,
    mail_to_users,
)
from tests.acceptance.test_pauses import TRIAL_DUE
from tests.support.mail_server import MailServer
from tools.waiting import wait_until

POINTS = [
    "received",
    "decoded",
    "notification_recorded",
    "notification_sent",
    "notification_noted",
    "before_ack",
    "after_ack",
]


def mails(mail: MailServer) -> Counter[str]:
    """Return how often each mail to ann came, by its Message-ID."""
    return Counter(
        str(each.mail["Message-ID"])
        for each in mail.received
        if each.recipients == ["ann@example.org"]
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_loses_nothing_and_repeats_only_what_was_not_recorded(
    office: Office, notifier: StartNotifier, mail: MailServer, point: str
) -> None:
    notifier().kill()
    for number in range(3):
        office.ship(f"event-{number}")
    at = f"{point}@event-1" if point not in {"before_ack", "after_ack"} else point
    first = notifier(mail_to_users(mail), ready=False, failpoint=at)
    assert first.exit_code() == -signal.SIGKILL

    notifier(mail_to_users(mail))
    for number in range(3):
        office.wait_for(f"event-{number}/mail", "sent")
    office.wait_until_done()

    counts = mails(mail)
    assert len(counts) == 3
    assert sum(counts.values()) == 3 + (point == "notification_sent")
    assert office.dead_letters() == []


def test_a_mail_server_that_is_away_pauses_its_queue_and_costs_nothing(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    with MailServer() as other:
        notify = notifier(mail_to_users(mail), mail_to_admins(other))
        mail.cut()
        for number in range(5):
            office.ship(f"event-{number}")
        paused = notify.wait_for_event("queue.paused", queue="user_notifications")
        office.sell_out("meanwhile")
        office.wait_for("meanwhile/admins", "sent")

        assert "channel mail" in paused["message"]
        assert all(state != "sent" for key, (state, _) in office.states().items() if "mail" in key)
        mail.listen_again()
        office.shop.query(TRIAL_DUE)
        notify.wait_for_event("queue.resumed", queue="user_notifications", timeout_s=TOLD_S)
        attempts = {office.wait_for(f"event-{number}/mail", "sent") for number in range(5)}

    assert attempts == {1}
    assert office.dead_letters() == []


def test_a_kill_while_the_mail_server_is_away_loses_nothing(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notify = notifier(mail_to_users(mail))
    mail.cut()
    office.ship("patient")
    notify.wait_for_event("queue.paused", queue="user_notifications")
    notify.kill()

    mail.listen_again()
    office.shop.query(TRIAL_DUE)
    notifier(mail_to_users(mail))

    office.wait_for("patient/mail", "sent")
    assert set(mails(mail).values()) == {1}


def test_a_session_that_ends_during_a_sending_repeats_it_with_the_same_id(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier(mail_to_users(mail))
    mail.on_message = lambda: office.shop.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'orderd-notify' AND datname = current_database()"
    )
    office.ship("cut")

    wait_until(lambda: sum(mails(mail).values()) >= 1, timeout_s=TOLD_S, what="a mail")
    mail.on_message = lambda: None
    office.wait_for("cut/mail", "sent")

    assert len(mails(mail)) == 1


def test_a_message_that_kills_is_quarantined(
    office: Office, notifier: StartNotifier, mail: MailServer
) -> None:
    notifier().kill()
    office.ship("poison")
    for _ in range(3):
        one = notifier(mail_to_users(mail), ready=False, failpoint="decoded@poison")
        if one.exit_code() == -signal.SIGKILL:
            continue
    notifier(mail_to_users(mail))

    dead = f"{NoticeQueue.USER}.dlq"
    wait_until(lambda: office.shop.ready(dead) == 1, timeout_s=TOLD_S, what="dead letter")
    (headers,) = office.dead_letters()
    assert headers["orderd-code"] == "poison"
