"""What the database keeps of authorization: how it was last done, and the key of receipts."""

from orderd.config.authorization import is_none_said, lost_protection
from orderd.config.settings import Settings
from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, RowFault, TransactionConflict
from orderd.pipeline.receipts import Receipts, read_key
from orderd.runtime.config_errors import ConfigError


class AuthorizationRecord:
    """The record of the mode in force."""

    def __init__(self, database: Database, receipts: Receipts) -> None:
        """Keep the record in *database*, which need not be connected yet; let *receipts* use it."""
        self._database = database
        self._receipts = receipts
        self._remembered: str | None = None

    def remember(self, settings: Settings) -> None:
        """Put the mode of *settings* on record, once per change, in a transaction of its own.

        Raises `ConfigError` where a start would take away the protection that is on record,
        `DatabaseOutage` where nothing can be written, and `SchemaFault` where the key is missing.
        """
        mode = settings.authorization_mode
        if mode == self._remembered:
            return
        try:
            with self._database.transaction() as tx:
                tx.later("remember_authorization", mode=mode, is_none_said=is_none_said(settings))
                (last,) = tx.row("last_authorization")
                self._receipts.use(read_key(tx))
        except (TransactionConflict, RowFault) as fault:
            raise DatabaseOutage(f"last_authorization cannot be written: {fault}") from fault
        problem = lost_protection(last, settings)
        # What a running daemon may change to was decided when it was reloaded.
        if problem is not None and self._remembered is None:
            raise ConfigError([problem])
        self._remembered = mode
