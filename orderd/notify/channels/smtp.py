"""The channel for mail."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from orderd.config.notify_urls import MailServer
from orderd.notify.channels.mail import Sender, mail_of
from orderd.notify.channels.smtp_session import SmtpSession
from orderd.notify.channels.transport import Patience, tls_context
from orderd.notify.faults import RefusedForGood, RefusedForNow
from orderd.notify.message import Message

MESSAGE_S: Final = 30.0
IDLE_S: Final = 60.0


class SmtpChannel:
    """Sends mails to *server*, one connection for as many as come without a pause."""

    kind: Final = "smtp"

    def __init__(
        self,
        name: str,
        server: MailServer,
        sender: Sender,
        keep_alive: Callable[[], None],
        *,
        needs_starttls: bool = True,
    ) -> None:
        self.name = name
        self._server = server
        self._sender = sender
        self._needs_starttls = needs_starttls
        self._patience = Patience(keep_alive)
        self._context = tls_context()
        self._session: SmtpSession | None = None
        self._used_s = 0.0

    def send(self, message: Message) -> None:
        """Send the message as a mail; see `Channel`."""
        mail = mail_of(message, self._sender, datetime.now(UTC))
        self._patience.begin(MESSAGE_S)
        try:
            self._ready_session().deliver(mail)
        except (RefusedForNow, RefusedForGood):
            # An answer: the connection is as good as before, or the session has closed it.
            raise
        except BaseException:
            # In the middle of a dialogue, which nothing can take up again.
            if self._session is not None:
                self._session.close()
            raise
        finally:
            self._used_s = time.monotonic()

    def rest(self) -> None:
        """Let the connection go after a minute without a mail."""
        if self._session is not None and time.monotonic() - self._used_s >= IDLE_S:
            self.close()

    def close(self) -> None:
        """Let the connection go."""
        session, self._session = self._session, None
        if session is not None:
            session.leave()

    def _ready_session(self) -> SmtpSession:
        """Return the session of the last mail where it still answers, else a new one."""
        session = self._session
        if session is not None and session.sock is not None:
            if time.monotonic() - self._used_s < IDLE_S and session.is_alive():
                return session
            self.close()
        session = SmtpSession(
            self._server, self._patience, self._context, needs_starttls=self._needs_starttls
        )
        try:
            session.open()
        except BaseException:
            session.close()
            raise
        self._session = session
        return session
