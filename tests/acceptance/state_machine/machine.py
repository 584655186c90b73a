"""Any sequence of requests, copies, contradictions, crashes, cuts, outages, restarts, replays."""

import itertools
import json
from dataclasses import replace

import pika
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.acceptance.shop import PERSISTENT, REPLIES, Message, command
from tests.acceptance.state_machine import asking
from tests.acceptance.state_machine.account import Account, Allowed, Sent
from tests.acceptance.state_machine.asking import Wish
from tests.acceptance.state_machine.environment import Environment
from tests.acceptance.state_machine.reference_model import Request

# With so many requests to be explained at once, everything has to come to rest.
DUE_MAX = 10
# With three, a message that was in hand each time would be put aside as poison.
KILLS_MAX = 2
POINTS = [
    *("received", "decoded", "tx_begun", "loaded", "decided", "persisted", "before_commit"),
    *("after_commit", "events_published", "events_confirmed", "replies_published"),
    *("retry_published", "dlq_published", "before_ack", "after_ack", "drain_started"),
    *("outbox_claimed", "outbox_marked"),
]
failpoints = st.sampled_from(["", *POINTS, *(f"{point}:2" for point in POINTS)])
batch_sizes = st.sampled_from([1, 2, 200])
servers = st.sampled_from(["database", "broker"])
numbers = st.integers(0, 30)


