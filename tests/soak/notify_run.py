"""The stage of orderd-notify: a load of notices, servers that fail, and the audit at the end."""

import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import pika

from orderd.protocol.names import NoticeQueue
from tests.acceptance.shop import PERSISTENT, Message, Shop
from tests.acceptance.test_pauses import TRIAL_DUE
from tests.soak.load import Load
from tests.soak.notices import DIGEST, HOOK, INACTIVE, OPERATORS, USERS, Notices
from tests.support.mail_server import MailServer
from tests.support.web_server import WebServer
from tools.daemon import DaemonProcess
from tools.waiting import NotObserved, wait_until

RATE: Final = 40.0
DAEMONS: Final = 2
STEPS: Final = ("1s", "2s", "3s", "4s", "5s")
WORK_TIMEOUT_S: Final = 90.0
SETTLE_TIMEOUT_S: Final = 180.0
FINAL: Final = ("sent", "skipped")
# The number of a notice, as its text has it.
_NUMBER: Final = re.compile(r"\b(?:order|message|lamp) (\d+)\b")
_DIGEST: Final = re.compile(r"<digest-([^@]+)@")
_SESSIONS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'orderd-notify' AND datname = current_database()
"""


@dataclass(slots=True)
class NotifyFigures:
    """What it has cost; `interrupted` counts what may have cut a sending from its record."""

    events: int = 0
    copies: int = 0
    notifications: int = 0
    kills: int = 0
    sessions: int = 0
    broker: int = 0
    mail: int = 0
    quarantined: int = 0
    lost: int = 0
    twice: int = 0
    other_id: int = 0
    longest_s: float = 0.0

    @property
    def interrupted(self) -> int:
        """How many sendings may have been cut off from their record, one for each."""
        # A daemon sends one at a time; a mail server that leaves may leave both without an answer.
        return self.kills + self.sessions + DAEMONS * self.mail

    def __str__(self) -> str:
        """Return a line for the end of the run."""
        return (
            f"events {self.events:,} ({self.copies:,} copies besides), notifications "
            f"{self.notifications:,}, kills {self.kills}, sessions ended {self.sessions}, "
            f"broker away {self.broker}, mail server away {self.mail}, "
            f"back after {self.longest_s:.1f} s at most, quarantined by chance and replayed "
            f"{self.quarantined}: lost {self.lost}, sent twice {self.twice}, "
            f"with another id {self.other_id}"
        )


@dataclass(slots=True)
class NotifyRun:
    """Two daemons under load; faults happen between `begin` and `finish`."""

    start: Callable[..., DaemonProcess]
    rabbitmq_url: str
    database_url: str
    seed: int
    mail: MailServer
    web: WebServer
    figures: NotifyFigures = field(default_factory=NotifyFigures)
    daemons: list[DaemonProcess] = field(default_factory=list)
    notices: Notices = field(init=False)
    load: Load = field(init=False)
    chance: random.Random = field(init=False)
    dead: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Make the users, start daemons and load, and wait for the first mails."""
        self.chance = random.Random(self.seed)
        self.notices = Notices(self.seed)
        self.load = Load(self.rabbitmq_url, self.notices, RATE)
        self._query(
            "INSERT INTO users (username, email, is_active) "
            "SELECT 'user' || i, 'user' || i || '@example.com', i <> %s "
            "FROM generate_series(1, %s) i",
            INACTIVE,
            USERS + 1,
        )
        for _ in range(DAEMONS):
            self.hire()
        self.load.start()
        self.wait_for_work()

    def hire(self, *, ready: bool = True) -> None:
        """Start one more daemon; where all queues are paused it does not become ready."""
        self.daemons.append(self.start(ready=ready))

    def wait_for_work(self, mails: int = 30) -> None:
        """Return when so many further mails have come."""
        goal = len(self.mail.received) + mails
        began_s = time.monotonic()

        def have_come() -> bool:
            self._try_paused()
            return len(self.mail.received) >= goal

        wait_until(have_come, timeout_s=WORK_TIMEOUT_S, what=f"{mails} more mails", poll_s=0.1)
        self.figures.longest_s = max(self.figures.longest_s, time.monotonic() - began_s)

    def kill_one(self) -> None:
        """Kill one of the daemons, and start another one."""
        one = self.chance.choice([each for each in self.daemons if each.is_running])
        one.kill()
        self.figures.kills += 1
        self.hire(ready=False)

    def end_sessions(self) -> None:
        """End the sessions of the daemons with PostgreSQL."""
        self.figures.sessions += int(self._query(_SESSIONS)[0][0])

    def lose_mail(self) -> None:
        """Stop the mail server for a moment."""
        self.mail.cut()
        self.figures.mail += 1
        time.sleep(self.chance.uniform(0.2, 4))
        self.mail.listen_again()

    def finish(self) -> None:
        """End the load, wait until everything is settled, stop the daemons, and audit."""
        self.load.stop()
        try:
            wait_until(self._is_settled, timeout_s=SETTLE_TIMEOUT_S, what="all told", poll_s=0.5)
        except NotObserved:
            if any(self._queued().values()):
                raise
            # Nothing is queued: what is missing now is lost, and the audit names it.
        codes = {one.stop() for one in self.daemons if one.is_running}
        faults = self._audit()
        assert not faults, "\n".join([f"seed {self.seed}", *faults[:40]])
        assert codes == {0}
        assert not any(self._queued().values())

    def _audit(self) -> list[str]:
        got = self._received()
        numbers = [int(token.removeprefix("n-")) for token in self.load.confirmed]
        due = {(number, who) for number in numbers for who in self.notices.due[number]}
        figures = self.figures
        figures.events = len(numbers)
        figures.copies = sum(self.load.confirmed.values()) - len(numbers)
        figures.notifications = len(due)
        lost, phantom = due - got.keys(), got.keys() - due
        twice = {key for key, ids in got.items() if len(ids) > 1}
        other_id = {key for key in twice if len(set(got[key])) > 1}
        # What a digest holds was sent as often as the digest.
        sendings = {(key[1], each) for key in twice for each in got[key]}
        figures.lost, figures.twice, figures.other_id = len(lost), len(sendings), len(other_id)
        faults = [f"lost: {each}" for each in sorted(lost)]
        faults += [f"phantom: {each}" for each in sorted(phantom)]
        faults += [f"twice with other ids: {key} {got[key]}" for key in sorted(other_id)]
        faults += [f"not in the end: {row}" for row in self._unfinished()]
        faults += [f"dead: {each}" for each in self.dead]
        if figures.quarantined > figures.kills:
            faults.append(f"{figures.quarantined} quarantined, {figures.kills} kills")
        if len(sendings) > figures.interrupted:
            faults.append(f"{len(sendings)} twice, {figures.interrupted} interrupted")
        return faults

    def _received(self) -> Mapping[tuple[int, str], list[str]]:
        """Return the ids under which each notice came, by its number and who has got it."""
        got: dict[tuple[int, str], list[str]] = defaultdict(list)
        digests = defaultdict(list)
        for event_id, digest_id in self._query(
            "SELECT event_id, digest_id::text FROM notifications WHERE digest_id IS NOT NULL"
        ):
            digests[digest_id].append(int(event_id.removeprefix("n-")))
        for each in self.mail.received:
            (recipient,) = each.recipients
            message_id = str(each.mail["Message-ID"])
            if digest := _DIGEST.match(message_id):
                # Its text has the first hundred only.
                collected = digests[digest[1]]
                assert str(each.mail["Subject"]).startswith(f"{len(collected)} notifications")
            else:
                collected = _NUMBER.findall(f"{each.mail['Subject']}\n{each.text}")
            for number in set(collected):
                got[int(number), recipient].append(message_id)
        for request in self.web.requests:
            (number,) = re.findall(rb'"id":"n-(\d+)"', request.body)
            got[int(number), HOOK].append(request.headers["Webhook-Id"])
        return got

    def _is_settled(self) -> bool:
        self._try_paused()
        self._take_dead_letters()
        if any(self._queued().values()):
            return False
        (known,) = self._query(
            "SELECT count(DISTINCT event_id) FROM notifications WHERE event_id LIKE 'n-%%'"
        )[0]
        return not self._unfinished() and known == len(self.load.confirmed)

    def _try_paused(self) -> None:
        """Let queues that are paused be tried at once, and not after half a minute."""
        self._query(TRIAL_DUE)

    def _unfinished(self) -> list[tuple[Any, ...]]:
        return self._query(
            "SELECT event_id, channel, recipient, state, attempts, error FROM notifications "
            "WHERE NOT state = ANY(%s)",
            list(FINAL),
        )

    def _queued(self) -> dict[str, int]:
        """Return how many messages each queue has."""
        queues = [f"{queue}.retry.{step}" for queue in NoticeQueue for step in STEPS]
        with closing(self._shop()) as shop:
            return {queue: shop.ready(queue) for queue in (*NoticeQueue, *queues)}

    def _take_dead_letters(self) -> None:
        """Replay those that random kills have hit three times, and keep the others."""
        with closing(self._shop()) as shop:
            for queue in NoticeQueue:
                for letter in shop.take_all(f"{queue}.dlq"):
                    if letter.headers["orderd-code"] != "poison":
                        self.dead.append(f"{letter.headers} {letter.body!r}")
                        continue
                    properties = pika.BasicProperties(delivery_mode=PERSISTENT)
                    shop.send_all([Message(queue, letter.body, properties)])
                    self.figures.quarantined += 1

    def _shop(self) -> Shop:
        return Shop(self.rabbitmq_url, self.database_url)

    def _query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(self._shop()) as shop:
            return shop.query(sql, *parameters)


def channels(mail: MailServer, web: WebServer) -> list[dict[str, Any]]:
    """Return the channels of the daemons."""
    by_mail = {
        "kind": "smtp",
        "url": f"smtp://127.0.0.1:{mail.port}",
        "starttls": False,
        "from": "shop@example.com",
    }
    sold_out = {"types": ["product.out_of_stock"], "digest": "2s"}
    return [
        by_mail | {"name": "users", "for": "users"},
        by_mail | {"name": "operators", "for": "admins", "to": OPERATORS},
        by_mail | {"name": "digest", "for": "admins", "to": [DIGEST]} | sold_out,
        {
            "kind": "webhook",
            "name": "hook",
            "for": "users",
            "types": ["order.*"],
            "url": f"http://127.0.0.1:{web.port}/",
        },
    ]
