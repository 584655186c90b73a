"""Each role has the privileges that PostgreSQL asks for in its queries, and not one more."""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import connection as Connection  # noqa: N812 - classes with small names
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from orderd.db.privileges import PRIVILEGES, TABLES
from orderd.db.queries import sql_folder
from orderd.protocol.roles import Role
from tests.support.grants import Roles

_BLOCK = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s(::\w+(\[\])?)?")
FILES = {
    file.name.removesuffix(".sql"): dict(
        zip(*(iter(_BLOCK.split(file.read_text())[1:]),) * 2, strict=True)
    )
    for file in sql_folder("queries").iterdir()
}
QUERIES = {name: sql for queries in FILES.values() for name, sql in queries.items()}
# What only the owner of the tables may do: migrations, and `orderctl prune`.
OF_OWNER = {
    *("create_schema_migrations", "record_migration", "prune_ledger", "prune_notifications"),
    *(name for name in QUERIES if name.startswith("validate_")),
}
OF_NOTIFY = {*FILES["notifications"], "reopen_digests"}
# What each daemon asks, whatever it works on; and what orderctl asks for it.
OF_BOTH = {
    name
    for file in ("batch", "clock", "fleet", "locks", "pauses", "schema", "session", "tries")
    for name in FILES[file]
}
BY_ORDERCTL_NOTIFY = {"list_notifications", "read_notifications", "find_told"}
CHANGES = {"release_outbox", "reopen_digests"}
READ = {
    *FILES["ctl"],
    *FILES["ctl_notifications"],
    *("read_tries", "list_daemons", "list_pauses", "last_authorization", "count_outbox"),
    *("applied_migrations", "describe_columns", "find_tables", "find_session", "tell_time"),
    *(name for name in QUERIES if name.startswith("read_") and name.endswith("s")),
}
ASKED_BY = {
    Role.DAEMON: QUERIES.keys() - OF_OWNER - OF_NOTIFY,
    Role.NOTIFY: (OF_NOTIFY | OF_BOTH | BY_ORDERCTL_NOTIFY) - OF_OWNER,
    Role.READER: READ - OF_OWNER - CHANGES,
}
EACH_QUERY = [(role, name) for role, names in ASKED_BY.items() for name in sorted(names)]


def pieces(privilege: str) -> Iterator[str]:
    """Yield *privilege*, a column at a time where it is one of columns."""
    kind, _, columns = privilege.partition(" (")
    for column in columns.removesuffix(")").split(", "):
        yield f"{kind} ({column})" if column else kind


EACH_PRIVILEGE = [
    (role, table, piece)
    for role, privileges in PRIVILEGES.items()
    for table, granted in privileges.items()
    for privilege in granted
    for piece in pieces(privilege)
]


@pytest.fixture(scope="module")
def session(granted_url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(granted_url)) as session:
        yield session


@pytest.fixture
def cursor(session: Connection) -> Iterator[Cursor]:
    """A transaction of the superuser, who becomes one of the roles; nothing of it stays."""
    with session.cursor() as cursor:
        yield cursor
    session.rollback()


def explained(name: str) -> str:
    """Return the query in an EXPLAIN, which asks for all of its privileges and changes nothing."""
    text = _PARAMETER.sub(lambda found: f"NULL{found[2] or ''}", QUERIES[name])
    return f"EXPLAIN {text.replace('%%', '%')}"


def refused(cursor: Cursor, names: Iterable[str]) -> list[str]:
    """Return which of the queries the role of the session may not ask."""
    found = []
    for name in names:
        cursor.execute("SAVEPOINT before")
        try:
            cursor.execute(explained(name))
        except InsufficientPrivilege:
            found.append(name)
        cursor.execute("ROLLBACK TO before")
    return found


@pytest.mark.parametrize("role", ASKED_BY)
def test_a_role_may_ask_all_of_its_queries(cursor: Cursor, roles: Roles, role: Role) -> None:
    cursor.execute(f'SET LOCAL ROLE "{roles.names[role]}"')

    assert refused(cursor, sorted(ASKED_BY[role])) == []


@pytest.mark.parametrize("role", [Role.DAEMON, Role.NOTIFY, Role.READER])
def test_only_the_owner_prunes_and_migrates(cursor: Cursor, roles: Roles, role: Role) -> None:
    changes = sorted(OF_OWNER - {"create_schema_migrations"} - set(validations()))
    cursor.execute(f'SET LOCAL ROLE "{roles.names[role]}"')

    assert refused(cursor, changes) == changes


def validations() -> list[str]:
    """Return the queries of OF_OWNER that EXPLAIN does not take."""
    return [name for name in OF_OWNER if name.startswith("validate_")]


@pytest.mark.parametrize(("role", "table", "piece"), EACH_PRIVILEGE)
def test_without_any_one_privilege_a_query_of_the_role_is_refused(
    cursor: Cursor, roles: Roles, role: Role, table: str, piece: str
) -> None:
    name = roles.names[role]
    about = [one for one in sorted(ASKED_BY[role]) if re.search(rf"\b{table}\b", QUERIES[one])]
    cursor.execute(f'REVOKE {piece} ON {table} FROM "{name}"')
    cursor.execute(f'SET LOCAL ROLE "{name}"')

    assert refused(cursor, about), f"{role} has no need of {piece} on {table}"


def test_every_table_has_its_line(cursor: Cursor) -> None:
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )

    assert {name for (name,) in cursor.fetchall()} == set(TABLES)
