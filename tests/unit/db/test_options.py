"""The connection string: what can never work is refused, and no part of a password is shown."""

import socket

import pytest

from orderd.db.options import check_dsn, masked, shown_dsn, unchecked_hosts

LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSSLMODE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBPQ_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql:///orderd",
        "postgresql://u:p%40ss@[::1]:5432/db?sslmode=require&connect_timeout=3",
        "postgresql://u:hunter#2?@h/db",
        "postgresql://a,b:5433,c/db?target_session_attrs=any",
        "postgresql://%40abstract/db",
        "postgresql:///db?user=a@b",
        "host=a,b port=1,2 hostaddr=127.0.0.1,::1",
        "host=h port='' dbname=a@b keepalives=0 password='a b'",
        "host=@abstract",
    ],
)
def test_what_may_work_is_let_through(dsn: str) -> None:
    assert check_dsn(dsn)


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://u:%FFhunter2@h/db", "postgresql://u:\udcffhunter2@h/db", "password=\udcff"],
)
def test_of_a_string_that_is_not_utf_8_no_byte_is_shown(dsn: str) -> None:
    with pytest.raises(ValueError, match=r"^database_url: is not UTF-8$"):
        check_dsn(dsn)
    assert shown_dsn(dsn) == "***"


@pytest.mark.parametrize(
    ("dsn", "named"),
    [
        ("host=h password=hun ter2", "is not one that libpq can read"),
        ("postgresql://u:hunter2%zz@h/db", "is not one that libpq can read"),
        ("postgresql://u:hunter2/pw@h/db", "port"),
        ("postgresql://u:1234/hunter2@h/db", "host"),
        ("postgresql://u:pw@hunter2@h/db", "host"),
        ("user=u host=hunter2@h", "host"),
        ("port=hunter2", "port"),
        ("port=0", "port"),
        ("host=a,b port=1,65536", "port"),
        ("host=a port=1,2", "port"),
        ("host=a,b port=1,2,3", "port"),
        ("hostaddr=hunter2", "hostaddr"),
        ("host=a hostaddr=127.0.0.1,::1", "hostaddr"),
        ("keepalives_idle=hunter2", "keepalives_idle"),
        ("connect_timeout=5s", "connect_timeout"),
        ("sslmode=hunter2", "sslmode"),
        ("sslmode=require target_session_attrs=hunter2", "target_session_attrs"),
        ("gssencmode=hunter2 channel_binding=hunter2", "channel_binding"),
        ("service=hunter2", "service"),
    ],
)
def test_what_can_never_work_is_refused_by_the_name_of_its_option(dsn: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"^database_url: (.*; )?{named}") as caught:
        check_dsn(dsn)

    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)
    # Nor may a trace say more.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(("name", "value"), [("PGPORT", "hunter2"), ("PGSSLMODE", "hunter2")])
def test_a_variable_that_can_never_work_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=name) as caught:
        check_dsn("host=h")

    assert "hunter2" not in str(caught.value)


def test_checking_connects_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(port))

        check_dsn(f"host=localhost port={port} hostaddr=127.0.0.1")
        check_dsn("user=u")

        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql:///orderd", "postgresql:///orderd"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://u:hunter2@h/db?x=1", "***"),
        ("postgresql://u:hunter2@h:5/db?sslmode=off", "postgresql://u:***@h:5/db?sslmode=off"),
        ("postgres://u:hun?ter#2@a,b/db", "postgres://u:***@a,b/db"),
        ("postgresql://u:hunter2/pw@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:pw@hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u/x:hunter2@h/db", "postgresql://u:***@h/db"),
        (
            "postgresql://h/db?user=a&password=hunter2%26&sslpassword=hunter2",
            "postgresql://h/db?user=a&password=***&sslpassword=***",
        ),
        ("host=h password=hun&ter2 dbname=d", "host=h password=*** dbname=d"),
        ("host=h password = 'hun ter2'  dbname=d", "host=h password=***  dbname=d"),
        (r"host=h password=hun\ ter2 dbname=d", "host=h password=*** dbname=d"),
        (r"password='hun\'ter2' dbname=d", "password=*** dbname=d"),
        ("dbname='x password=1' password=hunter2", "password=*** dbname='x password=1'"),
        ("password='' host=h", "password='' host=h"),
        ("host=h password=hun ter2", "***"),
    ],
)
def test_a_password_is_hidden_and_the_rest_is_shown_as_written(dsn: str, shown: str) -> None:
    assert shown_dsn(dsn) == shown


def test_libpqs_words_are_told_without_the_password() -> None:
    parameters = {"user": "ann", "password": "hunter2", "host": "h"}

    assert masked('could not translate "hunter2" of ann', parameters) == (
        'could not translate "***" of ann'
    )


def test_a_password_that_is_the_name_of_the_role_hides_no_role() -> None:
    parameters = {"user": "ann", "password": "ann", "host": "h"}

    assert masked("login refused for role ann", parameters) == "login refused for role ann"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql:///orderd",
        "postgresql://localhost,127.0.0.1,[::1]/orderd",
        "host=/run/postgresql dbname=orderd",
        "postgresql://db.example.com/orderd?sslmode=verify-full",
        "no dsn at all",
    ],
)
def test_hosts_that_need_no_check_or_have_one(dsn: str) -> None:
    assert unchecked_hosts(dsn) == []


@pytest.mark.parametrize(
    ("dsn", "mode"),
    [("postgresql://u:p@a,b/db", "prefer"), ("host=a,b sslmode=verify-ca", "verify-ca")],
)
def test_hosts_elsewhere_that_are_not_checked(dsn: str, mode: str) -> None:
    assert unchecked_hosts(dsn) == [
        f"database_url: sslmode={mode} does not check that the server is {host}; "
        "use sslmode=verify-full"
        for host in ("a", "b")
    ]
