"""Mail servers that stall, dribble and leave at every step: every wait ends, and keeps alive.

What happened before the message was taken costs nothing; a message that may have been delivered
counts as tried.
"""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from orderd.config.notify_urls import mail_server
from orderd.notify.channels import transport
from orderd.notify.channels.mail import sender_of
from orderd.notify.channels.smtp import SmtpChannel
from orderd.notify.channels.transport import Patience, dial
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from tests.integration.notify.conftest import KeepAlive, MakeMessage
from tests.support.scripted_server import Conversation, ScriptedServer, Step, smtp_until

STEPS = {
    "before the greeting": None,
    "EHLO": (),
    "MAIL": ("EHLO",),
    "RCPT": ("EHLO", "MAIL"),
    "DATA": ("EHLO", "MAIL", "RCPT"),
}
STALL_S_MAX = 20
WHOLE = ("EHLO", "MAIL", "RCPT", "DATA")
MAY_HAVE_COME = r"^no answer after the message: it may have been delivered \("


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for seconds only."""
    monkeypatch.setattr("orderd.notify.channels.smtp_session.ANSWER_S", 1.5)
    monkeypatch.setattr("orderd.notify.channels.transport.SLICE_S", 0.1)


@pytest.fixture
def channel_to(keep_alive: KeepAlive) -> Iterator[Callable[[int], SmtpChannel]]:
    """Make a channel to a port, without TLS."""
    made: list[SmtpChannel] = []

    def make(port: int, host: str = "127.0.0.1") -> SmtpChannel:
        server = mail_server(f"smtp://{host}:{port}")
        sender = sender_of("shop@example.com")
        made.append(SmtpChannel("mail", server, sender, keep_alive, needs_starttls=False))
        return made[-1]

    yield make
    for one in made:
        one.close()


def script(step: str, then: Callable[[Conversation], None]) -> Step:
    """Return a script that goes well until *step* comes, and then does something else."""

    def run(conversation: Conversation) -> None:
        before = STEPS[step]
        if before is not None:
            smtp_until(*before)(conversation)
            conversation.hear()
        then(conversation)

    return run


def after_the_dot(then: Callable[[Conversation], None]) -> Step:
    def run(conversation: Conversation) -> None:
        smtp_until(*WHOLE)(conversation)
        conversation.hear(b"\r\n.\r\n")
        then(conversation)

    return run


@pytest.mark.parametrize("step", STEPS)
def test_a_silent_server_is_an_outage_at_every_step(
    channel_to: Callable[[int], SmtpChannel],
    message: MakeMessage,
    keep_alive: KeepAlive,
    step: str,
) -> None:
    with ScriptedServer(script(step, Conversation.be_silent)) as server:
        channel = channel_to(server.port)
        with pytest.raises(Unreachable, match="no answer in time"):
            channel.send(message())

    assert keep_alive.runs >= 5


@pytest.mark.parametrize("step", STEPS)
def test_a_dribbling_server_has_no_more_time_than_a_silent_one(
    channel_to: Callable[[int], SmtpChannel],
    message: MakeMessage,
    keep_alive: KeepAlive,
    step: str,
) -> None:
    with ScriptedServer(script(step, lambda one: one.dribble("250-and so on\r\n"))) as server:
        channel = channel_to(server.port)
        with pytest.raises(Unreachable, match="no answer in time"):
            channel.send(message())

    assert keep_alive.runs >= 5


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_leaves_is_an_outage_at_every_step(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage, step: str
) -> None:
    with ScriptedServer(script(step, Conversation.reset)) as server:
        channel = channel_to(server.port)
        with pytest.raises(Unreachable, match=r"connection (closed|reset by peer)|broken pipe"):
            channel.send(message())


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_without_end_is_an_outage(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage, step: str
) -> None:
    flood = "250-and so on\r\n" * 10_000
    with ScriptedServer(script(step, lambda one: one.say(flood))) as server:
        channel = channel_to(server.port)
        with pytest.raises(Unreachable, match="answer of over 65536 bytes"):
            channel.send(message())


@pytest.mark.parametrize("step", STEPS)
def test_what_is_no_smtp_is_an_outage(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage, step: str
) -> None:
    with ScriptedServer(script(step, lambda one: one.say("hello\x1b[31m\r\n"))) as server:
        channel = channel_to(server.port)
        with pytest.raises(Unreachable) as caught:
            channel.send(message())

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("greeting", "fault"),
    [
        ("421 4.3.2 too many connections\r\n", RefusedForNow),
        ("554 5.7.1 you are on a list\r\n", Unreachable),
    ],
)
def test_a_greeting_that_refuses_is_not_about_the_message(
    channel_to: Callable[[int], SmtpChannel],
    message: MakeMessage,
    greeting: str,
    fault: type[Exception],
) -> None:
    with ScriptedServer(lambda one: one.say(greeting)) as server:
        channel = channel_to(server.port)
        with pytest.raises(fault, match=greeting.strip()):
            channel.send(message())
        with pytest.raises(fault, match=greeting.strip()):
            channel.send(message())

    assert len(server.conversations) == 2


@pytest.mark.parametrize(
    "then",
    [
        Conversation.be_silent,
        lambda one: one.dribble("250-and so on\r\n"),
        Conversation.reset,
        lambda _: None,
    ],
    ids=["silent", "dribbling", "reset", "closed"],
)
def test_a_message_without_an_answer_may_have_been_delivered(
    channel_to: Callable[[int], SmtpChannel],
    message: MakeMessage,
    then: Callable[[Conversation], None],
) -> None:
    with ScriptedServer(
        after_the_dot(then), after_the_dot(lambda one: one.say("250 OK\r\n"))
    ) as it:
        channel = channel_to(it.port)
        with pytest.raises(RefusedForNow, match=MAY_HAVE_COME):
            channel.send(message())
        channel.send(message())

    assert all(b"Message-ID: <e5d76b93-" in one.heard for one in it.conversations)


def test_a_connection_lost_within_the_message_counts_as_a_try(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage
) -> None:
    def leave(conversation: Conversation) -> None:
        smtp_until(*WHOLE)(conversation)
        conversation.reset()

    with ScriptedServer(leave) as server:
        channel = channel_to(server.port)
        with pytest.raises(
            RefusedForNow, match=r"connection lost within the message|no answer after"
        ):
            channel.send(message(text="x" * 5_000_000))


def test_a_server_that_does_not_read_is_left_and_keep_alive_work_goes_on(
    channel_to: Callable[[int], SmtpChannel],
    message: MakeMessage,
    keep_alive: KeepAlive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orderd.notify.channels.smtp.MESSAGE_S", 2.0)

    is_left = Event()

    def stall(conversation: Conversation) -> None:
        smtp_until(*WHOLE)(conversation)
        is_left.wait(STALL_S_MAX)

    with ScriptedServer(stall) as server:
        channel = channel_to(server.port)
        with pytest.raises(RefusedForNow, match="connection lost within the message: no answer in"):
            channel.send(message(text="x" * 20_000_000))
        is_left.set()

    assert keep_alive.runs >= 5


def test_a_refusal_behind_an_odd_answer_to_the_message_counts_as_a_try(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage
) -> None:
    with ScriptedServer(after_the_dot(lambda one: one.say("odd\r\n"))) as server:
        channel = channel_to(server.port)
        with pytest.raises(RefusedForNow, match="which may have been delivered"):
            channel.send(message())


def test_a_refused_message_has_one_printable_line_as_its_answer(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage
) -> None:
    answer = f"550-5.7.1 Größe\x1b[31m\r\n550 {'x' * 1_000}\r\n"
    with ScriptedServer(after_the_dot(lambda one: one.say(answer))) as server:
        channel = channel_to(server.port)
        with pytest.raises(RefusedForGood) as caught:
            channel.send(message())

    assert caught.value.answer.isprintable()
    assert caught.value.answer.startswith("550 5.7.1 Größe")
    assert len(caught.value.answer) < 600


def test_a_name_that_does_not_resolve_is_an_outage(
    channel_to: Callable[..., SmtpChannel], message: MakeMessage
) -> None:
    with pytest.raises(Unreachable, match=r"^mail\.invalid:25: "):
        channel_to(25, "mail.invalid").send(message())


def test_a_resolver_that_hangs_is_left_behind(
    keep_alive: KeepAlive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LOOKUP_S", 1.0)
    is_over = Event()

    def hang(*_: object, **__: object) -> None:
        is_over.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    patience = Patience(keep_alive)
    patience.begin(10)

    with pytest.raises(TimeoutError, match=r"name not resolved: mail\.example\.com"):
        dial("mail.example.com", 25, patience)

    is_over.set()
    assert keep_alive.runs >= 3


def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(
    keep_alive: KeepAlive, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex(full.getsockname())
    with ScriptedServer(lambda one: one.say("hello\r\n")) as server:
        ports = (full.getsockname()[1], server.port)
        found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        patience = Patience(keep_alive)
        patience.begin(4)

        connection = dial("mail.example.com", 25, patience)

        assert connection.getpeername()[1] == server.port
        connection.close()
    for each in (full, *waiting):
        each.close()
    assert keep_alive.runs >= 3


def test_no_descriptor_is_left_open(
    channel_to: Callable[[int], SmtpChannel], message: MakeMessage
) -> None:
    with ScriptedServer(script("MAIL", Conversation.reset)) as server:
        channel = channel_to(server.port)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(Unreachable):
                channel.send(message())
        after = len(list(Path("/proc/self/fd").iterdir()))

    # The server of the test has at most one of its own open.
    assert after <= before + 1
