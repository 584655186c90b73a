"""What orderctl says before, or instead of, speaking with a server."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from orderd.ctl.main import main
from tests.support.web_tokens import jwk, jwks


@pytest.fixture(autouse=True)
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port at which nobody answers; both servers are said to be there."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkeypatch.setenv("ORDERD_RABBITMQ_URL", f"amqp://u:hunter2@127.0.0.1:{port}/shop")
        monkeypatch.setenv("ORDERD_DATABASE_URL", f"postgresql://u:hunter2@127.0.0.1:{port}/shop")
        yield port


def test_the_settings_are_shown_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0

    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["items"]}
    assert rows["batch_max"] == {"key": "batch_max", "value": "200", "source": "default"}
    assert rows["rabbitmq_url"]["source"] == "environment variable ORDERD_RABBITMQ_URL"


def test_a_good_configuration_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == (
        "the configuration is valid\nauthorization: none (every command is allowed)\n"
    )


def test_every_problem_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERD_BATCH_MAX", "many")
    monkeypatch.setenv("ORDERD_NONSENSE", "1")

    assert main(["config", "check"]) == 78

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "batch_max" in captured.err
    assert "nonsense" in captured.err


def test_keys_of_jwts_are_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks(jwk("EdDSA")))
    monkeypatch.setenv("ORDERD_JWT__KEYS", str(keys))
    monkeypatch.setenv("ORDERD_JWT__ISSUER", "https://login.example.com/")
    monkeypatch.setenv("ORDERD_JWT__AUDIENCE", "orderd")

    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == (
        "the configuration is valid\nauthorization: jwt (issuer https://login.example.com/)\n"
    )
    keys.write_bytes(jwks())
    assert main(["config", "check"]) == 78
    assert capsys.readouterr().err == (
        f"orderctl: jwt.keys ({keys}): has no key for EdDSA, ES256, RS256\n"
    )


def test_problems_are_a_document_if_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERD_BATCH_MAX", "many")

    assert main(["config", "check", "--json"]) == 78

    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    assert [problem["key"] for problem in document["problems"]] == ["batch_max"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORDERD_RABBITMQ_URL", "amqp://u:hunter2@h/?heartbeat=often"),
        ("ORDERD_DATABASE_URL", "host=h password=half hunter2"),
        ("ORDERD_DATABASE_URL", "postgresql://u:hunter2/x@h/db"),
        ("ORDERD_DATABASE_URL", "host=h password=hunter2 sslmode=frob"),
    ],
)
@pytest.mark.parametrize("command", [("config", "check"), ("status",)])
def test_an_address_that_cannot_be_used_is_a_problem_and_stays_secret(
    variable: str,
    value: str,
    command: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)

    assert main(command) == 78

    said = capsys.readouterr()
    assert variable.lower().removeprefix("orderd_") in said.err
    assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("host=h password=hun&ter2 dbname=d", "host=h password=*** dbname=d"),
        ("postgresql://u:hunter2/x@h/db", "postgresql://u:***@h/db"),
    ],
)
def test_a_password_is_shown_as_stars(
    value: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERD_DATABASE_URL", value)

    assert main(["config", "show", "--json"]) == 0

    rows = {row["key"]: row["value"] for row in json.loads(capsys.readouterr().out)["items"]}
    assert rows["database_url"] == shown


def test_an_option_that_cannot_work_is_named_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERD_DATABASE_URL", "host=h port=abc")

    assert main(["config", "check"]) == 78

    assert capsys.readouterr().err == (
        "orderctl: database_url (environment variable ORDERD_DATABASE_URL): "
        "port: must be whole numbers from 1 to 65535\n"
    )


def test_a_bad_configuration_ends_any_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERD_BATCH_MAX", "many")

    assert main(["status"]) == 78
    assert "configuration: batch_max" in capsys.readouterr().err


def test_a_token_in_the_environment_is_no_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERD_TOKEN", "secret")

    assert main(["config", "check"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ("publish", "product", "list"),
        ("call", "product", "list"),
        ("orders", "list"),
        ("users", "get", "1"),
        ("demo",),
        ("migrate",),
        ("migrate", "--check"),
        ("dlq", "list"),
        ("dlq", "show"),
        ("dlq", "replay"),
        ("dlq", "discard", "--yes"),
        ("ledger", "list"),
        ("ledger", "show", "r1"),
        ("outbox", "list"),
        ("outbox", "retry", "--all"),
        ("topology", "apply"),
        ("topology", "show"),
        ("topology", "lint"),
    ],
)
def test_a_server_that_is_away_is_named(
    command: Sequence[str], unreachable: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 69

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(unreachable) in captured.err
    assert "hunter2" not in captured.err


def test_status_says_what_it_cannot_reach(
    unreachable: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    assert str(unreachable) in document["broker"]["summary"]
    assert str(unreachable) in document["database"]["summary"]
    assert not document["daemon"]["ok"]


def test_wrong_data_is_found_before_a_server_is_looked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["publish", "product", "create", "{"]) == 2
    assert capsys.readouterr().err.startswith("orderctl: JSON: ")


def test_a_request_cannot_be_explained_without_servers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "r1", "--json"]) == 69

    captured = capsys.readouterr()
    assert json.loads(captured.out)["state"] == "unknown"
    assert [line.split(":")[1] for line in captured.err.splitlines()] == [" broker", " database"]
    assert "hunter2" not in captured.out + captured.err


@pytest.mark.parametrize("arguments", [(), ("3", "--all")])
def test_whether_all_events_are_meant_must_be_said(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["outbox", "retry", *arguments]) == 2
    assert "or --all" in capsys.readouterr().err
