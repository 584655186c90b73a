"""A notification as a mail."""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final

from orderd.notify.addresses import MailAddress, mail_address
from orderd.notify.faults import RefusedForGood
from orderd.notify.message import Message
from orderd.notify.texts import block, line, safe_id, subject
from orderd.protocol.mail_addresses import split_mailbox
from orderd.protocol.values import value

# Bodies in seven bits: every server takes them.
_PLAIN: Final = SMTP.clone(cte_type="7bit")
# Addresses in headers as they are, for servers that have SMTPUTF8.
_INTERNATIONAL: Final = SMTPUTF8.clone(cte_type="7bit")
_LEADING_DOT: Final = re.compile(rb"^\.", re.MULTILINE)


@value
class Sender:
    """From whom mails are: a name, perhaps empty, and an address."""

    name: str
    address: MailAddress


@value
class Mail:
    """A mail on its way; `content` is as in DATA, with dots doubled, but for the last line."""

    sender: MailAddress
    recipient: MailAddress
    content: bytes

    @property
    def is_international(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it."""
        return not (self.sender.is_ascii and self.recipient.is_ascii)


def sender_of(mailbox: str) -> Sender:
    """Return the sender that "Shop <shop@example.com>" names; raise ValueError."""
    name, address = split_mailbox(mailbox)
    return Sender(line(name), mail_address(address))


def mail_of(message: Message, sender: Sender, now: datetime) -> Mail:
    """Return the mail that tells *message*; raise RefusedForGood for what is no address."""
    try:
        recipient = mail_address(message.address)
    except ValueError as fault:
        raise RefusedForGood(line(f"{message.address[:254]} {fault}")) from fault
    content = _written(message, sender, recipient, now)
    return Mail(sender.address, recipient, _LEADING_DOT.sub(b"..", content))


def _written(message: Message, sender: Sender, recipient: MailAddress, now: datetime) -> bytes:
    is_plain = sender.address.is_ascii and recipient.is_ascii
    mail = EmailMessage(policy=_PLAIN if is_plain else _INTERNATIONAL)
    mail["From"] = _address(sender.name, sender.address)
    mail["To"] = _address("", recipient)
    mail["Subject"] = subject(message.subject)
    mail["Date"] = format_datetime(now.astimezone(UTC))
    mail["Message-ID"] = f"<{safe_id(message.id)}@{sender.address.domain}>"
    # No answers of machines, such as that the recipient is on holiday (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{block(message.text).rstrip()}\n")
    return mail.as_bytes()


def _address(name: str, address: MailAddress) -> Address:
    return Address(name, address.local, address.domain)
