"""Least privilege in PostgreSQL, as a script for psql that may be run again at any time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from orderd.db.migrations import load_migrations
from orderd.db.privileges import TABLES, WITH_IDS, by_privileges
from orderd.protocol.roles import PURPOSES, Role
from orderd.protocol.values import value

_HEAD: Final = r"""-- Least privilege for orderd in PostgreSQL. Run it with psql, as a superuser:
--   orderctl grants --database | psql -d DATABASE
-- It may be run again at any time, and should be after each orderctl migrate.
-- Roles are created without a password. To set one, in psql: \password ROLE
\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
SET LOCAL lock_timeout = '5s';
-- Nothing that others have created is called by this.
SET LOCAL search_path = pg_catalog, pg_temp;
"""
_PUBLIC: Final = "public"
_NAMES_PER_LINE: Final = 4


@value
class Grants:
    """For which *roles* grants are wanted, what all are called, and where the tables are."""

    roles: Sequence[Role]
    names: Mapping[Role, str]
    schema: str


def script(grants: Grants) -> str:
    """Return the script, with the end of its last line."""
    parts = [_HEAD, _found(grants), *(_role(grants, role) for role in grants.roles)]
    parts.append(_superusers(grants))
    if Role.OWNER in grants.roles:
        parts.append(_ownership(grants))
    parts += [_schema(grants, role) for role in grants.roles]
    if others := [role for role in grants.roles if role is not Role.OWNER]:
        parts.append(_once_migrated(grants, others))
    return "".join([*parts, "\nCOMMIT;\n"])


def _found(grants: Grants) -> str:
    """Return what notes the tables that are there, as the variable `tables`."""
    return _text(
        [
            "SELECT array_agg(to_regclass(name)::oid) AS tables FROM unnest(ARRAY[",
            f"    {_list(literal(name) for name in _qualified(grants, TABLES))}",
            "]) AS name \\gset",
        ]
    )


def _role(grants: Grants, role: Role) -> str:
    name = literal(grants.names[role])
    lines = [
        f"\n-- {role}: {PURPOSES[role]}",
        f"SELECT format('CREATE ROLE %I LOGIN', {name})",
        f"WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) \\gexec",
        f"SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {name}) \\gexec",
    ]
    if grants.schema != _PUBLIC:
        lines += [
            "SELECT format('ALTER ROLE %I IN DATABASE %I SET search_path = %I',",
            f"    {name}, current_database(), {literal(grants.schema)}) \\gexec",
        ]
    return _text(lines)


def _superusers(grants: Grants) -> str:
    names = ", ".join(literal(grants.names[role]) for role in grants.roles)
    return _text(
        [
            "\n-- a superuser is limited by nothing",
            "SELECT count(*) > 0 AS are_superusers, string_agg(rolname, ', ') AS superusers",
            f"FROM pg_roles WHERE rolsuper AND rolname IN ({names}) \\gset",
            "\\if :are_superusers",
            "\\warn 'limited by nothing, because superuser:' :superusers",
            "\\endif",
        ]
    )


def _ownership(grants: Grants) -> str:
    """Return what makes the owner's role create and own the tables, and no other role."""
    owner, schema = literal(grants.names[Role.OWNER]), quoted(grants.schema)
    others = ", ".join(
        literal(name) for role, name in grants.names.items() if role is not Role.OWNER
    )
    lines = ["\n-- who owns tables, schema or database may do anything with them: the owner alone"]
    if grants.schema != _PUBLIC:
        lines.append(f"CREATE SCHEMA IF NOT EXISTS {schema};")
    lines += [
        f"SELECT format('ALTER DATABASE %I OWNER TO %I', datname, {owner})",
        "FROM pg_database",
        f"WHERE datname = current_database() AND pg_get_userbyid(datdba) IN ({others}) \\gexec",
        f"SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, {owner})",
        "FROM pg_namespace",
        f"WHERE nspname = {literal(grants.schema)}",
        f"    AND pg_get_userbyid(nspowner) IN ({others}) \\gexec",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;",
        f"SELECT format('ALTER TABLE %s OWNER TO %I', oid::regclass, {owner})",
        "FROM pg_class",
        f"WHERE oid = ANY (:'tables') AND pg_get_userbyid(relowner) <> {owner} \\gexec",
    ]
    return _text(lines)


