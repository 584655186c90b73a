"""One fault's stage: load on the queues, daemons at work, and the audit when the fault is over."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2

from tests.acceptance.shop import COMMAND_QUEUES, Message, Shop
from tests.soak.audit import Pardon, audit
from tests.soak.evidence import Evidence, gather
from tests.soak.figures import Figures
from tests.soak.load import Load
from tests.soak.workload import HOT, HOT_STOCK, SCARCE, SCARCE_STOCK, USERS, Kind, Request, Workload
from tools.daemon import DaemonProcess
from tools.waiting import NotObserved, wait_until

# How much longer, or shorter, than usual: ORDERD_SOAK_FACTOR=10 is for a night.
FACTOR = float(os.environ.get("ORDERD_SOAK_FACTOR", "1"))
RATE = 150.0
BACK_WITHIN_S = 5.0
WORK_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 120.0
# An attempt that is spent stays where the audit finds it.
RETRY_DELAYS = "1h"
NO_PARDON = Pardon()
CHANGES = ("intake.paused", "intake.resumed")


def times(count: int) -> int:
    """Return how often to do what is done *count* times by default."""
    return max(1, round(count * FACTOR))


class ChaosRun:
    """A shop of its own with its load, its daemons and its figures.

    Whatever fault is made happens between `begin` and `finish`.
    """

    def __init__(
        self,
        start_daemon: Callable[..., DaemonProcess],
        rabbitmq_url: str,
        database_url: str,
        seed: int,
    ) -> None:
        self.rabbitmq_url = rabbitmq_url
        self.database_url = database_url
        self.seed = seed
        self.daemons: list[DaemonProcess] = []
        self._buried: list[DaemonProcess] = []
        self._start_daemon = start_daemon
        self._settings: dict[str, Any] = {}
        self._load: Load | None = None
        self.figures = Figures("")

    @property
    def load(self) -> Load:
        assert self._load is not None, "the chaos run has not begun"
        return self._load

    def begin(self, fault: str, *, daemons: int = 1, rate: float = RATE, **settings: Any) -> None:
        """Open the shop, start the daemons and the load, and wait for the first work done."""
        self.figures.fault = fault
        defaults = {"outbox_grace": 1, "retry_delays": RETRY_DELAYS, "batch_max": 50}
        self._settings = defaults | settings
        with closing(self.shop()) as shop:
            shop.listen()
            shop.open_with(users=USERS, stock=HOT_STOCK, products=len(HOT))
            shop.open_with(users=0, stock=SCARCE_STOCK, products=len(SCARCE))
        self._load = Load(self.rabbitmq_url, Workload(self.seed, "r"), rate)
        self.load.start()
        for _ in range(daemons):
            self.hire()
        if daemons:
            self.wait_for_work()

    def hire(self, *, ready: bool = True, **settings: Any) -> DaemonProcess:
        """Start one more daemon."""
        one = self._start_daemon(ready=ready, **self._settings | settings)
        self.daemons.append(one)
        return one

    def replace_the_dead(self) -> None:
        """Start a daemon for each that has died since the last time, as service managers do."""
        dead = [one for one in self.daemons if not one.is_running and one not in self._buried]
        for one in dead:
            self._buried.append(one)
            self.figures.kills += 1
            self.hire(ready=False)

    def shop(self) -> Shop:
        """Return a new look at the servers; to be closed."""
        return Shop(self.rabbitmq_url, self.database_url)

    def send(self, request: Request) -> None:
        """Send a request of the test's own, which the audit then knows as well."""
        self.load.requests[request.token] = request
        with closing(self.shop()) as shop:
            shop.send_all([request.message])
        self.load.confirmed[request.token] += 1

    def send_raw(self, messages: Sequence[Message]) -> None:
        """Send messages that the audit is not to look for."""
        with closing(self.shop()) as shop:
            shop.send_all(messages)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return rows of the database."""
        with closing(psycopg2.connect(self.database_url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []

    def recorded(self) -> int:
        """Return how many requests the ledger holds; -1 while it cannot be read."""
        try:
            return int(self.query("SELECT count(*) FROM processed_requests")[0][0])
        except psycopg2.Error:
            return -1

    def wait_for_work(self, requests: int = 100, timeout_s: float = WORK_TIMEOUT_S) -> None:
        """Return when so many further requests are recorded."""
        goal = self.recorded() + requests
        wait_until(
            lambda: self.recorded() >= goal, timeout_s=timeout_s, what=f"{requests} more requests"
        )

    def waiting_for_locks(self) -> int:
        """Return how many sessions wait for somebody else's lock."""
        sql = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(self.query(sql)[0][0])

    def recover(self, within_s: float = BACK_WITHIN_S, *, is_outage: bool = True) -> None:
        """Count an outage that is over now, and return when work goes on; it has to, in time."""
        over_s = time.monotonic()
        before = self.recorded()
        wait_until(
            lambda: self.recorded() > before >= 0,
            timeout_s=WORK_TIMEOUT_S,
            what="work after an outage",
            poll_s=0.02,
        )
        seconds = time.monotonic() - over_s
        self.figures.outages += is_outage
        self.figures.recovered_s.append(seconds)
        assert seconds <= within_s, f"work went on after {seconds:.1f} s, not within {within_s:g}"
        # The next fault is to find all of them at work.
        wait_until(self._are_all_at_work, timeout_s=WORK_TIMEOUT_S, what="all daemons at work")

    def finish(self, pardon: Pardon = NO_PARDON) -> Evidence:
        """End the load, wait until everything is settled, stop the daemons, and audit.

        Return what was found then.
        """
        self.load.stop()
        pardon = replace(pardon, is_killing=self.figures.kills > 0)
        if not any(one.is_running for one in self.daemons):
            self.hire()
        with closing(self.shop()) as shop:
            try:
                self._wait_until_settled(shop, pardon)
            except NotObserved:
                if shop.waiting():
                    raise
                # Nothing is queued: what is missing now is lost, and the audit names it.
            codes = [one.stop() for one in self.daemons if one.is_running]
            retry_queues = self._retry_queues()
            found = gather(shop, retry_queues, self._deferred())
        verdict = audit(self.load, found, pardon)
        self.figures.requests = sum(self.load.confirmed.values())
        self.figures.copies = self.figures.requests - len(+self.load.confirmed)
        self.figures.lost, self.figures.twice = len(verdict.lost), len(verdict.twice)
        self.figures.phantom, self.figures.burnt = len(verdict.phantom), len(verdict.burnt)
        self.figures.is_audited = True
        assert not verdict.all, "\n".join([f"seed {self.seed}", *verdict.all[:40]])
        assert set(codes) <= {0}, f"exit codes {codes}"
        return found

    def abandon(self) -> None:
        """End the load of a test that failed."""
        if self._load is not None:
            self._load.give_up()

    def _are_all_at_work(self) -> bool:
        return all(_is_at_work(one) for one in self.daemons if one.is_running)

    def _wait_until_settled(self, shop: Shop, pardon: Pardon) -> None:
        wanted = self._recorded_tokens() - pardon.poison

        def settled() -> bool:
            return (
                shop.waiting() == 0
                and wanted <= shop.outcomes().keys()
                and shop.value("SELECT count(*) FROM outbox") == 0
                and (pardon.is_killing or shop.value("SELECT count(*) FROM message_tries") == 0)
                and (pardon.is_killing or shop.value("SELECT count(*) FROM deferrals") == 0)
            )

        wait_until(settled, timeout_s=SETTLE_TIMEOUT_S, what="everything settled", poll_s=0.2)

    def _recorded_tokens(self) -> set[str]:
        confirmed = [self.load.requests[token] for token in list(self.load.confirmed)]
        return {request.token for request in confirmed if request.kind is Kind.RECORDED}

    def _retry_queues(self) -> list[str]:
        steps = str(self._settings["retry_delays"]).split(",")
        return [f"{queue}.retry.{step.strip()}" for queue in COMMAND_QUEUES for step in steps]

    def _deferred(self) -> list[str]:
        return [line["code"] for one in self.daemons for line in one.events("command.deferred")]


def _is_at_work(one: DaemonProcess) -> bool:
    changes = [line["event"] for line in one.log_lines if line["event"] in CHANGES]
    return not changes or changes[-1] == "intake.resumed"
