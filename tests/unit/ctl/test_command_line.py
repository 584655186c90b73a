import os
import subprocess
import sys
from importlib import import_module

import pytest

from orderd import __version__
from orderd.ctl.main import COMMANDS, build_parser, main

HEAVY = ("asyncio", "pika", "psycopg2", "pydantic", "rich")


def exit_code_of(*arguments: str) -> object:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of("--version") == 0
    assert capsys.readouterr().out == f"orderctl {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(name, "--help") == 0
    assert f"usage: orderctl {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "verb", "does"),
    [
        ("dlq", "replay", "Republish dead letters to their queues, unchanged."),
        ("orders", "list", "List rows ordered by id."),
        ("ledger", "show", "Show the outcome of one request, and its reply."),
    ],
)
def test_every_verb_explains_itself(
    command: str, verb: str, does: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(command, verb, "--help") == 0
    assert f"\n\n{does}\n\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_into_80_columns_however_wide_the_terminal_is(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    verbs = {"config": "check", "dlq": "replay", "ledger": "list", "outbox": "retry"}
    verbs |= {"topology": "lint", "orders": "list", "products": "list", "users": "list"}

    for words in ((), (name,), (name, verbs[name]) if name in verbs else ()):
        exit_code_of(*words, "--help")

    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("stauts",), "status"), (("dlq", "lst"), "list"), (("topology", "linnt"), "lint")],
)
def test_a_misspelt_verb_is_told_what_it_could_be(
    arguments: tuple[str, ...], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(*arguments) == 2
    assert capsys.readouterr().err.endswith(f"; did you mean {meant}?\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("orders",),
        ("orders", "list", "--limit", "501"),
        ("orders", "list", "--limit", "5", "--all"),
        ("orders", "list", "--status", "lost"),
        ("products", "get", "0"),
        ("products", "get", "²"),
        ("call", "product"),
        ("call", "product", "list", "--timeout", "0"),
        ("call", "product", "list", "--timeout", "soon"),
        ("call", "product", "list", "--version", "v3"),
        ("call", "product", "list", "--id", ""),
        ("call", "product", "list", "--id", "x" * 256),
        ("publish", "product\udcff", "list"),
        ("migrate", "--check", "--dry-run"),
        ("status", "--js"),
        ("dlq",),
        ("dlq", "list", "orders"),
        ("dlq", "list", "--limit", "0"),
        ("dlq", "list", "--older-than", "soon"),
        ("dlq", "list", "--id", ""),
        ("dlq", "list", "--yes"),
        ("explain",),
        ("ledger", "show"),
        ("ledger", "list", "--outcome", "lost"),
        ("outbox", "retry", "first"),
        ("topology",),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: orderctl" in captured.err


@pytest.mark.parametrize(
    ("arguments", "understood"),
    [
        ("call order create --id r1 {}", {"action": "create", "request_id": "r1", "content": "{}"}),
        ("call order --id r1 create {}", {"action": "create", "request_id": "r1", "content": "{}"}),
        ("publish order create --json {}", {"action": "create", "json": True, "content": "{}"}),
        ("call order list --id r1 -- -", {"request_id": "r1", "content": "-"}),
        ("call order list --id r1", {"request_id": "r1", "content": "{}"}),
        ("dlq edit r1 --force order", {"id": "r1", "queue": "order", "force": True}),
        ("dlq list --limit 3 order --code x", {"queue": "order", "limit": 3}),
        ("outbox retry --json 3 4", {"ids": [3, 4], "json": True}),
        ("outbox retry --all", {"ids": [], "all": True}),
    ],
)
def test_options_may_stand_between_the_other_arguments(
    arguments: str, understood: dict[str, object]
) -> None:
    options = vars(build_parser().parse_args(arguments.split()))

    assert {name: options[name] for name in understood} == understood


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("dlq", "list", "orders"),
            (
                "argument QUEUE: must be one of user, product, order, user_notifications, "
                "admin_notifications; got 'orders'"
            ),
        ),
        (
            ("prune", "--older-than", "1s"),
            "argument --older-than: must be between 1h and 36500d; got '1s'",
        ),
        (("daemons", "--watch", "0"), "argument --watch: must be at least 0.1 s; got '0'"),
        (("dlq", "list", "--bogus"), "orderctl dlq list: error: unrecognized arguments: --bogus"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(*arguments) == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--bogus",), "unrecognized arguments: --bogus"),
        (("--timeout", "soon"), "argument --timeout: a duration is"),
        (("--warn",), "argument --warn: expected one argument"),
        (("--json",), "--nagios goes with neither --json nor --watch"),
        (("--config", "/nowhere.toml"), "configuration: config (/nowhere.toml): cannot be read"),
        (("--auth-file", "/nowhere"), "/nowhere: No such file or directory"),
    ],
)
def test_a_check_for_nagios_that_cannot_look_is_unknown(
    arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # 2, the code of wrong usage, would be CRITICAL.
    assert main(("status", "--nagios", *arguments)) == 3
    told = capsys.readouterr().out
    assert told.startswith(f"ORDERD UNKNOWN - {why}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--config", "here.toml", "orders", "list"),
        ("orders", "--json", "--config", "here.toml", "list"),
        ("orders", "list", "--json", "--config", "here.toml"),
        ("--json", "orders", "list", "--config", "here.toml"),
    ],
)
def test_common_options_may_stand_anywhere(arguments: tuple[str, ...]) -> None:
    options = build_parser().parse_args(arguments)

    assert options.json
    assert str(options.config) == "here.toml"


def test_every_command_has_a_module_that_registers_it() -> None:
    for name in COMMANDS:
        assert callable(import_module(f"orderd.ctl.commands.{name}").register)


def test_the_start_waits_for_no_library_that_help_does_not_need() -> None:
    code = f"import orderd.ctl.main, sys; print([m for m in {HEAVY} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_command_line_is_understood_without_pydantic_and_rich() -> None:
    code = (
        "import orderd.ctl.main as m, sys; m.build_parser().parse_args(['orders', 'list']); "
        "print([m for m in ('pydantic', 'rich') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_stdout_that_takes_nothing_is_said_in_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        done = subprocess.run(
            [sys.executable, "-m", "orderd.ctl", "config", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "orderctl: [Errno 28] No space left on device\n"


def test_a_reader_that_goes_away_is_no_error_to_speak_of() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "orderd.ctl", "config", "show"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )

    os.close(writer)
    assert done.stderr == b""
