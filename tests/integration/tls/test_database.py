"""What keeps orderd from a database with TLS is said in one line, with the host."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orderd.db.connection import Database
from orderd.db.faults import DatabaseRefused
from tests.support.authority import Authority
from tests.support.tls_postgres import TlsPostgres
from tests.support.versions import chosen_installation


@pytest.fixture
def server(tls_postgres: TlsPostgres) -> Iterator[TlsPostgres]:
    """The server, with a good certificate again after the test."""
    yield tls_postgres
    tls_postgres.present(tls_postgres.authority.issue("restored"))


def refusal(dsn: str) -> str:
    with closing(Database(dsn)) as database, pytest.raises(DatabaseRefused) as caught:
        database.connect()
    text = str(caught.value)
    assert "\n" not in text
    return text


def failing(server: TlsPostgres, reason: str) -> str:
    port = server.server.port
    return f'TLS fails: connection to server at "127.0.0.1", port {port} failed: {reason}'


def test_both_certificates_are_accepted(server: TlsPostgres, authority: Authority) -> None:
    client = authority.issue("pg-client", ["client"], subject="orderd")

    with closing(Database(server.dsn(client))) as database:
        database.connect()
        assert database.is_connected


def test_an_unknown_authority(
    server: TlsPostgres, authority: Authority, other_authority: Authority
) -> None:
    client = authority.issue("pg-client", ["client"], subject="orderd")

    text = refusal(server.dsn(client, ca_file=other_authority.certificate))

    assert text.startswith(failing(server, "SSL error: certificate verify failed: self-signed"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "SSL error: certificate verify failed: certificate has expired"),
        ("not_yet_valid", "SSL error: certificate verify failed: certificate is not yet valid"),
    ],
)
def test_a_certificate_out_of_its_time(
    server: TlsPostgres, authority: Authority, kind: str, reason: str
) -> None:
    server.present(getattr(authority, kind)())

    assert refusal(server.dsn()) == failing(server, reason)


def test_a_certificate_for_another_host(server: TlsPostgres, authority: Authority) -> None:
    server.present(authority.issue("elsewhere", ["db.example.com"]))

    text = refusal(server.dsn())

    assert text.startswith(failing(server, 'server certificate for "db.example.com"'))
    assert text.endswith('does not match host name "127.0.0.1"')


def test_a_client_certificate_that_is_missing_or_refused(
    server: TlsPostgres, authority: Authority, other_authority: Authority
) -> None:
    foreign = other_authority.issue("pg-foreign", ["client"], subject="orderd")
    somebody = authority.issue("pg-somebody", ["client"], subject="somebody")

    assert "connection requires a valid client certificate" in refusal(server.dsn())
    assert refusal(server.dsn(foreign)) == failing(server, "SSL error: tlsv1 alert unknown ca")
    assert refusal(server.dsn(somebody)).startswith("login refused for role orderd: ")


def test_files_that_are_not_there(server: TlsPostgres, tmp_path: Path) -> None:
    text = refusal(server.dsn(ca_file=tmp_path / "none.pem"))

    assert text.startswith(failing(server, f'root certificate file "{tmp_path}/none.pem" does not'))


def test_a_server_without_tls(scratch: Path, authority: Authority) -> None:
    plain = TlsPostgres(scratch / "plain", authority, chosen_installation(), ssl="off")
    try:
        plain.server.start()
        text = refusal(plain.dsn(user="postgres"))
    finally:
        plain.server.close()

    assert text == failing(plain, "server does not support SSL, but SSL was required")


def test_a_server_with_old_versions_alone(scratch: Path, authority: Authority) -> None:
    old = TlsPostgres(
        scratch / "old",
        authority,
        chosen_installation(),
        ssl_min_protocol_version="TLSv1",
        ssl_max_protocol_version="TLSv1.1",
        ssl_ciphers="ALL:@SECLEVEL=0",
    )
    try:
        old.server.start()
        text = refusal(old.dsn(user="postgres"))
    finally:
        old.server.close()

    assert "alert protocol version" in text
