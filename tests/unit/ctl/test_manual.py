"""The manual pages and the example of a configuration say what the programs say."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orderd.config.load import load
from orderd.config.reference import reference
from orderd.config.settings import Settings
from orderd.ctl import roff
from orderd.ctl.config_example import config_example
from orderd.ctl.main import COMMANDS
from orderd.ctl.manual import pages
from orderd.protocol.exit_codes import ENDS_OF_ORDERCTL, ENDS_OF_ORDERD, ExitCode
from orderd.runtime.signals import EFFECTS

NAMES = ("orderd.8", "orderctl.1", "orderd.toml.5")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("manual") / "pages"
    argv = [sys.executable, "-m", "orderd.ctl.manual", str(directory)]
    subprocess.run(argv, check=True)
    return directory


def plain(name: str) -> str:
    """Return a page's text without fonts and escapes."""
    text = re.sub(r"\\f[BR]", "", pages()[name])
    for char, escape in roff._SPECIAL.items():  # noqa: SLF001
        text = text.replace(escape, char)
    return " ".join(text.split())


def test_the_pages_are_written(directory: Path) -> None:
    assert sorted(file.name for file in directory.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_man_can_show(directory: Path, name: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", str(directory / name)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""


def test_the_pages_name_every_command_option_setting_signal_and_exit_code() -> None:
    daemon, ctl, file = (plain(name) for name in NAMES)

    for name, purpose in COMMANDS.items():
        assert f'.SS "{name}"' in ctl
        assert purpose[1:] in ctl
    for option in ("--max-age DURATION", "--older-than DURATION", "--outcome {applied,refused}"):
        assert option in ctl
    for option in ("--no-wait", "--batch-max N", "--config FILE"):
        assert option in daemon
    for signal in EFFECTS:
        assert signal in daemon
    for row in reference():
        assert f".TP {row.key} " in file
        assert row.variable in file
    assert set(ENDS_OF_ORDERCTL) == set(ExitCode)
    for code in ENDS_OF_ORDERD:
        assert f".TP {code:d} " in daemon


def test_every_line_of_the_example_is_a_comment() -> None:
    assert all(line.startswith("#") or not line for line in config_example().splitlines())


def test_the_example_without_its_marks_says_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "orderd.toml"
    lines = config_example().splitlines()
    file.write_text("\n".join(line.removeprefix("#") for line in lines if line[:2] != "# "))
    nowhere = tmp_path / "nowhere"

    settings = load(file, {}, {}, secrets_directory=nowhere)

    assert list(tomllib.loads(file.read_text())) == list(Settings.model_fields)
    for key, field in Settings.model_fields.items():
        if field.default_factory is None:
            assert getattr(settings, key) == field.default, key
    assert settings.tokens["shop"].allow == ("order.create", "product.*")


def test_a_line_that_begins_with_a_point_is_no_request() -> None:
    assert roff.text(".dlq is a name - isn't it? a\\b") == (
        r"\&.dlq is a name \- isn\(aqt it? a\(rsb"
    )
