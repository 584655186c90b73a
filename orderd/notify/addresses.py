"""E-mail addresses as mail servers take them: domains in ASCII."""

import idna

from orderd.protocol.mail_addresses import split_address
from orderd.protocol.values import value


@value
class MailAddress:
    """An address; *domain* is ASCII, *local* may be any text without blanks."""

    local: str
    domain: str

    def __str__(self) -> str:
        """Return local@domain."""
        return f"{self.local}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Whether any mail server can take it; others need SMTPUTF8."""
        return self.local.isascii()


def mail_address(text: str) -> MailAddress:
    """Return the address in *text*; raise ValueError with the reason where none is."""
    local, domain = split_address(text)
    return MailAddress(local, ascii_host(domain))


def ascii_host(name: str) -> str:
    """Return the name of a host or domain in lower case as DNS has it; raise ValueError."""
    if name.isascii():
        return name.lower()
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{name} is no name of a host: {error}") from error
