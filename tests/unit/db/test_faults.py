from traceback import format_exception
from types import SimpleNamespace

import psycopg2
import psycopg2.errors
import pytest

from orderd.db.faults import (
    DatabaseOutage,
    DatabaseRefused,
    Fault,
    LockedOut,
    RowFault,
    SchemaFault,
    ServerFault,
    TransactionConflict,
    classify,
    translated,
)

CODES = {
    Fault.CONFLICT: "0A000 26000 40001 40P01 23505",
    Fault.LOCKED: "55P03 57014",
    Fault.OUTAGE: (
        "08000 08001 08003 08004 08006 08P01 25006 25P03 28000 28P01 3D000 53100 53300 "
        "57P01 57P02 57P03 57P04 57P05 F0000"
    ),
    Fault.SERVER: "53000 53200 53400 58000 58030 58P01 XX000 XX001 XX002",
    Fault.SCHEMA: "3F000 42P01 42703 42501 42883 42601 42804",
    Fault.ROW: "22001 22003 22P02 22P05 22021 23502 23503 23514 23P01 54000 P0001 99999",
}
EXCEPTIONS = {
    Fault.OUTAGE: DatabaseOutage,
    Fault.SERVER: ServerFault,
    Fault.CONFLICT: TransactionConflict,
    Fault.LOCKED: LockedOut,
    Fault.SCHEMA: SchemaFault,
    Fault.ROW: RowFault,
}


def server_error(sqlstate: str) -> psycopg2.Error:
    """Return an error as the driver raises it for what the server says."""

    class ServerError(psycopg2.Error):
        pgcode = sqlstate

    return ServerError("server says\nDETAIL:  Failing row contains (hunter2).")


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind, codes in CODES.items() for code in codes.split()]
)
def test_a_sqlstate_says_what_an_error_means(kind: Fault, code: str) -> None:
    error = server_error(code)

    assert classify(error) is kind
    assert type(translated(error)) is EXCEPTIONS[kind]


@pytest.mark.parametrize("severity", ["FATAL", "PANIC"])
@pytest.mark.parametrize("code", CODES[Fault.SERVER].split())
def test_a_session_that_the_server_ends_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, code: str, severity: str
) -> None:
    error = server_error(code)
    monkeypatch.setattr(type(error), "diag", SimpleNamespace(severity_nonlocalized=severity))

    assert classify(error) is Fault.OUTAGE


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("23514", "check violation"),
        ("22P02", "invalid text representation"),
        ("P0001", "raise exception"),
        ("25006", "the server is read-only"),
        ("P9999", "error"),
    ],
)
def test_an_error_of_the_server_is_told_by_its_kind_alone(code: str, words: str) -> None:
    error = server_error(code)

    assert str(translated(error)) == f"{words} (SQLSTATE {code})"
    # A trace quotes the error itself too.
    assert "hunter2" not in "".join(format_exception(error))


CONNECT = 'connection to server at "h" (::1), port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('FATAL:  role "ann" does not exist', "login refused for role ann: "),
        ('FATAL:  password authentication failed for user "ann"', "login refused for role ann: "),
        ('FATAL:  Peer authentication failed for user "ann"', "login refused for role ann: "),
        ('FATAL:  role "ann" is not permitted to log in', "login refused for role ann: "),
        ("fe_sendauth: no password supplied", "login refused for role bob: "),
        ("FATAL:  SASL authentication failed", "login refused for role bob: "),
        (
            'FATAL:  permission denied for database "shop"\nDETAIL:  User does not have CONNECT.',
            "login refused for role bob: ",
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "::1", user "ann", database "shop"',
            "login refused for role ann: ",
        ),
        ('FATAL:  database "shop" does not exist', "database refused: "),
        ("FATAL:  no such database: shop", "database refused: "),
    ],
)
def test_what_is_refused_until_somebody_acts_is_told_as_that(said: str, told: str) -> None:
    # With TLS and without, the server says the same.
    fault = translated(psycopg2.OperationalError(f"{CONNECT}{said}\n{CONNECT}{said}\n"), "bob")

    assert type(fault) is DatabaseRefused
    assert str(fault) == " ".join(f"{told}{CONNECT}{said}".split())


@pytest.mark.parametrize(
    "said",
    [
        "Connection refused\n\tIs the server running on that host?",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        "FATAL:  the database system is in recovery mode",
        "session is read-only",
    ],
)
def test_a_server_that_is_away_refuses_nothing(said: str) -> None:
    assert type(translated(psycopg2.OperationalError(CONNECT + said))) is DatabaseOutage


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError("server closed the connection unexpectedly"),
        psycopg2.InterfaceError("connection already closed"),
    ],
)
def test_a_lost_connection_is_an_outage(error: psycopg2.Error) -> None:
    assert classify(error) is Fault.OUTAGE
    assert isinstance(translated(error), DatabaseOutage)


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.ProgrammingError("can't adapt type 'object'"),
        psycopg2.DataError("integer out of range"),
        psycopg2.DatabaseError("something else"),
        ValueError("A string literal cannot contain NUL (0x00) characters."),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
)
def test_a_value_that_cannot_be_sent_is_no_outage(error: Exception) -> None:
    assert classify(error) is Fault.ROW


def test_an_error_without_words_is_told_by_its_type() -> None:
    assert str(translated(psycopg2.InterfaceError())) == "InterfaceError"
