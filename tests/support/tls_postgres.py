"""A PostgreSQL with TLS that knows the role orderd by its certificate alone."""

import os
import pwd
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psycopg2

from tests.support.authority import Authority, KeyPair
from tools.installation import Installation
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

_HBA = """\
local all all trust
host all postgres 127.0.0.1/32 trust
hostssl all orderd 127.0.0.1/32 cert
"""


class TlsPostgres:
    """A server with a certificate of *authority*; *settings* are further ones of the server."""

    def __init__(
        self, scratch: Path, authority: Authority, installation: Installation, **settings: str
    ) -> None:
        scratch.mkdir()
        # The user postgres has to get through.
        scratch.chmod(0o711)
        self.authority = authority
        self.pair = KeyPair(scratch / "server.pem", scratch / "server.key.pem")
        self.ca_file = scratch / "ca.pem"
        self.ca_file.write_bytes(authority.certificate.read_bytes())
        hba = scratch / "pg_hba.conf"
        hba.write_text(_HBA)
        own = {
            "ssl": "on",
            "ssl_cert_file": str(self.pair.certificate),
            "ssl_key_file": str(self.pair.key),
            "ssl_ca_file": str(self.ca_file),
            "hba_file": str(hba),
        }
        self.server = PrivatePostgres(
            scratch / "server", fsync=False, settings=own | settings, installation=installation
        )
        self._put(authority.issue("postgresql"))

    def start(self) -> None:
        """Start, with the role orderd."""
        self.server.start()
        self.server.run("CREATE ROLE orderd LOGIN SUPERUSER")

    def present(self, pair: KeyPair) -> None:
        """Show another certificate from the next connection on."""
        before = self._loaded_at()
        self._put(pair)
        # The moment has to differ.
        time.sleep(0.01)
        self.server.run("SELECT pg_reload_conf()")
        wait_until(lambda: self._loaded_at() > before, timeout_s=20, what="settings read again")

    def dsn(
        self,
        client: KeyPair | None = None,
        *,
        database: str = "postgres",
        ca_file: Path | None = None,
        mode: str = "verify-full",
        user: str = "orderd",
    ) -> str:
        """Return a connection string for a role, with TLS and a client certificate if given."""
        parts = [
            f"host=127.0.0.1 port={self.server.port} dbname={database} user={user}",
            f"sslmode={mode} sslrootcert={ca_file or self.ca_file}",
        ]
        if client is not None:
            parts.append(f"sslcert={client.certificate} sslkey={client.key}")
        return " ".join(parts)

    def _put(self, pair: KeyPair) -> None:
        self.pair.replace_by(pair)
        self.pair.key.chmod(0o600)
        if os.geteuid() == 0:
            # As whom the server runs then.
            os.chown(self.pair.key, pwd.getpwnam("postgres").pw_uid, -1)

    def _loaded_at(self) -> datetime:
        with (
            closing(psycopg2.connect(self.server.admin_dsn)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_conf_load_time()")
            ((moment,),) = cursor.fetchall()
            assert isinstance(moment, datetime)
            return moment
