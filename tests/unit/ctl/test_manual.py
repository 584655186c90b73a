"""The manual pages and the example of a configuration say what the programs say."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from orderd.config.load import load
from orderd.config.reference import reference
from orderd.config.settings import Settings
from orderd.ctl.config_example import config_example
from orderd.ctl.main import COMMANDS
from orderd.protocol.exit_codes import ENDS_OF_ORDERCTL, ENDS_OF_ORDERD, ExitCode
from orderd.runtime.signals import EFFECTS
from tools import parsers
from tools.manual import pages
from tools.manual_texts import ORDERCTL, ORDERD, ORDERD_NOTIFY, UNIT_EXAMPLES
from tools.manual_texts import UNITS as UNIT_TEXTS

NAMES = ("orderd.8", "orderd-notify.8", "orderctl.1", "orderd.toml.5", "orderd.systemd.7")
# Of examples, on the page.
INDENT = 14
UNITS = Path(__file__).parents[3] / "systemd"
ESCAPES = {r"\(rs": "\\", r"\-": "-", r"\(aq": "'", r"\(ga": "`"}


def shell_commands(examples: Mapping[str, str]) -> Iterator[str]:
    for text in examples.values():
        yield from text.replace("\\\n", "").splitlines()


def plain(text: str) -> str:
    """Return a page's text without fonts and escapes."""
    text = re.sub(r"\\f[BIR]|\\,|\\/", "", text)
    for escape, char in ESCAPES.items():
        text = text.replace(escape, char)
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_man_can_show(tmp_path: Path, name: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    page = tmp_path / name
    page.write_text(pages()[name])

    done = subprocess.run(
        ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", str(page)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""


def test_the_pages_name_every_command_option_setting_signal_and_exit_code() -> None:
    texts = pages()
    assert tuple(texts) == NAMES
    daemon, notifier, ctl, file, _ = map(plain, texts.values())

    for name, purpose in COMMANDS.items():
        assert f".SS orderctl {name} {purpose}" in ctl
    for option in ("--max-age DURATION", "--older-than DURATION", "--outcome {applied,refused}"):
        assert option in ctl
    assert "69 not live" in ctl
    for option in ("--no-wait", "--batch-max N", "--config FILE"):
        assert option in daemon
        assert option in notifier
    for signal in EFFECTS:
        assert signal in daemon
        assert signal in notifier
    for row in reference():
        assert f".TP {row.key} " in file
        assert row.variable in file
    assert set(ENDS_OF_ORDERCTL) == set(ExitCode)
    for code in ENDS_OF_ORDERD:
        assert f".TP {code:d} " in daemon
        assert f".TP {code:d} " in notifier


def test_the_page_of_the_units_names_each_of_them() -> None:
    kinds = ("service", "target", "timer", "slice")
    units = {path.name for kind in kinds for path in UNITS.glob(f"*.{kind}")}
    page = pages()["orderd.systemd.7"]

    assert {unit.replace("@", "@NAME") for unit in units} == set(UNIT_TEXTS)
    assert all(f".TP {unit} " in plain(page) for unit in UNIT_TEXTS)


@pytest.mark.parametrize("command", [*shell_commands(ORDERCTL)])
def test_an_example_of_orderctl_is_one_that_its_parser_takes(command: str) -> None:
    program, *arguments = shlex.split(command.partition(" >")[0])

    assert program == "orderctl"
    assert parsers.orderctl().parse_args(arguments).run is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_examples(name: str) -> None:
    assert ".SH EXAMPLES" in pages()[name].replace('"', "")


@pytest.mark.parametrize("examples", [ORDERCTL, ORDERD, ORDERD_NOTIFY, UNIT_EXAMPLES])
def test_examples_fit_a_terminal_of_80_columns(examples: Mapping[str, str]) -> None:
    lines = [line for text in examples.values() for line in text.splitlines()]

    assert [line for line in lines if len(line) > 80 - INDENT] == []


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
    assert settings.jwt is not None
    assert settings.jwt.leeway == 30
    assert settings.tokens["shop"].allow == ("order.create", "product.*")
