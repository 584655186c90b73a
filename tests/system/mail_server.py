"""Takes mails from who logs in, and writes a line of JSON for each; runs in the guest."""

import json
import signal
import sys
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN = LoginPassword(b"orders", b"secret")


class Handler:
    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        note(envelope)
        return "250 taken"


def note(envelope: Envelope) -> None:
    assert isinstance(envelope.content, bytes)
    mail = message_from_bytes(envelope.content)
    told = {"to": envelope.rcpt_tos, "subject": mail["Subject"], "id": mail["Message-ID"]}
    with Path(sys.argv[3]).open("a") as file:
        file.write(f"{json.dumps(told)}\n")


def authenticated(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
) -> AuthResult:
    return AuthResult(success=login == LOGIN)


Controller(
    Handler(),
    hostname=sys.argv[1],
    port=int(sys.argv[2]),
    authenticator=authenticated,
    auth_required=True,
    auth_require_tls=False,
).start()
signal.pause()
