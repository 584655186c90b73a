"""The record of how commands are authorized, kept by daemons with the documented rights."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from orderd.config.load import Settings, load
from orderd.daemon.authorization_record import AuthorizationRecord
from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage
from orderd.pipeline.receipts import Receipts
from orderd.runtime.config_errors import ConfigError
from tests.integration.pipeline.shop import Connection, Shop

SHA256 = "ab" * 32


def settings(file: Path, text: str) -> Settings:
    file.write_text(text)
    return load(None, {}, {}, default_file=file, secrets_directory=file.parent / "no")


@pytest.fixture
def none(tmp_path: Path) -> Settings:
    return settings(tmp_path / "empty.toml", "")


@pytest.fixture
def none_said(tmp_path: Path) -> Settings:
    return settings(tmp_path / "none.toml", 'authorization = "none"')


@pytest.fixture
def tokens(tmp_path: Path) -> Settings:
    return settings(tmp_path / "tokens.toml", f'[tokens.shop]\nsha256 = "{SHA256}"\nallow = ["*"]')


@pytest.fixture
def database(limited_url: str) -> Iterator[Database]:
    with closing(Database(limited_url)) as database:
        yield database


def record(shop: Shop) -> list[tuple[str]]:
    return shop.query("SELECT mode FROM last_authorization")


def test_the_record_follows_the_settings_but_a_start_takes_no_protection_from_it(
    shop: Shop, database: Database, none: Settings, none_said: Settings, tokens: Settings
) -> None:
    running = AuthorizationRecord(database, Receipts())
    for wanted, mode in ((none, "none"), (tokens, "tokens"), (tokens, "tokens")):
        running.remember(wanted)
        assert record(shop) == [(mode,)]

    with pytest.raises(ConfigError, match="would change from tokens to none"):
        AuthorizationRecord(database, Receipts()).remember(none)

    assert record(shop) == [("tokens",)]
    AuthorizationRecord(database, Receipts()).remember(none_said)
    assert record(shop) == [("none",)]
    AuthorizationRecord(database, Receipts()).remember(none)


def test_two_that_start_at_once_leave_the_record_of_the_protected_one(
    shop: Shop,
    database: Database,
    session: Connection,
    none: Settings,
    threads: ThreadPoolExecutor,
) -> None:
    with session.cursor() as cursor:
        cursor.execute("INSERT INTO last_authorization (mode) VALUES ('tokens')")
    unprotected = threads.submit(AuthorizationRecord(database, Receipts()).remember, none)
    shop.wait_until_blocked()

    session.commit()

    assert isinstance(unprotected.exception(), ConfigError)
    assert record(shop) == [("tokens",)]


def test_a_record_that_cannot_be_written_is_waited_for(
    shop: Shop, database: Database, session: Connection, tokens: Settings
) -> None:
    protection = AuthorizationRecord(database, Receipts())
    with session.cursor() as cursor:
        cursor.execute("LOCK TABLE last_authorization")
        with pytest.raises(DatabaseOutage, match="last_authorization cannot be written"):
            protection.remember(tokens)
    session.rollback()

    protection.remember(tokens)

    assert record(shop) == [("tokens",)]
