"""Schema migrations: forward only, one transaction each, each with its checksum on record."""

import errno
from collections.abc import Callable
from hashlib import sha256

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, SchemaFault, TablesChanged
from orderd.db.queries import sql_folder
from orderd.db.search_path import is_migrated
from orderd.db.shape import differences, weakened
from orderd.db.transaction import Transaction
from orderd.protocol.values import value
from orderd.runtime.installation import migrate_command


@value
class Migration:
    """One file of ``sql/migrations``."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return what tells whether the file was changed after it was applied."""
        return sha256(self.sql.encode()).hexdigest()


def _quietly(_name: str) -> None:
    """Report nothing."""


def load_migrations() -> list[Migration]:
    """Return the migrations this version of orderd brings, oldest first."""
    found = []
    try:
        for source in sorted(sql_folder("migrations").iterdir(), key=lambda file: file.name):
            if source.name.endswith(".sql"):
                name = source.name.removesuffix(".sql")
                sql = source.read_text(encoding="utf-8")
                found.append(Migration(int(name.partition("_")[0]), name, sql))
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise
        raise DatabaseOutage(f"the migrations cannot be read: {error.strerror}") from error
    return found


def pending_migrations(database: Database) -> list[Migration]:
    """Return what is still to be applied.

    Raises `SchemaFault` where history was changed, or the tables were.
    """
    with database.transaction() as tx:
        pending = _pending(tx)
        if not pending:
            _raise_if_changed(tx)
        return pending


def migrate(database: Database, on_applied: Callable[[str], None] = _quietly) -> list[str]:
    """Apply every pending migration and return their names, in order.

    *on_applied* is given each name once it is committed. Whoever else migrates the same database
    at the same time waits and then finds nothing to do.
    """
    applied: list[str] = []
    while True:
        with database.transaction() as tx:
            tx.later("take_time_to_migrate")
            tx.rows("lock_migrations")
            pending = _pending(tx)
            if not pending:
                _raise_if_changed(tx)
                return applied
            migration = pending[0]
            tx.later("create_schema_migrations")
            tx.run(migration.sql.rstrip().removesuffix(";"))
            tx.later(
                "record_migration",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
            )
        applied.append(migration.name)
        on_applied(migration.name)


def check_schema(database: Database) -> list[str]:
    """Return which indexes and constraints are missing; orderd can work without them.

    Raises `SchemaFault` where the schema is not what this version of orderd needs.
    """
    with database.transaction() as tx:
        if pending := _pending(tx):
            names = ", ".join(migration.name for migration in pending)
            raise SchemaFault(f"the schema lacks {names}; run: {migrate_command()}")
        _raise_if_changed(tx)
        return weakened(tx)


def _pending(tx: Transaction) -> list[Migration]:
    known = load_migrations()
    if not is_migrated(tx):
        return known
    applied = {
        version: (name, checksum) for version, name, checksum in tx.rows("applied_migrations")
    }
    for migration in known:
        name, checksum = applied.get(migration.version, (migration.name, migration.checksum))
        if (name, checksum) != (migration.name, migration.checksum):
            raise SchemaFault(f"migration {name} was applied in another form than this version has")
    return [migration for migration in known if migration.version not in applied]


def _raise_if_changed(tx: Transaction) -> None:
    """Raise `TablesChanged` where a value could not come back as it was sent."""
    found = differences(tx)
    if found:
        raise TablesChanged(f"the tables do not fit: {'; '.join(found)}")
