"""A mail server on this machine that delivers nothing, and shows what it was given."""

import json
import textwrap
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tools.ports import free_ports
from tools.waiting import wait_until

SENDER: Final = "Shop <shop@example.com>"
ADMINISTRATOR: Final = "admin@example.com"
# Not when daemons start and stop: which of these are there depends on who starts first.
ADMIN_TYPES: Final = ("product.*", "*.refused", "admin.*")
LINES_SHOWN: Final = 4
_READY_TIMEOUT_S: Final = 20.0
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Mail:
    """What a reader sees of a mail."""

    to: str
    subject: str
    text: str

    def __str__(self) -> str:
        """Return all of it, as a file has it."""
        return f"To: {self.to}\nSubject: {self.subject}\n\n{self.text.rstrip()}\n\n"

    def beginning(self) -> str:
        """Return the first lines of it, for a terminal."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        shown = [f"    {textwrap.shorten(line, _WIDTH)}" for line in lines[:LINES_SHOWN]]
        more = ["    …"] if len(lines) > LINES_SHOWN else []
        head = [f"To: {self.to}", f"Subject: {self.subject}"]
        return "".join(f"{line}\n" for line in (*head, *shown, *more))


class MailCatcher:
    """The server; it also writes each mail to the end of the file *path*."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mails: list[Mail] = []
        self._lock = threading.Lock()
        (self.port,) = free_ports(1)
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, ready_timeout=_READY_TIMEOUT_S
        )

    def __enter__(self) -> Self:
        """Take mails from now on."""
        self._path.touch()
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more."""
        self._controller.stop()

    @property
    def mails(self) -> Sequence[Mail]:
        """What has come so far, in order."""
        with self._lock:
            return tuple(self._mails)

    def wait_for(self, count: int, *, timeout_s: float) -> Sequence[Mail]:
        """Return the mails once there are so many; NotObserved where the time is over before."""
        wait_until(lambda: len(self.mails) >= count, timeout_s=timeout_s, what=f"{count} mails")
        return self.mails

    def channels(self) -> str:
        """Return the setting by which users and an administrator get their mails from here."""
        to: dict[str, object] = {
            "kind": "smtp",
            "url": f"smtp://127.0.0.1:{self.port}",
            "starttls": False,
            "from": SENDER,
        }
        users = {**to, "name": "users", "for": "users"}
        admins = {**to, "name": "admins", "for": "admins", "to": [ADMINISTRATOR]}
        admins["types"] = [*ADMIN_TYPES]
        return json.dumps([users, admins])

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail of an envelope."""
        content = envelope.content
        assert isinstance(content, bytes)
        found = message_from_bytes(content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        mail = Mail(", ".join(envelope.rcpt_tos), str(found["Subject"]), str(found.get_content()))
        with self._lock, self._path.open("a") as file:
            self._mails.append(mail)
            file.write(str(mail).replace("\r\n", "\n"))
        return "250 kept"
