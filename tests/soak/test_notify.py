"""Daemons, broker, database and mail server fail by chance, while notifications are sent."""

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pika
import pytest

from orderd.protocol.names import NoticeQueue
from tests.acceptance.shop import PERSISTENT, Message, Shop
from tests.conftest import StartDaemonOn
from tests.soak.chaos_run import times
from tests.soak.conftest import KeepNotifyFigures
from tests.soak.notify_run import STEPS, NotifyRun, channels
from tests.support.mail_server import MailServer
from tests.support.web_server import WebServer
from tests.unit.notify.notices import EVENT
from tools.daemon import NOTIFY_PROGRAM
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

MEMORY_WARM, MEMORY_FURTHER = 1_000, 9_000
# 1,000 bytes for each would be as much.
GROWTH_MB = 9
KILLS, SESSIONS, MAIL, CUTS, RESTARTS = 16, 8, 8, 4, 2


@pytest.fixture
def run(
    daemon_on: StartDaemonOn,
    vhost_url: str,
    database_url: str,
    seed: int,
    keep_notify_figures: KeepNotifyFigures,
) -> Iterator[NotifyRun]:
    """Daemons that send by servers of this test."""
    with MailServer() as mail, WebServer() as web:
        start = partial(
            daemon_on,
            vhost_url,
            program=NOTIFY_PROGRAM,
            notify__channel=json.dumps(channels(mail, web)),
            retry_delays=",".join(STEPS),
        )
        one = NotifyRun(start, vhost_url, database_url, seed, mail, web)
        yield one
        one.load.give_up()
        keep_notify_figures(one.figures)


def test_nothing_is_lost_and_only_what_was_cut_off_from_its_record_goes_twice(
    run: NotifyRun, private_rabbit: PrivateRabbit, vhost: str
) -> None:
    def close_connections() -> None:
        private_rabbit.ctl("close_all_connections", "--vhost", vhost, "a test")
        run.figures.broker += 1

    def restart_broker() -> None:
        private_rabbit.kill()
        private_rabbit.start()
        run.figures.broker += 1

    run.begin()
    faults = (
        [run.kill_one] * times(KILLS)
        + [run.end_sessions] * times(SESSIONS)
        + [run.lose_mail] * times(MAIL)
        + [close_connections] * times(CUTS)
        + [restart_broker] * times(RESTARTS)
    )
    run.chance.shuffle(faults)

    for bring_about in faults:
        bring_about()
        run.wait_for_work(run.chance.randint(1, 60))

    run.finish()


def test_memory_does_not_grow_with_the_number_of_notifications(
    daemon_on: StartDaemonOn, vhost_url: str, database_url: str
) -> None:
    notices = [shipped(number) for number in range(MEMORY_WARM + MEMORY_FURTHER)]
    with MailServer() as mail, closing(Shop(vhost_url, database_url)) as shop:
        shop.open_with()
        users = json.dumps(channels(mail, WebServer())[:1])
        notify = daemon_on(vhost_url, program=NOTIFY_PROGRAM, notify__channel=users)

        def rss_mb_after(count: int) -> float:
            wait_until(lambda: len(mail.received) >= count, timeout_s=600, what=f"{count} mails")
            return notify.rss_mb()

        shop.send_all(notices[:MEMORY_WARM])
        before = rss_mb_after(MEMORY_WARM)
        shop.send_all(notices[MEMORY_WARM:])
        after = rss_mb_after(len(notices))

    assert after - before < GROWTH_MB, f"{before:.1f} MB, then {after:.1f} MB"


def shipped(number: int) -> Message:
    """Return the event that an order of the first user was shipped."""
    event = {**EVENT, "id": f"n-{number}", "data": {**EVENT["data"], "id": number}}
    properties = pika.BasicProperties(delivery_mode=PERSISTENT)
    return Message(NoticeQueue.USER, json.dumps(event).encode(), properties)
