"""Where the broker is, and how patient to be with it."""

import ssl
from dataclasses import field
from typing import Final
from urllib.parse import parse_qsl, urlencode

import pika

from orderd.amqp.faults import BrokerRefused
from orderd.amqp.handshakes import close_failed, watch_handshakes
from orderd.logs.redaction import redact_url
from orderd.protocol.values import value
from orderd.runtime.tls import TlsFiles, client_context, restrict

# The kernel detects a cut connection and unacknowledged data before the heartbeat does.
_TCP_OPTIONS: Final = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 15_000,
}
# What pika raises for a URL that it cannot use.
_UNUSABLE: Final = (ValueError, TypeError, SyntaxError, OSError, AssertionError, AttributeError)


@value
class Target:
    """One address of the broker: *name* is ``host:port/vhost``."""

    name: str
    user: str
    parameters: pika.URLParameters
    tls: TlsFiles

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.parameters.ssl_options is not None

    def end(self) -> None:
        """Close what a failed attempt has left open."""
        if self.parameters.ssl_options is not None:
            close_failed(self.parameters.ssl_options.context)


@value
class BrokerEndpoint:
    """The URLs of the broker's nodes, tried in turn, and the limits of every wait for them.

    Raises ValueError when a URL or a file of *tls* cannot be used, with no password in the text.
    """

    urls: tuple[str, ...] = field(repr=False)
    connection_name: str
    tls: TlsFiles = TlsFiles()
    heartbeat_s: int = 20
    blocked_timeout_s: int = 20
    # Below the limit of a call, so that pika's own error comes first: it names the address.
    socket_timeout_s: float = 4
    stack_timeout_s: float = 10
    _reached: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("no AMQP URL given")
        self._targets()

    def targets(self) -> list[Target]:
        """Return what to give to pika: for the URL that worked last, then for each in order.

        Files are read now, for they may have been renewed. Raises BrokerRefused where one cannot be
        used.
        """
        try:
            targets = self._targets()
        except ValueError as error:
            raise BrokerRefused(str(error)) from error
        return sorted(targets, key=lambda target: target.name not in self._reached)

    def note_reached(self, target: Target) -> None:
        """Try *target* first at the next connect, of any connection."""
        self._reached[:] = [target.name]

    def _targets(self) -> list[Target]:
        context = client_context(self.tls) if self.tls.given else None
        return [self._target(url, context) for url in self.urls]

    def _target(self, url: str, context: ssl.SSLContext | None) -> Target:
        # pika also takes http, https and no scheme at all, and connects somewhere.
        if not url.lower().startswith(("amqp://", "amqps://")):
            raise ValueError(f"neither amqp:// nor amqps://: {redact_url(url)}")
        try:
            parameters = pika.URLParameters(url)
            if parameters.ssl_options is not None:
                restrict(parameters.ssl_options.context)
        except _UNUSABLE:
            # The cause is left out: it may quote the password.
            options = ", ".join(_wrong_options(url))
            of_these = f" (option {options})" if options else ""
            raise ValueError(f"not a usable AMQP URL: {redact_url(url)}{of_these}") from None
        if parameters.ssl_options is not None:
            if context is not None:
                parameters.ssl_options = pika.SSLOptions(context)
            watch_handshakes(parameters.ssl_options.context)
        parameters.heartbeat = self.heartbeat_s
        parameters.blocked_connection_timeout = self.blocked_timeout_s
        parameters.socket_timeout = self.socket_timeout_s
        parameters.stack_timeout = self.stack_timeout_s
        parameters.tcp_options = parameters.tcp_options or _TCP_OPTIONS
        # Trying again, and when, is the caller's business.
        parameters.connection_attempts = 1
        parameters.client_properties = {
            **(parameters.client_properties or {}),
            "connection_name": self.connection_name,
        }
        vhost = parameters.virtual_host.removeprefix("/")
        name = f"{parameters.host}:{parameters.port}/{vhost}"
        return Target(name, parameters.credentials.username, parameters, self.tls)


def _wrong_options(url: str) -> list[str]:
    """Return the names of the options in the query of *url* that pika refuses."""
    address, _, query = url.partition("?")
    wrong = []
    for name, setting in parse_qsl(query):
        try:
            pika.URLParameters(f"{address}?{urlencode({name: setting})}")
        except _UNUSABLE:
            wrong.append(name)
    return wrong
