"""The role that the documentation describes can do what orderd needs."""

from contextlib import closing

from orderd.db.connection import Database
from orderd.db.migrations import check_schema


def test_the_documented_rights_are_enough_to_compare_the_tables(limited_url: str) -> None:
    with closing(Database(limited_url)) as database:
        assert check_schema(database) == []
