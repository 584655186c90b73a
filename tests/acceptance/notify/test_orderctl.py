"""orderctl beside a running orderd-notify: what it shows, and what it has sent again."""

import pytest

from orderd.protocol.names import NoticeQueue
from tests.acceptance.notify.conftest import StartNotifier
from tests.acceptance.notify.office import TOLD_S, Office, mail_to_admins, mail_to_users
from tests.support.grants import Roles
from tests.support.mail_server import MailServer
from tests.support.orderctl import Orderctl
from tools.waiting import wait_until


@pytest.fixture
def orderctl(roles: Roles, database_url: str, vhost_url: str) -> Orderctl:
    """Run `orderctl ARGS` on this test's database and virtual host, by the role for that."""
    urls = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    return roles.orderctl(urls, ORDERD_RETRY_DELAYS="100ms")


def wait_for_dead_letters(office: Office, count: int) -> None:
    name = f"{NoticeQueue.USER}.dlq"
    wait_until(lambda: office.shop.ready(name) == count, timeout_s=TOLD_S, what=f"{name} {count}")


def consumers(orderctl: Orderctl) -> int:
    """Return how many consumers the queue of users has."""
    rows = orderctl("status", "--json").document["queues"]["queues"]
    return next(int(row["consumers"]) for row in rows if row["queue"] == NoticeQueue.USER)


def test_the_second_daemon_is_seen(
    office: Office, notifier: StartNotifier, orderctl: Orderctl
) -> None:
    notifier()
    office.ship("event-1")
    office.wait_for("event-1/mail", "sent")

    def daemons() -> list[str]:
        return [each["program"] for each in orderctl("daemons", "--json").document["items"]]

    wait_until(lambda: daemons() == ["orderd-notify"], timeout_s=TOLD_S, what="orderctl daemons")
    status = orderctl("status", "--json").document
    rows = {row["queue"]: row for row in status["queues"]["queues"]}
    assert rows["user_notifications"]["consumers"] == 1
    assert rows["admin_notifications.dlq"]["ready"] == 0
    assert status["notifications"]["sent"] >= 1
    assert "notifications  ok      in 24 h: " in orderctl("status").out
    metrics = orderctl("metrics").out
    assert 'orderd_queue_consumers{daemon="' in metrics
    assert 'queue="user_notifications"} 1.0' in metrics
    topology = {
        row["name"]: row for row in orderctl("topology", "show", "--json").document["items"]
    }
    assert topology["user_notifications.dlq"]["state"] == "as needed"
    assert topology["notifications"]["state"] == "as needed"


def test_what_a_server_refused_is_sent_by_a_retry(
    office: Office, notifier: StartNotifier, mail: MailServer, orderctl: Orderctl
) -> None:
    mail.answers = {"RCPT": "550 no such user"}
    notifier(mail_to_users(mail), mail_to_admins(mail), retry_delays="100ms")
    office.ship("event-1")
    office.wait_for("event-1/mail", "failed")
    wait_for_dead_letters(office, 1)
    listed = orderctl("notify", "list", "--state", "failed", "--user", "1", "--json").document
    (row,) = listed["items"]
    assert row["id"] == "event-1"
    assert row["error"].startswith("550 no such user")

    mail.answers = {}
    done = orderctl("notify", "retry", "event-1")

    assert (done.code, done.out) == (
        0,
        "event-1: back in queue user_notifications\n1 notification retried\n",
    )
    office.wait_for("event-1/mail", "sent")
    again = orderctl("notify", "retry", "event-1")
    assert (again.code, again.out) == (1, "event-1: was sent\n0 notifications retried, 1 not\n")
    assert [each.recipients for each in mail.received].count(["ann@example.org"]) == 1


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_watched_replay_knows_what_became_of_notifications(
    office: Office,
    notifier: StartNotifier,
    mail: MailServer,
    orderctl: Orderctl,
    *,
    is_mended: bool,
) -> None:
    mail.answers = {"RCPT": "550 no such user"}
    notifier(mail_to_users(mail), mail_to_admins(mail), retry_delays="100ms")
    for number in range(3):
        office.ship(f"event-{number}")
    wait_for_dead_letters(office, 3)

    mail.answers = {} if is_mended else {"RCPT": "550 still unknown"}
    done = orderctl("dlq", "replay", "user_notifications", "--stop-above", "50", "--json")

    told = done.document["applied"], done.document["dead_again"]
    assert (done.code, told) == ((0, (3, 0)) if is_mended else (1, (0, 3)))


def test_equal_messages_without_an_id_are_retried_by_the_ids_they_were_given(
    office: Office,
    notifier: StartNotifier,
    mail: MailServer,
    orderctl: Orderctl,
) -> None:
    mail.answers = {"RCPT": "550 no such user"}
    notifier(mail_to_users(mail), mail_to_admins(mail), retry_delays="100ms")
    payload = {"user_id": 1, "message": "Hello.", "notification_type": "info"}
    office.publish(
        "notifications", "user.hello", {"type": "user.hello", "source": "x", "payload": payload}
    )
    wait_for_dead_letters(office, 1)

    def items() -> list[dict[str, str]]:
        listed: list[dict[str, str]] = orderctl(
            "notify", "list", "--type", "user.hello", "--json"
        ).document["items"]
        return listed

    (row,) = items()
    assert row["id"].startswith("given-")
    explained = orderctl("explain", row["id"], "--json").document
    assert explained["state"] == "dead_lettered"

    mail.answers = {}
    assert orderctl("notify", "retry", row["id"]).code == 0

    office.wait_for(f"{row['id']}/mail", "sent")
    assert [each["id"] for each in items()] == [row["id"]]


def test_a_paused_queue_of_notifications_waits(
    office: Office, notifier: StartNotifier, orderctl: Orderctl
) -> None:
    daemon = notifier()
    assert orderctl("pause", "user_notifications", "--reason", "test").code == 0
    daemon.wait_for_event("queue.paused", queue="user_notifications")
    # What is delivered until its consumer has gone is still sent.
    wait_until(lambda: consumers(orderctl) == 0, timeout_s=TOLD_S, what="no consumer")
    office.ship("event-1")

    explained = orderctl("explain", "event-1", "--json")
    assert explained.code == 3
    assert [each["queue"] for each in explained.document["queues_paused"]] == ["user_notifications"]

    assert orderctl("resume", "user_notifications").code == 0
    office.wait_for("event-1/mail", "sent")


def test_a_digest_that_was_refused_is_sent_by_a_retry(
    office: Office, notifier: StartNotifier, mail: MailServer, orderctl: Orderctl
) -> None:
    notifier(mail_to_admins(mail, digest="2s", types=["product.out_of_stock"]))
    office.sell_out("first")
    office.wait_for("first/admins", "sent")
    mail.answers = {"RCPT": "550 no such user"}
    office.sell_out("second")
    office.sell_out("third")
    office.wait_for("second/admins", "failed")
    office.wait_for("third/admins", "failed")

    mail.answers = {}
    done = orderctl("notify", "retry", "second")

    assert (done.code, done.out) == (
        0,
        "second: its digest is sent again\n1 notification retried\n",
    )
    office.wait_for("second/admins", "sent")
    office.wait_for("third/admins", "sent")
    assert len(mail.received) == 2
