"""`orderctl grants`, without a server: names are what they are, whatever they contain."""

import pytest

from orderd.ctl.grants.database import Grants, literal, quoted, script
from orderd.ctl.grants.rabbitmq import script as commands
from orderd.db.search_path import schema_of
from orderd.protocol.roles import DEFAULT_NAMES, Role


@pytest.mark.parametrize(
    ("dsn", "schema"),
    [
        ("postgresql://localhost/shop", "public"),
        ("postgresql://localhost/shop?options=-csearch_path%3Dshop", "shop"),
        ("dbname=shop options='-c search_path=shop,public'", "shop"),
        ("dbname=shop options='-c work_mem=1MB --search_path=Shop'", "shop"),
        ("dbname=shop options='-csearch_path=\"$user\",shop'", "shop"),
        ("dbname=shop options='-csearch_path=\"Sh\\\\ op\"'", "Sh op"),
        ("dbname=shop options='-csearch_path=a -csearch_path=b'", "b"),
        ("dbname=shop options='-csearch_path='", "public"),
    ],
)
def test_the_schema_is_the_first_of_the_search_path(dsn: str, schema: str) -> None:
    assert schema_of(dsn) == schema


def test_names_are_quoted_wherever_they_stand() -> None:
    assert quoted('a"b') == '"a""b"'
    assert literal("a'b") == "'a''b'"
    assert literal("a\\'b") == "E'a\\\\''b'"
    names = DEFAULT_NAMES | {Role.DAEMON: "'; DROP TABLE users; --"}

    printed = script(Grants([Role.DAEMON], names, 'sh"op'))

    assert "'''; DROP TABLE users; --'" in printed
    assert 'TO "\'; DROP TABLE users; --";' in printed
    assert '"sh""op"."users"' in printed


def test_a_name_is_one_word_for_the_shell() -> None:
    names = DEFAULT_NAMES | {Role.READER: "$(reboot) 'x'"}

    printed = commands([Role.READER], names, "my vhost")

    assert """user '$(reboot) '"'"'x'"'"''\n""" in printed
    assert "-p 'my vhost' " in printed
    assert printed.endswith("} </dev/null\n")


def test_each_role_may_be_printed_alone() -> None:
    for role in Role:
        printed = script(Grants([role], DEFAULT_NAMES, "public"))
        assert f"-- {role}: " in printed
        assert ("GRANT SELECT" in printed) is (role is not Role.OWNER)
        assert ("ALTER TABLE" in printed) is (role is Role.OWNER)
