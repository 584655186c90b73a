"""What is told of a server's error: kind, SQLSTATE and names; never a value of a row."""

from collections.abc import Iterator
from contextlib import closing
from traceback import format_exception

import pytest

from orderd.db.connection import Database
from orderd.db.faults import LockedOut, RowFault, SchemaFault, TransactionConflict
from orderd.logs.lines import error_text

RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'no % here', NEW.username USING ERRCODE = '{}', DETAIL = NEW.email;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()
"""
ADD_USER = "INSERT INTO users (username, email) VALUES ('hunter2', 'hunter2@x.org')"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


def run(database: Database, statement: str) -> None:
    with database.transaction() as tx:
        tx.run(statement)


@pytest.mark.parametrize(
    ("change", "statement", "fault", "told"),
    [
        (
            "ALTER TABLE users ADD CONSTRAINT short CHECK (length(username) < 3)",
            ADD_USER,
            RowFault,
            "check violation (SQLSTATE 23514): constraint short",
        ),
        (
            ADD_USER,
            ADD_USER.replace("'hunter2'", "'b'"),
            TransactionConflict,
            "unique violation (SQLSTATE 23505): constraint users_email_key",
        ),
        (
            "SELECT 1",
            "INSERT INTO users (username, full_name) VALUES ('hunter2', 'hunter2')",
            RowFault,
            "not null violation (SQLSTATE 23502): column users.email",
        ),
        (
            "SELECT 1",
            "SELECT 'hunter2'::integer",
            RowFault,
            "invalid text representation (SQLSTATE 22P02)",
        ),
        (RAISE.format("P0001"), ADD_USER, RowFault, "raise exception (SQLSTATE P0001)"),
        (RAISE.format("P7777"), ADD_USER, RowFault, "error (SQLSTATE P7777)"),
        (RAISE.format("42501"), ADD_USER, SchemaFault, "insufficient privilege (SQLSTATE 42501)"),
        (RAISE.format("55P03"), ADD_USER, LockedOut, "lock not available (SQLSTATE 55P03)"),
        (
            "SELECT 1",
            "SELECT 'hunter2' FROM elsewhere",
            SchemaFault,
            'relation "elsewhere" does not exist (SQLSTATE 42P01)',
        ),
        (
            "SELECT 1",
            "SET LOCAL ROLE pg_monitor; SELECT 'hunter2' FROM users",
            SchemaFault,
            "permission denied for table users (SQLSTATE 42501)",
        ),
        (
            "SELECT 1",
            "SELECT 'hunter2' FROM FROM",
            SchemaFault,
            "syntax error (SQLSTATE 42601)",
        ),
    ],
)
def test_no_value_is_told(
    database: Database, change: str, statement: str, fault: type[Exception], told: str
) -> None:
    run(database, change)

    with pytest.raises(fault) as caught:
        run(database, statement)

    assert str(caught.value) == told
    # In the header of a dead letter, and in the log.
    assert "hunter2" not in "".join(format_exception(caught.value))
    assert "hunter2" not in error_text(caught.value, trace=True)
