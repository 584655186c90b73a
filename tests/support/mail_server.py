"""A mail server for tests: aiosmtpd in a thread, with the answers that a test wants."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Event, Thread
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

START_S = 20


@dataclass
class Received:
    """A mail that the server has taken, and how."""

    sender: str
    recipients: list[str]
    options: list[str]
    content: bytes
    host_name: str
    login: str | None
    is_tls: bool

    @property
    def text(self) -> str:
        """The text of the mail."""
        return str(self.mail.get_content()).replace("\r\n", "\n")

    @property
    def mail(self) -> EmailMessage:
        """The mail as a reader sees it."""
        return message_from_bytes(self.content.replace(b"\r\n", b"\n"), policy=policy.default)


@dataclass
class MailServer:
    """A server on 127.0.0.1; what it has taken is in `received`.

    `on_message` is called before it answers a message. *answers* are what it says to MAIL, RCPT,
    DATA (behind the message), RSET and EHLO instead of what it would; *login* is user and password
    that it wants; *options* are those of aiosmtpd.
    """

    certificate: ssl.SSLContext | None = None
    starttls: bool = False
    login: tuple[str, str] | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    quits: int = 0
    port: int = 0
    on_message: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._is_up = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._is_up.wait(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it; its connections are cut."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)

    def cut(self) -> None:
        """Cut every connection and stop listening, as a server that is stopped does."""
        done = Event()

        def cut() -> None:
            assert self._server is not None
            self._server.close()
            for each in self._protocols:
                _abort(each)
            done.set()

        self._loop.call_soon_threadsafe(cut)
        assert done.wait(START_S)

    def listen_again(self) -> None:
        """Listen after a cut, on the same port."""

        async def listen() -> None:
            self._server = await self._listen()

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(START_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._protocols: list[SMTP] = []
        self._server = self._loop.run_until_complete(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        self._is_up.set()
        self._loop.run_forever()
        self._server.close()
        for each in self._protocols:
            _abort(each)
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        is_wrapped = self.certificate is not None and not self.starttls
        return await self._loop.create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self.certificate if is_wrapped else None
        )

    def _protocol(self) -> SMTP:
        self.connections += 1
        arguments: dict[str, Any] = {"enable_SMTPUTF8": True, "hostname": "mail.test"}
        if self.starttls:
            arguments["tls_context"] = self.certificate
        if self.login:
            arguments |= {"authenticator": self._authenticated, "auth_required": True}
            arguments["auth_require_tls"] = self.starttls
        one = SMTP(_Handler(self), loop=self._loop, **arguments | dict(self.options))
        self._protocols.append(one)
        return one

    def _authenticated(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        user, password = given.login.decode(), given.password.decode()
        is_right = (user, password) == self.login
        return AuthResult(success=is_right, handled=is_right, auth_data=user)


def _abort(protocol: SMTP) -> None:
    if isinstance(protocol.transport, asyncio.WriteTransport):
        protocol.transport.abort()


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._owner = server

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: Sequence[str],
    ) -> Sequence[str]:
        session.host_name = hostname
        answer = self._owner.answers.get("EHLO")
        return [answer] if answer else responses

    async def handle_MAIL(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._owner.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._owner.answers.get("RCPT", "250 OK")

    async def handle_RSET(  # noqa: N802
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        return self._owner.answers.get("RSET", "250 OK")

    async def handle_QUIT(  # noqa: N802
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        self._owner.quits += 1
        return "221 Bye"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self._owner.on_message()
        answer = self._owner.answers.get("DATA", "250 OK")
        if answer.startswith("2"):
            assert envelope.mail_from is not None
            assert isinstance(envelope.original_content, bytes)
            self._owner.received.append(
                Received(
                    sender=envelope.mail_from,
                    recipients=list(envelope.rcpt_tos),
                    options=list(envelope.mail_options),
                    content=envelope.original_content,
                    host_name=session.host_name or "",
                    login=session.auth_data if session.authenticated else None,
                    is_tls=session.ssl is not None,
                )
            )
        return answer
