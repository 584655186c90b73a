"""The operator's own texts: in place of those of the package, and refused where they are wrong."""

import signal
from pathlib import Path
from typing import Any

import pytest

from orderd.protocol.exit_codes import ExitCode
from tests.acceptance.notify.conftest import StartNotifier
from tests.acceptance.notify.office import TOLD_S, Office, mail_to_users, shipment
from tests.acceptance.shop import EVENTS_EXCHANGE
from tests.support.mail_server import MailServer
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

FAULTY = "subject: Order {{ data.id }}\n\nYour parcel\nis on {{ data.its_way }}.\n"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """The operator's directory, empty."""
    directory = tmp_path / "templates"
    directory.mkdir()
    return directory


def reload(notify: DaemonProcess, event: str) -> dict[str, Any]:
    """Send SIGHUP, and return the line that says what came of it."""
    mark = notify.mark()
    notify.send(signal.SIGHUP)
    return notify.wait_for_event(event, after=mark)


def subject_of(mail: MailServer, number: int) -> str:
    wait_until(lambda: len(mail.received) > number, timeout_s=TOLD_S, what=f"mail {number}")
    return str(mail.received[number].mail["Subject"])


def shipped(office: Office, event_id: str) -> None:
    office.ship(event_id)
    office.wait_for(f"{event_id}/mail", "sent")


def test_own_texts_are_used_and_changed_by_a_reload(
    office: Office, notifier: StartNotifier, mail: MailServer, texts: Path
) -> None:
    (texts / "order.shipped.txt").write_text("subject: Parcel {{ data.id }} is out\nHi!\n")
    notify = notifier(mail_to_users(mail), notify__templates=texts)
    shipped(office, "own")
    (texts / "order.shipped.txt").write_text("subject: Parcel {{ data.id }} has left\nHi!\n")
    shipped(office, "unread")
    reload(notify, "config.reloaded")
    shipped(office, "changed")
    (texts / "order.shipped.txt").unlink()
    reload(notify, "config.reloaded")
    shipped(office, "default")

    assert [subject_of(mail, number) for number in range(4)] == [
        "Parcel 7 is out",
        "Parcel 7 is out",
        "Parcel 7 has left",
        "Your order 7 is on its way",
    ]


def test_a_start_with_a_faulty_text_ends_with_78_and_names_its_line(
    notifier: StartNotifier, mail: MailServer, texts: Path
) -> None:
    (texts / "order.shipped.txt").write_text(FAULTY)
    (texts / "order.shiped.txt").write_text("subject: a\n")

    notify = notifier(mail_to_users(mail), ready=False, notify__templates=texts)

    assert notify.exit_code() == ExitCode.CONFIG
    assert f"{texts}/order.shipped.txt:4: 'dict object' has no attribute 'its_way'" in notify.output
    assert "did you mean order.shipped.txt?" in notify.output


def test_a_reload_with_a_faulty_text_is_rejected_and_changes_nothing(
    office: Office, notifier: StartNotifier, mail: MailServer, texts: Path
) -> None:
    (texts / "order.shipped.txt").write_text("subject: Parcel {{ data.id }} is out\nHi!\n")
    notify = notifier(mail_to_users(mail), notify__templates=texts)
    (texts / "order.shipped.txt").write_text(FAULTY)

    rejected = reload(notify, "config.rejected")
    shipped(office, "still")

    assert "order.shipped.txt:4: " in rejected["message"]
    assert subject_of(mail, 0) == "Parcel 7 is out"


def test_an_event_that_a_text_does_not_fit_costs_this_one_alone(
    office: Office, notifier: StartNotifier, mail: MailServer, texts: Path
) -> None:
    # Only an order with items has the first one.
    text = "subject: {{ data.items[0].product_id }}\n{{ data.id }}\n"
    (texts / "order.shipped.txt").write_text(text)
    notify = notifier(mail_to_users(mail), notify__templates=texts, retry_delays="1h")

    office.publish(EVENTS_EXCHANGE, "order.shipped", shipment("odd", items=[]))
    shipped(office, "usual")
    deferred = notify.wait_for_event("command.deferred", code="unexpected")

    assert f"{texts}/order.shipped.txt:1: " in deferred["message"]
    assert subject_of(mail, 0) == "3"