def _schema(grants: Grants, role: Role) -> str:
    name, schema = quoted(grants.names[role]), quoted(grants.schema)
    rights = "USAGE, CREATE" if role is Role.OWNER else "USAGE"
    return _text(
        [
            f"REVOKE ALL ON SCHEMA {schema} FROM {name};",
            f"GRANT {rights} ON SCHEMA {schema} TO {name};",
        ]
    )


def _once_migrated(grants: Grants, roles: Sequence[Role]) -> str:
    latest = load_migrations()[-1].version
    owner = grants.names[Role.OWNER]
    (history,) = _qualified(grants, ["schema_migrations"])
    warning = f"Some tables are missing: run orderctl migrate as {owner}, then this script again."
    lines = [
        f"\n-- the tables, once all migrations up to {latest:04} are applied",
        f"SELECT to_regclass({literal(history)}) IS NOT NULL AS is_migrated \\gset",
        "\\if :is_migrated",
        "SELECT count(*) > 0 AS is_migrated",
        f"FROM {history} WHERE version >= {latest} \\gset",
        "\\endif",
        "\\if :is_migrated",
    ]
    bodies = [_tables(grants, role) for role in roles]
    return _text(lines) + "".join(bodies) + f"\\else\n\\warn {_argument(warning)}\n\\endif\n"


def _tables(grants: Grants, role: Role) -> str:
    """Return what takes everything of the tables from the role, and gives it what it needs."""
    name = quoted(grants.names[role])
    lines = [
        f"\n-- {role}: this, and nothing else",
        f"REVOKE ALL ON\n    {_list(_qualified(grants, TABLES))}\n    FROM {name};",
        "SELECT format('REVOKE ALL ON SEQUENCE %s FROM %I', oid::regclass,",
        f"    {literal(grants.names[role])})",
        "FROM pg_class JOIN pg_depend ON objid = oid AND classid = 'pg_class'::regclass",
        "WHERE relkind = 'S' AND refclassid = 'pg_class'::regclass",
        "    AND refobjid = ANY (:'tables') \\gexec",
    ]
    for privileges, tables in by_privileges(role):
        of = _list(_qualified(grants, tables))
        lines.append(f"GRANT {', '.join(privileges)} ON\n    {of}\n    TO {name};")
    if role in WITH_IDS:
        lines += _ids(grants, role)
    return _text(lines)


def _ids(grants: Grants, role: Role) -> Iterator[str]:
    """Yield what grants the sequences of ids, also those of tables to come.

    The tables to come are not granted by default: each migration knows who needs what of its own.
    """
    owner, name = literal(grants.names[Role.OWNER]), literal(grants.names[role])
    yield f"SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', sequence, {name})"
    yield "FROM unnest(ARRAY["
    yield f"    {_list(literal(table) for table in _qualified(grants, WITH_IDS[role]))}"
    yield "]) AS name, pg_get_serial_sequence(name, 'id') AS sequence"
    yield "WHERE sequence IS NOT NULL \\gexec"
    yield "SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I"
    yield f"    GRANT USAGE ON SEQUENCES TO %I', {owner}, {literal(grants.schema)}, {name})"
    yield f"WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = {owner}) \\gexec"


def _qualified(grants: Grants, tables: Iterable[str]) -> list[str]:
    return [f"{quoted(grants.schema)}.{quoted(table)}" for table in tables]


def _list(names: Iterable[str]) -> str:
    """Return *names*, a few on each line."""
    every = list(names)
    starts = range(0, len(every), _NAMES_PER_LINE)
    rows = [every[start : start + _NAMES_PER_LINE] for start in starts]
    return ",\n    ".join(", ".join(row) for row in rows)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def quoted(name: str) -> str:
    """Return *name* as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return *text* as a string, whatever standard_conforming_strings is."""
    plain = "'" + text.replace("'", "''") + "'"
    return plain if "\\" not in text else "E" + plain.replace("\\", "\\\\")


def _argument(text: str) -> str:
    """Return *text* as one argument of a command of psql."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
