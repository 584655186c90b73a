"""A RabbitMQ that listens with TLS, in front of which certificates can be exchanged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.support.authority import Authority, KeyPair
from tools.installation import Installation
from tools.ports import free_ports
from tools.rabbitmq import PrivateRabbit

_WANTS_CERTIFICATE = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"


class TlsRabbit:
    """A node with a listener for TLS beside its own, with a certificate of *authority*."""

    def __init__(self, scratch: Path, authority: Authority, installation: Installation) -> None:
        (self.port,) = free_ports(1)
        self._authority = authority
        self.pair = authority.issue("rabbitmq")
        self.is_changed = False
        self.trusted = scratch / "trusted.pem"
        self.trusted.write_bytes(authority.certificate.read_bytes())
        self.node = PrivateRabbit(
            scratch / "node", installation, configuration=self._configuration()
        )

    def url(self, vhost: str = "/", *, host: str = "127.0.0.1", scheme: str = "amqps") -> str:
        """Return the URL of a virtual host at the listener for TLS."""
        return f"{scheme}://guest:guest@{host}:{self.port}/{quote(vhost, safe='')}"

    def present(self, pair: KeyPair, authority: Authority | None = None) -> None:
        """Show another certificate from the next connection on; trust clients of *authority*."""
        self.pair.replace_by(pair)
        if authority is not None:
            self.trusted.write_bytes(authority.certificate.read_bytes())
        self.is_changed = True
        self.node.ctl("eval", "ssl:clear_pem_cache().")

    def restore(self) -> None:
        """Show a good certificate again, and trust the clients of the authority alone."""
        if self.is_changed:
            self.present(self._authority.issue("restored"), self._authority)
            self.is_changed = False

    def drop_connections(self) -> None:
        """Close the connections of all clients with TLS."""
        self.node.ctl(
            "eval",
            "[catch rabbit_networking:close_connection(One, <<>>) "
            "|| One <- rabbit_networking:connections(), "
            "rabbit_networking:connection_info(One, [ssl]) =:= [{ssl, true}]].",
        )

    @contextmanager
    def demanding(self, versions: Sequence[str] = (), *, certificate: bool) -> Iterator[None]:
        """Restart with these *versions* alone, and ask clients for a *certificate*."""
        self._restart(versions, certificate=certificate)
        try:
            yield
        finally:
            self._restart()

    def _restart(self, versions: Sequence[str] = (), *, certificate: bool = False) -> None:
        self.node.stop()
        self.node.configure(self._configuration(versions, certificate=certificate))
        self.node.start()

    def _configuration(self, versions: Sequence[str] = (), *, certificate: bool = False) -> str:
        lines = [
            f"listeners.ssl.1 = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {self.trusted}",
            f"ssl_options.certfile = {self.pair.certificate}",
            f"ssl_options.keyfile = {self.pair.key}",
            *(f"ssl_options.versions.{n} = {name}" for n, name in enumerate(versions, start=1)),
        ]
        return "\n".join(lines) + "\n" + (_WANTS_CERTIFICATE if certificate else "")
