"""RabbitMQ's management API, for what AMQP does not tell: policies, limits, permissions."""

import base64
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from orderd.amqp.endpoint import BrokerEndpoint
from orderd.ctl.errors import WrongUsage
from orderd.protocol.strict_json import MalformedJson, loads

URL_VARIABLE: Final = "RABBITMQ_MANAGEMENT_URL"
TIMEOUT_S: Final = 10.0
_ANSWER_BYTES_MAX: Final = 64 << 20
_PORT: Final = 15672
_TLS_PORT: Final = 15671


class ManagementFault(Exception):
    """The API did not answer the question; the text says why, without the password."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the failure that it is here: it would carry the password elsewhere."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Return no request to go on with."""


class Management:
    """Questions about one virtual host, asked as one user."""

    def __init__(
        self,
        root: str,
        vhost: str,
        user: str,
        password: str,
        tls: ssl.SSLContext | None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self.root = root
        self.vhost = vhost
        self.user = user
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        # The broker itself is reached without a proxy, too.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            _NoRedirects(),
        )

    def ask(self, kind: str, *path: str) -> Any:
        """Return the answer of ``/api/KIND/PATH…``, each part quoted; raises ManagementFault."""
        where = "/".join([kind, *(quote(part, safe="") for part in path)])
        request = urllib.request.Request(  # noqa: S310 - http or https, checked below
            f"{self.root}/api/{where}", headers=self._headers
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                body = answer.read(_ANSWER_BYTES_MAX)
        except urllib.error.HTTPError as error:
            error.close()
            raise ManagementFault(
                f"{self.root}/api/{where}: {error.code} {error.reason}"
            ) from error
        except (OSError, HTTPException, ssl.SSLError) as error:
            reason = getattr(error, "reason", error)
            raise ManagementFault(f"{self.root}: {reason}") from error
        try:
            return loads(body)
        except MalformedJson as error:
            raise ManagementFault(f"{self.root}/api/{where}: {error}") from error


def management_of(
    endpoint: BrokerEndpoint, where: str, url: str | None, *, timeout_s: float = TIMEOUT_S
) -> Management:
    """Return the API of the broker that is connected at *where* (`Connection.where`).

    *url* may name another address and another user; else it is the broker's host, with the
    usual port. Raises WrongUsage for a URL that cannot be used.
    """
    target = next(target for target in endpoint.targets() if target.name == where)
    parameters = target.parameters
    user, password = parameters.credentials.username, parameters.credentials.password
    # Who trusts the broker by a certificate of its own trusts its API by the same.
    tls = None if parameters.ssl_options is None else parameters.ssl_options.context
    if url is None:
        scheme, port = ("http", _PORT) if tls is None else ("https", _TLS_PORT)
        root = f"{scheme}://{_host(parameters.host)}:{port}"
    else:
        parts = _parts(url)
        root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
    vhost = parameters.virtual_host
    return Management(root, vhost, user, password, tls, timeout_s=timeout_s)


def _parts(url: str) -> SplitResult:
    # What cannot be used is not quoted: it may be a password.
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_usable = is_usable and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        is_usable = False
    if not is_usable:
        raise WrongUsage("the management URL must be http://HOST:PORT or https://…")
    return parts


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
