"""Any sequence of events and faults: each notification is sent, or its message is a dead letter."""

import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orderd.protocol.names import NoticeQueue, retry_queue
from tests.acceptance.notify.office import Office, mail_to_users
from tests.acceptance.test_pauses import TRIAL_DUE
from tests.support.mail_server import MailServer
from tests.support.tcp_proxy import TcpProxy, proxy_before
from tools.daemon import NOTIFY_PROGRAM, DaemonProcess
from tools.waiting import wait_until

ANN: Final = 1
BOB_WHO_IS_INACTIVE: Final = 2
DELAYS_S: Final = (0.1, 0.3, 0.5)
REST_S: Final = 90
OVER: Final = {"sent", "failed", "skipped"}
DAEMONS_MAX: Final = 2
POINTS: Final = [
    "received",
    "decoded",
    "notification_recorded",
    "notification_sent",
    "notification_noted",
    "retry_published",
    "dlq_published",
    "before_ack",
    "after_ack",
]
ANSWERS: Final = [{}, {"RCPT": "450 4.2.0 later"}, {"RCPT": "550 5.1.1 never"}]
WORK_QUEUES: Final = [
    name for queue in NoticeQueue for name in (queue, *(retry_queue(queue, d) for d in DELAYS_S))
]
# A sequence takes seconds, and no shorter one that fails too is looked for.
SOME: Final = settings(
    max_examples=4,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
MANY: Final = settings(SOME, max_examples=40, stateful_step_count=40)


class Environment:
    """Servers, proxies before them, and some daemons; kept over many sequences."""

    def __init__(self, office: Office, mail: MailServer, proxies: dict[str, TcpProxy]) -> None:
        self.office = office
        self.mail = mail
        self.proxies = proxies
        self.daemons: list[DaemonProcess] = []
        self.repeats = 0
        self.is_cut = False
        self._serial = 0
        self._env = {
            "ORDERD_DATABASE_URL": proxies["database"].url,
            "ORDERD_RABBITMQ_URL": proxies["broker"].url,
            "ORDERD_RETRY_DELAYS": ", ".join(f"{each}s" for each in DELAYS_S),
            "ORDERD_POISON_AFTER": "100",
            "ORDERD_NOTIFY__CHANNEL": json.dumps([mail_to_users(mail)]),
        }

    def new_id(self) -> str:
        """Return an id that no other event of any sequence has."""
        self._serial += 1
        return f"event-{self._serial}"

    def start(self, failpoint: str = "") -> None:
        """Start one more daemon; with a failpoint, one that kills itself there."""
        env = {**self._env, "ORDERD_FAILPOINT": failpoint}
        one = DaemonProcess(env, program=NOTIFY_PROGRAM)
        one.wait_for_event("daemon.started", timeout_s=REST_S)
        self.daemons.append(one)

    def end(self, one: DaemonProcess, *, is_killed: bool) -> None:
        if is_killed:
            one.kill()
        else:
            one.terminate()
        code = one.exit_code()
        assert code in {0, -signal.SIGKILL}, one.log_tail()
        self.note_end(one, code)

    def note_end(self, one: DaemonProcess, code: int) -> None:
        """A daemon that died may have sent what is not on record."""
        self.daemons.remove(one)
        self.repeats += code != 0

    def cut(self, server: str) -> None:
        """Cut the connections of all daemons to a server, which they may make again."""
        self.proxies[server].cut()
        # In the middle of a sending, the record of it may be lost with its session.
        self.repeats += len(self.daemons)

    def note_dead(self) -> None:
        """Take note of daemons that died at their failpoints."""
        for one in [each for each in self.daemons if not each.is_running]:
            self.note_end(one, one.exit_code())

    def heal(self) -> None:
        """Let everything work again, with one daemon that will not die."""
        if self.is_cut:
            self.mail.listen_again()
            self.is_cut = False
        self.mail.answers = {}
        for one in list(self.daemons):
            self.end(one, is_killed=True)
        self.start()

    def wait_for_rest(self, told: Iterable[str]) -> None:
        """Return when all of *told* is over, nothing waits, and what was tripped is resumed."""
        keys = {f"{event_id}/mail" for event_id in told}

        def is_over() -> bool:
            self.office.shop.query(TRIAL_DUE)
            is_paused = self.office.shop.value("SELECT count(*) FROM queue_pauses") != 0
            states = self.office.states()
            are_over = all(states.get(key, ("", 0))[0] in OVER for key in keys)
            return are_over and not (is_paused or any(map(self.office.shop.ready, WORK_QUEUES)))

        wait_until(is_over, timeout_s=REST_S, what=f"rest\n{self.log()}")

    def log(self) -> str:
        return "\n".join(one.log_tail() for one in self.daemons)


class AnySequence(RuleBasedStateMachine):
    """Events come while daemons, servers and sessions die."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self._environment = environment
        self._told: dict[str, int] = {}
        environment.mail.received.clear()
        environment.repeats = 0
        if not environment.daemons:
            environment.start()

    @rule(user_id=st.sampled_from([ANN, ANN, ANN, BOB_WHO_IS_INACTIVE]), count=st.integers(1, 4))
    def tell(self, user_id: int, count: int) -> None:
        for _ in range(count):
            event_id = self._environment.new_id()
            self._told[event_id] = user_id
            self._environment.office.ship(event_id, user_id)

    @precondition(lambda self: bool(self._told))
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        event_id = data.draw(st.sampled_from(sorted(self._told)))
        self._environment.office.ship(event_id, self._told[event_id])

    @rule(point=st.sampled_from(["", "", *POINTS]), nth=st.integers(1, 3))
    def start(self, point: str, nth: int) -> None:
        self._environment.note_dead()
        if len(self._environment.daemons) >= DAEMONS_MAX:
            return
        self._environment.start(f"{point}:{nth}" if point else "")

    @precondition(lambda self: bool(self._environment.daemons))
    @rule(is_killed=st.booleans())
    def end(self, is_killed: bool) -> None:  # noqa: FBT001 - drawn
        self._environment.end(self._environment.daemons[0], is_killed=is_killed)

    @rule(server=st.sampled_from(["broker", "database"]))
    def cut(self, server: str) -> None:
        self._environment.cut(server)

    @precondition(lambda self: not self._environment.is_cut)
    @rule()
    def mail_server_goes(self) -> None:
        self._environment.mail.cut()
        self._environment.is_cut = True
        # What it had taken may be unanswered.
        self._environment.repeats += len(self._environment.daemons)

    @precondition(lambda self: self._environment.is_cut)
    @rule()
    def mail_server_comes(self) -> None:
        self._environment.mail.listen_again()
        self._environment.is_cut = False
        self._environment.office.shop.query(TRIAL_DUE)

    @rule(answers=st.sampled_from(ANSWERS))
    def mail_server_answers(self, answers: dict[str, str]) -> None:
        self._environment.mail.answers = answers

    def teardown(self) -> None:
        self._environment.heal()
        self._environment.wait_for_rest(self._told)
        self._check()

    def _check(self) -> None:
        environment = self._environment
        states = environment.office.states()
        mails = Counter(_event_of(each.mail["Message-ID"]) for each in environment.mail.received)
        # Taken by a server, and not on record when the daemon or its session ended.
        unrecorded = sum(count - 1 for count in mails.values())
        failed = set()
        for event_id, user_id in self._told.items():
            state, _ = states[f"{event_id}/mail"]
            if user_id == BOB_WHO_IS_INACTIVE:
                assert (state, mails[event_id]) == ("skipped", 0), event_id
            elif state == "sent":
                assert mails[event_id] >= 1, event_id
            else:
                assert state == "failed", f"{event_id}: {state}\n{environment.log()}"
                failed.add(event_id)
                unrecorded += mails[event_id] >= 1
        assert unrecorded <= environment.repeats
        dead = environment.office.shop.take_all(f"{NoticeQueue.USER}.dlq")
        assert failed <= {each.json["id"] for each in dead} <= self._told.keys()


def _event_of(message_id: Any) -> str:
    return str(message_id).removeprefix("<").partition(".mail.")[0]


@pytest.fixture
def environment(
    office: Office, mail: MailServer, notify_urls: dict[str, str]
) -> Iterator[Environment]:
    with ExitStack() as stack:
        proxies = {
            "broker": stack.enter_context(proxy_before(notify_urls["rabbitmq_url"])),
            "database": stack.enter_context(proxy_before(notify_urls["database_url"])),
        }
        for each in proxies.values():
            each.open()
        one = Environment(office, mail, proxies)
        # Which makes the queues.
        one.start()
        one.daemons[0].wait_ready(timeout_s=REST_S)
        yield one
        for each_daemon in one.daemons:
            each_daemon.kill()


def run(environment: Environment, how: settings) -> None:
    begin: Any = partial(AnySequence, environment)
    run_state_machine_as_test(begin, settings=how)


def test_any_sequence_of_faults_loses_no_notification(environment: Environment) -> None:
    run(environment, SOME)


@pytest.mark.soak
def test_many_sequences_of_faults_lose_no_notification(environment: Environment) -> None:
    run(environment, MANY)