class AnySequence(RuleBasedStateMachine):
    """Whatever is done, everything that was sent has the outcome that the reference model says."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.account = Account()
        self._faults: set[str] = set()
        # Known from what was drawn alone: what may be done next must not depend on how fast
        # a daemon was.
        self._armed = [False]
        self._kills = 0
        self._may_have_letters = False
        self._numbers = itertools.count(1)
        self._is_refuted = False

    @initialize()
    def open(self) -> None:
        self.environment.empty()
        for wishes in asking.FIRST:
            self._send([self._request(wish) for wish in wishes])
            self.reckon()

    @rule(wishes=st.lists(asking.wishes, min_size=1, max_size=4))
    def publish(self, wishes: list[Wish]) -> None:
        self._send([self._request(wish) for wish in wishes])

    @rule(wish=asking.wishes)
    def publish_what_cannot_be_written(self, wish: Wish) -> None:
        request = self._request(wish)
        model = self.account.model
        self.account.model = replace(model, cursed=model.cursed | {request.id})
        self._may_have_letters = True
        self.environment.shop.query("INSERT INTO curses VALUES (%s)", request.id)
        self._send([request])

    @rule(number=numbers)
    def publish_again(self, number: int) -> None:
        sent = list(self.account.sent.values())
        self._send_out([sent[number % len(sent)]])

    @rule(number=numbers, wish=asking.wishes)
    def publish_another_with_the_same_id(self, number: int, wish: Wish) -> None:
        ids = [one.request.id for one in self.account.sent.values() if one.request.id]
        self._may_have_letters = True
        self._send([self._request(wish, ids[number % len(ids)])])

    @rule(queue=asking.queues, spoilt=asking.spoilt)
    def publish_what_is_no_command(self, queue: str, spoilt: tuple[bytes, str]) -> None:
        body, code = spoilt
        self._may_have_letters = True
        key = f"m{next(self._numbers)}"
        properties = pika.BasicProperties(
            delivery_mode=PERSISTENT, reply_to=REPLIES, correlation_id=key, headers={"of": key}
        )
        self._send_out([Sent(Request(key, queue, spoilt=code), Message(queue, body, properties))])

    @precondition(lambda self: self._kills + sum(self._armed) < KILLS_MAX)
    @rule(is_kind=st.booleans(), failpoint=failpoints, batch_max=batch_sizes)
    def restart(self, *, is_kind: bool, failpoint: str, batch_max: int) -> None:
        self._end_the_first(is_kind=is_kind)
        if self._kills + sum(self._armed) >= KILLS_MAX:
            failpoint = ""
        self.environment.start(batch_max=batch_max, failpoint=failpoint)
        self._armed.append(bool(failpoint))

    @rule(batch_max=batch_sizes)
    def begin_or_end_with_another_daemon(self, batch_max: int) -> None:
        if len(self._armed) > 1:
            self._end_the_first(is_kind=True)
        else:
            self.environment.replace_dead()
            self.environment.start(batch_max=batch_max)
            self._armed.append(False)
            self._faults.add("company")

    @rule(server=servers, is_over=st.booleans())
    def cut_the_wire(self, server: str, *, is_over: bool) -> None:
        """Cut it; where it is not over at once, it lasts until the next reckoning or cut."""
        self._faults.add(server)
        self.environment.shut_proxy(server)
        if is_over:
            self.environment.open_proxies()

    @precondition(lambda self: self.environment.postgres is not None)
    @rule()
    def crash_the_database(self) -> None:
        self._faults.add("database")
        self.environment.crash_database()

    @precondition(lambda self: self._may_have_letters)
    @rule(is_killed=st.booleans())
    def replay_dead_letters(self, *, is_killed: bool) -> None:
        self.reckon()
        self._lift_curses()
        again = list(self.account.letters.elements())
        ended = self.environment.replay("dlq_replay_published" if is_killed and again else "")
        if is_killed and again:
            assert ended.returncode < 0, ended.stderr
            self.environment.kills += 1
        else:
            assert ended.returncode == 0, ended.stderr
            tally = {"replayed": len(again), "skipped": 0, "failed": 0}
            assert json.loads(ended.stdout).items() >= tally.items()
            self.account.forget_letters(again)
        self.account.due.update(again)

    @rule()
    def reckon(self) -> None:
        """Let everything come to rest, and see whether all that came is explained."""
        environment, account = self.environment, self.account
        try:
            environment.open_proxies()
            environment.wait(self._is_answered, f"replies to {dict(account.due)}")
            environment.look_busy()
            environment.wait_idle()
            self._is_answered()
            account.reckon(
                tables=environment.tables(),
                outcomes=environment.shop.outcomes(),
                letters=environment.letters(),
                events=environment.heard(),
                allowed=self._allowed(),
            )
        except AssertionError as error:
            self._is_refuted = True
            error.add_note(environment.log())
            raise
        self._faults = {"company"} if len(environment.daemons) > 1 else set()
        environment.kills = 0
        self._kills = 0

    def teardown(self) -> None:
        if not self._is_refuted:
            self.reckon()
            self.environment.is_at_rest = not self.environment.kills_to_come

    def _allowed(self) -> Allowed:
        is_late = False
        for line in self.environment.new_log_lines("command.deferred"):
            is_waiting = line["code"] == "missing_reference"
            is_due = is_waiting or line["id"] in self.account.model.cursed
            assert is_due, f"an attempt was spent: {line}"
            is_late = is_late or is_waiting
        is_copied = self.environment.kills > 0 or "broker" in self._faults
        return Allowed(
            copies=is_copied,
            event_copies=is_copied or "database" in self._faults,
            disorder=is_late or bool({"broker", "company"} & self._faults),
        )

    def _is_answered(self) -> bool:
        self.account.note_replies(self.environment.shop.take_all(REPLIES))
        return self.account.is_answered

    def _end_the_first(self, *, is_kind: bool) -> None:
        self.environment.replace_dead()
        one = self.environment.daemons[0]
        # One that is armed may die of that while it is asked to end.
        self._kills += self._armed.pop(0) or not is_kind
        if is_kind:
            self.environment.stop(one)
        else:
            self.environment.kill(one)

    def _lift_curses(self) -> None:
        self.environment.shop.query("DELETE FROM curses")
        self.account.model = replace(self.account.model, cursed=frozenset())

    def _request(self, wish: Wish, request_id: str = "") -> Request:
        number = next(self._numbers)
        data = wish.in_terms_of(self.account.model)
        return Request(
            f"m{number}", wish.queue, wish.action, data, request_id or f"r{number}", wish.version
        )

    def _send(self, requests: list[Request]) -> None:
        self._send_out([Sent(request, _message(request)) for request in requests])

    def _send_out(self, sent: list[Sent]) -> None:
        for one in sent:
            self.account.sent[one.request.key] = one
            self.account.due[one.request.key] += 1
        self.environment.shop.send_all([one.message for one in sent])
        if len(self.account.due) >= DUE_MAX:
            self.reckon()


def _message(request: Request) -> Message:
    """Return the message; every other request has its id in the property alone."""
    is_in_body = int(request.id[1:]) % 2 == 0
    more = {"id": request.id} if is_in_body else {}
    message = command(
        request.queue,
        request.action,
        request.data,
        version=request.version,
        correlation_id=request.key,
        headers={"of": request.key},
        **more,
    )
    if not is_in_body:
        message.properties.message_id = request.id
    return message
