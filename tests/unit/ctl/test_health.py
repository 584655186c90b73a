"""`orderctl health`: what it makes of the file, and how little it needs for that."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orderd.config.load import DEFAULT_FILE
from orderd.config.reference import reference
from orderd.ctl.commands.health import SETTING, VARIABLE
from orderd.ctl.main import main
from orderd.runtime import health_file
from orderd.runtime.paths import CONFIG_FILE

GONE_PID = 2**22 + 1  # above any that Linux gives


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "health"
    monkeypatch.setenv(VARIABLE, str(file))
    return file


def write(file: Path, state: str = "running", *, age_s: float = 0, **fields: object) -> None:
    content: dict[str, Any] = {
        "pid": os.getpid(),
        "state": state,
        "waiting_for": None,
        "since": "2026-11-22T03:13:35.737Z",
        "monotonic_s": health_file.now_s() - age_s,
    }
    file.write_text(json.dumps(content | fields))


@pytest.mark.parametrize(
    ("state", "default", "live", "ready"),
    [
        ("running", 0, 0, 0),
        ("standby", 0, 0, 0),
        ("starting", 1, 0, 1),
        ("paused", 1, 0, 1),
        ("blocked", 1, 0, 1),
        ("draining", 1, 0, 1),
    ],
)
def test_the_exit_code_tells_live_from_ready(
    file: Path, state: str, default: int, live: int, ready: int
) -> None:
    write(file, state)

    codes = (main(["health"]), main(["health", "--live"]), main(["health", "--ready"]))

    assert codes == (default, live, ready)


@pytest.mark.parametrize("option", ["--live", "--ready"])
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"age_s": 61}, "has not turned for 61"),
        ({"age_s": -5}, "last boot"),
        ({"pid": GONE_PID}, f"process {GONE_PID} is gone"),
    ],
)
def test_what_does_not_turn_is_neither(
    file: Path, option: str, fields: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, **fields)

    assert main(["health", option]) == 69
    assert why in capsys.readouterr().out


def test_how_old_is_too_old_can_be_said(file: Path) -> None:
    write(file, age_s=10)

    assert main(["health", "--max-age", "5s"]) == 69
    assert main(["health", "--max-age", "15"]) == 0


def test_without_a_file_nothing_lives(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--live"]) == 69
    assert capsys.readouterr().out == f"not live: {file}: No such file or directory\n"


@pytest.mark.parametrize(
    "fields", [{"pid": "1"}, {"pid": 10**30}, {"state": []}, {"monotonic_s": float("nan")}]
)
@pytest.mark.parametrize("option", ["--live", "--ready", "--json"])
def test_strange_content_is_not_live(file: Path, option: str, fields: dict[str, Any]) -> None:
    write(file, **fields)

    assert main(["health", option]) == 69


def test_it_is_said_in_words(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file, "paused", waiting_for="database", age_s=0.3)

    main(["health"])

    said, age = capsys.readouterr().out.rsplit(", last turn ", 1)
    assert said == (
        "live, not ready: paused: waiting for the database since 2026-11-22T03:13:35.737Z"
    )
    # The file grows older until it is looked at.
    told = re.fullmatch(r"(\d+\.\d) s ago\n", age)
    assert told is not None
    assert 0.3 <= float(told[1]) < 20


def test_what_is_left_to_others_is_said_in_words(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, standing_by=["order"])

    main(["health"])

    assert "live, ready: running: order left to another daemon since" in capsys.readouterr().out


def test_it_is_a_document_if_wanted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file, age_s=2)

    main(["health", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert 2 <= document.pop("age_s") < 3
    assert document == {
        "live": True,
        "ready": True,
        "why": None,
        "pid": os.getpid(),
        "state": "running",
        "waiting_for": None,
        "standing_by": [],
        "since": "2026-11-22T03:13:35.737Z",
    }


def test_the_file_is_found_by_option_variable_and_configuration(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file)
    assert main(["health"]) == 0
    monkeypatch.delenv(VARIABLE)
    assert main(["health", "--file", str(file)]) == 0
    config = tmp_path / "orderd.toml"
    config.write_text(f'{SETTING} = "{file}"\n')
    assert main(["health", "--config", str(config)]) == 0
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    config.write_text("")
    assert main(["health", "--config", str(config)]) == 0


@pytest.mark.parametrize("text", [None, "health_file = ", "\xff"])
def test_a_configuration_that_cannot_be_read_is_said(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "orderd.toml"
    if text is not None:
        config.write_text(text, encoding="latin-1")

    assert main(["health", "--config", str(config)]) == 78
    assert str(config) in capsys.readouterr().err


def test_names_and_places_are_those_of_the_settings() -> None:
    variables = {row.key: row.variable for row in reference()}

    assert variables[SETTING] == VARIABLE
    assert str(DEFAULT_FILE) == CONFIG_FILE


def test_a_probe_loads_nothing_that_it_can_do_without(file: Path) -> None:
    write(file)
    heavy = (
        "['pydantic', 'rich', 'pika', 'psycopg2', 'logging', 'dataclasses', 'pathlib', 'socket']"
    )
    code = (
        "import sys, orderd.ctl.main as m; code = m.main(['health']); "
        f"print(code, [name for name in {heavy} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("program", ["orderd", "orderd-notify"])
def test_the_file_of_each_program_is_found(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    program: str,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    # The directory that systemd gives is that of another unit.
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("orderd.ctl.commands.health._DIRECTORIES", {program: f"/nowhere/{program}"})

    assert main(["health", "--program", program]) == 69

    assert f"/nowhere/{program}/health" in capsys.readouterr().out


def test_a_file_that_is_set_comes_before_the_program(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file)

    assert main(["health", "--program", "orderd-notify"]) == 0
    assert "live, ready" in capsys.readouterr().out
