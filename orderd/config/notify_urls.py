"""URLs of mail and web servers for notifications; what is wrong with one is said without it."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from orderd.logs.redaction import HIDDEN
from orderd.protocol.values import value

_DEFAULT_PORTS: Final = {"smtp": 25, "smtps": 465, "http": 80, "https": 443}
_FORM: Final = "host and port cannot be parsed; percent-encode / # ? @ : in a password"


@value
class MailServer:
    """Where an SMTP channel sends; *user* and *password* are empty where there is no login."""

    host: str
    port: int
    is_tls: bool
    user: str
    password: str

    def with_password(self, password: str) -> "MailServer":
        """Return the same server with another password."""
        return MailServer(self.host, self.port, self.is_tls, self.user, password)

    def __repr__(self) -> str:
        """Return it without the password."""
        return f"MailServer({self.host}:{self.port})"


@value
class WebServer:
    """Where a webhook posts; *target* is path and query."""

    host: str
    port: int
    is_tls: bool
    target: str

    def __repr__(self) -> str:
        """Return it without the target, in which services have their secrets."""
        return f"WebServer({self.host}:{self.port})"


def mail_server(url: str) -> MailServer:
    """Return what an smtp:// or smtps:// URL says; raise ValueError."""
    parts, host, port = _split(url, ("smtp", "smtps"))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end behind host and port; percent-encode / # ? in a password")
    try:
        user, password = (
            unquote(each or "", errors="strict") for each in (parts.username, parts.password)
        )
    except UnicodeDecodeError:
        # Its text quotes the bytes.
        raise ValueError("user and password must be UTF-8") from None
    if password and not user:
        raise ValueError("has a password and no user")
    if "\0" in user + password:
        raise ValueError("user and password must not contain NUL")
    return MailServer(host, port, parts.scheme == "smtps", user, password)


def web_server(url: str) -> WebServer:
    """Return what an https:// URL, or an http:// one of this machine, says; raise ValueError."""
    parts, host, port = _split(url, ("https", "http"))
    if not url.isascii():
        raise ValueError("must be ASCII: percent-encode other characters, xn--… in a host name")
    if parts.username is not None or parts.fragment:
        raise ValueError("must have neither user nor fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https://, except for localhost, 127.0.0.0/8 and [::1]")
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return WebServer(host, port, parts.scheme == "https", target)


def shown_url(url: str) -> str:
    """Return the URL without password, and without the path of a web server, which is secret."""
    parts = urlsplit(url)
    login = "" if parts.username is None else f"{parts.username}@"
    if parts.password is not None:
        login = f"{parts.username}:{HIDDEN}@"
    place = f"{parts.scheme}://{login}{parts.netloc.rpartition('@')[2]}"
    is_web = parts.scheme in {"http", "https"}
    return f"{place}/{HIDDEN}" if is_web and (parts.path.strip("/") or parts.query) else place


def is_loopback(host: str) -> bool:
    """Return whether what goes to *host* stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str, schemes: tuple[str, ...]) -> tuple[SplitResult, str, int]:
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not url.isprintable() or " " in url:
        raise ValueError("must not contain blanks or control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if port == 0 or (host and "," in host):
        raise ValueError(_FORM)
    if not host:
        raise ValueError("names no host")
    return parts, host, port or _DEFAULT_PORTS[parts.scheme]
