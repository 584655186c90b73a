"""The servers, the proxies before them, and the daemons behind: what a sequence works on."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

from tests.acceptance.shop import COMMAND_QUEUES, HEARD, REPLIES, Received, Shop, command
from tests.acceptance.state_machine.tables import Tables, tables_of
from tests.support.tcp_proxy import TcpProxy
from tools.daemon import DaemonProcess, clean_environment
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

TIMEOUT_S = 60.0
RETRY_DELAYS = ("100ms", "300ms")
LETTER_QUEUES = [f"{queue}.dlq" for queue in COMMAND_QUEUES]
WORK_QUEUES = [
    *COMMAND_QUEUES,
    *(f"{queue}.retry.{delay}" for queue in COMMAND_QUEUES for delay in RETRY_DELAYS),
]
SENTINELS = "sentinels"
# What the database refuses to write, for as long as it stands in this table.
CURSES = """
    CREATE TABLE curses (id text PRIMARY KEY);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF EXISTS (SELECT FROM curses WHERE id = NEW.id) THEN
            RAISE EXCEPTION 'cursed' USING ERRCODE = '22012';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON processed_requests
        FOR EACH ROW EXECUTE FUNCTION refuse();
"""
EMPTIED = (
    "users, products, orders, order_items, processed_requests, outbox, message_tries, deferrals, "
    "curses"
)


class Environment:
    """One virtual host and one database, kept over many sequences, each of which finds it empty."""

    def __init__(
        self, shop: Shop, proxies: Mapping[str, TcpProxy], postgres: PrivatePostgres | None
    ) -> None:
        self.shop = shop
        self.proxies = proxies
        self.postgres = postgres
        self.daemons: list[DaemonProcess] = []
        self.ended: list[DaemonProcess] = []
        self.kills = 0
        self.is_at_rest = False
        self._armed: dict[DaemonProcess, str] = {}
        self._read_to: dict[DaemonProcess, int] = {}
        self._env = {
            "ORDERD_DATABASE_URL": proxies["database"].url,
            "ORDERD_RABBITMQ_URL": proxies["broker"].url,
            "ORDERD_RETRY_DELAYS": ",".join(RETRY_DELAYS),
            "ORDERD_OUTBOX_GRACE": "0.5",
        }
        self._shut: set[str] = set(proxies)
        shop.query(CURSES)
        shop.channel.queue_declare(SENTINELS)
        self.open_proxies()
        # Which makes all the queues.
        self.start().wait_ready(timeout_s=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.daemons:
            one.kill()

    def empty(self) -> None:
        """Take everything out; one daemon is left, or started, on what is empty then."""
        self.open_proxies()
        if not (len(self.daemons) == 1 and self.is_at_rest):
            for one in list(self.daemons):
                self.kill(one)
            self.wait(lambda: all(map(self._is_left, COMMAND_QUEUES)), "no consumers")
        for queue in (*WORK_QUEUES, *LETTER_QUEUES, REPLIES, HEARD, SENTINELS):
            self.shop.channel.queue_purge(queue)
        self.shop.query(f"TRUNCATE {EMPTIED}")
        self.ended.clear()
        self.kills = 0
        if not self.daemons:
            self.start()
        self.is_at_rest = False

    def start(self, *, batch_max: int = 200, failpoint: str = "") -> DaemonProcess:
        """Start one more daemon; with a failpoint, one that kills itself there."""
        return self._start(len(self.daemons), batch_max, failpoint)

    def stop(self, one: DaemonProcess) -> None:
        """Ask a daemon to end, and return when it has; it may die at its failpoint instead."""
        one.terminate()
        self._note_end(one, one.exit_code(TIMEOUT_S))

    def kill(self, one: DaemonProcess) -> None:
        """End a daemon by SIGKILL."""
        one.kill()
        self._armed[one] = "kill -9"
        self._note_end(one, -signal.SIGKILL)

    def replace_dead(self) -> None:
        """Start a daemon in place of each that died at its failpoint, all it may die of."""
        for place, one in enumerate(list(self.daemons)):
            if not one.is_running:
                self._note_end(one, one.exit_code())
                self._start(place)

    def shut_proxy(self, server: str) -> None:
        """Cut the connections to a server; nobody gets through until the proxies are opened."""
        self.proxies[server].shut()
        self._shut.add(server)

    def open_proxies(self) -> None:
        """Open the proxies that are shut."""
        while self._shut:
            self.proxies[self._shut.pop()].open()

    def look_busy(self) -> None:
        """Return once what was settled is also acked: two questions one after the other went by."""
        for number in range(2):
            self.shop.send_all(
                [command(queue, "health_check", reply_to=SENTINELS) for queue in COMMAND_QUEUES]
            )
            answers = 0

            def are_answered() -> bool:
                nonlocal answers
                self.replace_dead()
                answers += len(self.shop.take_all(SENTINELS))
                return answers >= len(COMMAND_QUEUES)

            wait_until(are_answered, timeout_s=TIMEOUT_S, what=f"answers, round {number}")

    def wait_idle(self) -> None:
        """Return once nothing waits in a queue, nor an event in the outbox."""
        self.wait(lambda: not any(map(self.shop.ready, WORK_QUEUES)), "empty queues")
        self.wait(lambda: self.shop.value("SELECT count(*) FROM outbox") == 0, "an empty outbox")

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Return once it is so, replacing daemons that die meanwhile."""

        def observe() -> bool:
            self.replace_dead()
            return is_so()

        wait_until(observe, timeout_s=TIMEOUT_S, what=what)

    def letters(self) -> list[Received]:
        """Return the dead letters, which stay where they are."""
        found = []
        with self.shop.channel.connection.channel() as channel:
            for queue in LETTER_QUEUES:
                while (got := channel.basic_get(queue))[0] is not None:
                    found.append(Received(got[2], got[1], queue))
        return found

    def heard(self) -> list[Received]:
        """Take the events of users, products and orders since the last time."""
        events = self.shop.take_all(HEARD)
        return [event for event in events if not event.routing_key.startswith("system.")]

    def tables(self) -> Tables:
        """Return the rows of the shop, as the model has them."""
        return tables_of(self.shop.query)

    def replay(self, failpoint: str = "") -> subprocess.CompletedProcess[str]:
        """Run `orderctl dlq replay` to its end; it asks for nothing."""
        env = clean_environment() | self._env | {"ORDERD_FAILPOINT": failpoint}
        return subprocess.run(
            [sys.executable, "-m", "orderd.ctl", "dlq", "replay", "--force", "--json"],
            env=env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def crash_database(self) -> None:
        """Stop PostgreSQL as a crash does, and start it again, if it is ours."""
        if self.postgres is not None:
            self.postgres.restart("immediate")

    @property
    def kills_to_come(self) -> int:
        """How many of the running daemons are to die at their failpoint."""
        return sum(bool(self._armed[one]) for one in self.daemons)

    def new_log_lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of that event since the last time, of all daemons."""
        lines: list[dict[str, Any]] = []
        for one in (*self.ended, *self.daemons):
            mark = one.mark()
            lines += one.log_lines[self._read_to.get(one, 0) : mark]
            self._read_to[one] = mark
        return [line for line in lines if line.get("event") == event]

    def log(self) -> str:
        """Return the end of the log of each daemon."""
        return "\n".join(
            f"orderd, pid {one.pid}:\n{one.log_tail()}" for one in (*self.ended, *self.daemons)
        )

    def _start(self, place: int, batch_max: int = 200, failpoint: str = "") -> DaemonProcess:
        more = {"ORDERD_BATCH_MAX": str(batch_max), "ORDERD_FAILPOINT": failpoint}
        one = DaemonProcess(self._env | more)
        self.daemons.insert(place, one)
        self._armed[one] = failpoint
        # Before that, no signal is handled.
        one.wait_for_event("daemon.started", timeout_s=TIMEOUT_S)
        return one

    def _is_left(self, queue: str) -> bool:
        frame = self.shop.channel.queue_declare(queue, passive=True)
        return bool(frame.method.consumer_count == 0)

    def _note_end(self, one: DaemonProcess, code: int) -> None:
        self.daemons.remove(one)
        self.ended.append(one)
        allowed = {0, -signal.SIGKILL} if self._armed[one] else {0}
        self.kills += code != 0
        assert code in allowed, f"orderd ended with {code}\n{one.log_tail()}"
