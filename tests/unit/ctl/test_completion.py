"""`orderctl completion bash`, as bash itself uses it."""

import subprocess
from pathlib import Path

import pytest

from orderd.ctl.commands.completion import bash_completion
from orderd.ctl.main import COMMANDS, build_parser, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("completion") / "orderctl"
    script.write_text(bash_completion(build_parser()))
    return script


def complete(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of the words."""
    code = (
        'set -eu; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); '
        '_orderctl || true; printf "%s\\n" ${COMPREPLY[@]+"${COMPREPLY[@]}"}'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_every_command_is_offered(script: Path) -> None:
    assert set(COMMANDS) <= set(complete(script, "orderctl", ""))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("dl",), {"dlq"}),
        (("dlq", "re"), {"replay"}),
        (("--json", "dlq", "di"), {"discard"}),
        (("dlq", "list", "--older"), {"--older-than"}),
        (("ledger", "list", "--outcome", ""), {"applied", "refused"}),
        (("ledger", "list", "--outcome", "re"), {"refused"}),
        (("orders", "list", "--status", "p"), {"pending", "processing"}),
        (("call", "--version", ""), {"v1", "v2"}),
        (("completion", "b"), {"bash"}),
        (("health", "--l"), {"--live"}),
        (("nonsense", "hea"), {"health"}),
    ],
)
def test_what_fits_is_offered(script: Path, words: tuple[str, ...], offered: set[str]) -> None:
    assert set(complete(script, "orderctl", *words)) == offered


def test_after_an_option_with_a_free_value_the_shell_offers_its_files(script: Path) -> None:
    assert complete(script, "orderctl", "health", "--file", "") == []
    assert "-o default" in script.read_text()


def test_what_was_typed_is_never_run(script: Path, tmp_path: Path) -> None:
    trap = tmp_path / "run"

    complete(script, "orderctl", f"$(touch {trap})", f"a[$(touch {trap})]", "")

    assert not trap.exists()


def test_the_command_prints_the_script(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == script.read_text()
