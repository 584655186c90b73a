"""What each role must not be able to do with the database, tried by it."""

from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from orderd.db.privileges import PRIVILEGES, TABLES
from orderd.protocol.roles import Role
from tests.support.grants import Roles

NOT_THE_OWNER = (Role.DAEMON, Role.NOTIFY, Role.READER)
TO_THE_SERVER = (
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY users TO PROGRAM 'true'",
    "CREATE ROLE other",
    "CREATE DATABASE other",
    "ALTER SYSTEM SET fsync = off",
    "SET SESSION AUTHORIZATION postgres",
)
TO_THE_SCHEMA = (
    "CREATE TABLE other (id int)",
    "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA other",
    "DROP TABLE users CASCADE",
    "ALTER TABLE users ADD COLUMN other int",
    "ALTER TABLE users OWNER TO CURRENT_USER",
    "ALTER TABLE users DISABLE TRIGGER ALL",
    "CREATE INDEX ON users (id)",
    "CREATE TRIGGER other BEFORE UPDATE ON users EXECUTE FUNCTION unique_key_recheck()",
    "CREATE RULE other AS ON INSERT TO users DO INSTEAD NOTHING",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
    "SELECT setval('users_id_seq', 1)",
    "ALTER SEQUENCE users_id_seq RESTART",
    "INSERT INTO schema_migrations VALUES (9999, 'other', 'other')",
    "DELETE FROM schema_migrations",
    *(f"TRUNCATE {table} CASCADE" for table in TABLES),
)
BY_THE_DAEMON = (
    # What was settled stays as it was told.
    "DELETE FROM processed_requests",
    "UPDATE processed_requests SET outcome = 'applied'",
    # Rows stay, and whose they are.
    "DELETE FROM users",
    "DELETE FROM products",
    "DELETE FROM orders",
    "UPDATE users SET username = 'other'",
    "UPDATE users SET id = 1",
    "UPDATE orders SET user_id = 1",
    "UPDATE orders SET created_at = now()",
    "UPDATE order_items SET unit_price = 0",
    "UPDATE order_items SET product_id = 1",
    "UPDATE notifications SET state = 'sent'",
    "DELETE FROM notifications",
    "DELETE FROM last_authorization",
)
UNKNOWN_TO_NOTIFY = [table for table in TABLES if table not in PRIVILEGES[Role.NOTIFY]]
BY_NOTIFY = (
    *(f"SELECT * FROM {table}" for table in UNKNOWN_TO_NOTIFY),  # noqa: S608
    *(f"DELETE FROM {table}" for table in UNKNOWN_TO_NOTIFY),  # noqa: S608
    "SELECT created_at FROM users",
    "SELECT revision FROM users",
    "UPDATE users SET email = 'other@example.org'",
    "INSERT INTO users (username, email) VALUES ('other', 'other@example.org')",
    "DELETE FROM users",
    "SELECT id FROM users FOR UPDATE",
    "INSERT INTO outbox (message_id, type, body) VALUES (gen_random_uuid(), 'other', '{}')",
    "UPDATE last_authorization SET mode = 'none'",
    "SELECT nextval('users_id_seq')",
    "DELETE FROM notifications",
)
BY_A_READER = (
    *(f"INSERT INTO {table} DEFAULT VALUES" for table in TABLES),
    *(f"DELETE FROM {table}" for table in TABLES),  # noqa: S608
    "UPDATE users SET email = 'other@example.org'",
    "UPDATE orders SET status = 'cancelled'",
    "UPDATE outbox SET not_before = 'infinity'",
    "UPDATE queue_pauses SET ends_at = now()",
    "UPDATE last_authorization SET mode = 'none'",
    "SELECT id FROM users FOR UPDATE",
    "SELECT id FROM users FOR KEY SHARE",
    "BEGIN; LOCK TABLE users IN SHARE MODE",
    *(f"SELECT nextval('{table}_id_seq')" for table in ("users", "orders", "outbox")),
)
TRIED = (
    *((role, statement) for role in Role for statement in TO_THE_SERVER),
    *((role, statement) for role in NOT_THE_OWNER for statement in TO_THE_SCHEMA),
    *((Role.DAEMON, statement) for statement in BY_THE_DAEMON),
    *((Role.NOTIFY, statement) for statement in BY_NOTIFY),
    *((Role.READER, statement) for statement in BY_A_READER),
    # The schema is its own, and no other.
    (Role.OWNER, "CREATE SCHEMA other"),
    (Role.OWNER, "SELECT * FROM elsewhere.theirs"),
    (Role.OWNER, "DROP TABLE elsewhere.theirs"),
    (Role.OWNER, "CREATE TABLE elsewhere.other (id int)"),
    (Role.DAEMON, "SELECT * FROM elsewhere.theirs"),
)


@pytest.fixture(scope="module", autouse=True)
def elsewhere(granted_url: str) -> None:
    """A table of somebody else in the same database."""
    with closing(psycopg2.connect(granted_url)) as session, session, session.cursor() as cursor:
        cursor.execute("CREATE SCHEMA elsewhere")
        cursor.execute("CREATE TABLE elsewhere.theirs (id int)")


@pytest.mark.parametrize(("role", "statement"), TRIED)
def test_a_role_is_refused_what_is_not_its_own(
    sessions: dict[Role, Any], role: Role, statement: str
) -> None:
    with sessions[role].cursor() as cursor:
        with pytest.raises(InsufficientPrivilege):
            cursor.execute(statement)
        cursor.execute("ROLLBACK")


@pytest.mark.parametrize("role", NOT_THE_OWNER)
def test_a_role_passes_nothing_on(sessions: dict[Role, Any], granted_url: str, role: Role) -> None:
    with sessions[role].cursor() as cursor, suppress(InsufficientPrivilege):
        # PostgreSQL refuses it, or warns that nothing was granted.
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")

    with closing(psycopg2.connect(granted_url)) as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class, aclexplode(relacl) "
            "WHERE relnamespace = 'public'::regnamespace AND grantee = 0"
        )
        assert cursor.fetchall() == []


@pytest.mark.parametrize(
    ("role", "other"), [(role, other) for role in Role for other in Role if role is not other]
)
def test_no_role_becomes_another(
    sessions: dict[Role, Any], roles: Roles, role: Role, other: Role
) -> None:
    with sessions[role].cursor() as cursor, pytest.raises(InsufficientPrivilege):
        cursor.execute(f'SET ROLE "{roles.names[other]}"')
