"""One connection to a mail server: smtplib's protocol over sockets that keep the daemon alive."""

import base64
import smtplib
import socket
import ssl
from collections.abc import Collection
from typing import Final

from orderd.config.notify_urls import MailServer
from orderd.notify.channels.mail import Mail
from orderd.notify.channels.transport import Patience, PatientSocket, dial, reason_of, secured
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from orderd.notify.texts import line

ANSWER_S: Final = 10.0
_ANSWER_CHARS_MAX: Final = 500
_OK: Final = range(200, 300)
_CLOSING: Final = 421
# About the login, whatever the message is: authentication required, too weak, failed, encryption
# required (RFC 4954).
_OF_THE_LOGIN: Final = frozenset({530, 534, 535, 538})

Reply = tuple[int, bytes]


class SmtpSession(smtplib.SMTP):
    """A session with *server*, as its login if it has one; `open` it first.

    STARTTLS comes before anything else where *needs_starttls*. Every method raises what a channel
    raises; after `Unreachable` and a loss the session is of no more use.
    """

    def __init__(
        self,
        server: MailServer,
        patience: Patience,
        context: ssl.SSLContext,
        *,
        needs_starttls: bool,
    ) -> None:
        # With a name, and before there is a connection: else smtplib would ask a resolver for one.
        super().__init__(local_hostname="localhost")
        self._server = server
        self._patience = patience
        self._context = context
        self._needs_starttls = needs_starttls and not server.is_tls

    def open(self) -> None:
        """Connect, secure the connection, log in."""
        server = self._server
        try:
            self.sock = dial(server.host, server.port, self._patience)
            self.local_hostname = _own_name(self.sock)
            if server.is_tls:
                self.sock = self._secured()
            self._expect("the connection", self.getreply())
            self._greet()
            if self._needs_starttls:
                self._secure()
            if server.user:
                self._log_in()
        except (OSError, ValueError) as fault:
            raise self._unreachable(_cause(fault)) from fault

    def is_alive(self) -> bool:
        """Return whether the session can take another mail, and forget the last one."""
        try:
            return self.rset()[0] in _OK
        except OSError:
            return False

    def deliver(self, mail: Mail) -> None:
        """Hand the mail over."""
        options = self._options(mail)
        try:
            self._expect("MAIL FROM", self.mail(str(mail.sender), options))
            self._expect("RCPT TO", self.rcpt(str(mail.recipient)))
            self._expect("DATA", self.docmd("DATA"), {354})
        except OSError as fault:
            raise self._unreachable(_cause(fault)) from fault
        # From here on it may be this message that ends the connection, so it counts as a try.
        try:
            self.send(mail.content)
        except OSError as fault:
            raise RefusedForNow(f"connection lost within the message: {_cause(fault)}") from fault
        try:
            self.send(b".\r\n")
            reply = self.getreply()
        except OSError as fault:
            reason = "no answer after the message: it may have been delivered"
            raise RefusedForNow(f"{reason} ({_cause(fault)})") from fault
        self._expect("the message", reply, is_sent=True)

    def leave(self) -> None:
        """Say good-bye without waiting for the answer, and close."""
        try:
            if self.sock is not None:
                self.putcmd("QUIT")
        except OSError:
            pass
        finally:
            self.close()

    def getreply(self) -> Reply:
        """Return the server's answer, for which it has its time."""
        self._patience.step(ANSWER_S)
        return super().getreply()

    def _secured(self) -> socket.socket:
        assert isinstance(self.sock, PatientSocket)  # noqa: S101 - made by dial, not yet secured
        return secured(self.sock, self._server.host, self._context)

    def _greet(self) -> None:
        reply = self.ehlo()
        if reply[0] in range(500, 600):
            reply = self.helo()
        self._expect("EHLO", reply)

    def _secure(self) -> None:
        if not self.has_extn("starttls"):
            raise self._unreachable("does not offer STARTTLS")
        self._expect("STARTTLS", self.docmd("STARTTLS"))
        self._patience.step(ANSWER_S)
        self.sock = self._secured()
        # Nothing that was said in clear counts (RFC 3207, 4.2), what is still unread included.
        self.file = None
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self._greet()

    def _log_in(self) -> None:
        offered = self.esmtp_features.get("auth", "").upper().split()
        user, password = self._server.user.encode(), self._server.password.encode()
        if "PLAIN" in offered:
            login = b"\0".join((b"", user, password))
            reply = self.docmd("AUTH", f"PLAIN {_base64(login)}")
        elif "LOGIN" in offered:
            self._expect("AUTH", self.docmd("AUTH", "LOGIN"), {334})
            self._expect("AUTH", self.docmd(_base64(user)), {334})
            reply = self.docmd(_base64(password))
        else:
            raise self._unreachable("offers neither AUTH PLAIN nor AUTH LOGIN")
        self._expect("AUTH", reply)

    def _options(self, mail: Mail) -> list[str]:
        if mail.is_international and not self.has_extn("smtputf8"):
            raise RefusedForGood(
                f"{self._server.host} does not take international addresses (SMTPUTF8)"
            )
        limit = self.esmtp_features.get("size", "")
        if limit.isdecimal() and 0 < int(limit) < len(mail.content):
            raise RefusedForGood(f"{self._server.host} takes {limit} bytes at most")
        return ["SMTPUTF8", "BODY=8BITMIME"] if mail.is_international else []

    def _expect(
        self, step: str, reply: Reply, wanted: Collection[int] = _OK, *, is_sent: bool = False
    ) -> None:
        """Raise what it means where the reply to *step* is none of the *wanted* ones."""
        code, text = reply
        if code in wanted:
            return
        said = line(f"{code} {text.decode(errors='replace')}", _ANSWER_CHARS_MAX)
        if code == _CLOSING:
            self.close()
        if code in range(400, 500):
            raise RefusedForNow(f"{said} (answer to {step})")
        is_about_message = step in {"MAIL FROM", "RCPT TO", "DATA", "the message"}
        if code in range(500, 600) and is_about_message and code not in _OF_THE_LOGIN:
            raise RefusedForGood(f"{said} (answer to {step})")
        if is_sent:
            self.close()
            raise RefusedForNow(f"{said} (answer to {step}, which may have been delivered)")
        raise self._unreachable(f"{said} (answer to {step})")

    def _unreachable(self, reason: str) -> Unreachable:
        self.close()
        return Unreachable(f"{self._server.host}:{self._server.port}: {line(reason)}")


def _own_name(connection: socket.socket) -> str:
    """Return how the client calls itself: by its host's full name, else by its address."""
    name = socket.gethostname()
    if "." in name and name.isascii():
        return name
    address = connection.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _cause(fault: BaseException) -> str:
    """Return why the connection was lost: smtplib's own error has often lost the reason."""
    if isinstance(fault, smtplib.SMTPException) and isinstance(fault.__context__, OSError):
        return reason_of(fault.__context__)
    if isinstance(fault, smtplib.SMTPServerDisconnected):
        return "connection closed"
    return reason_of(fault)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
