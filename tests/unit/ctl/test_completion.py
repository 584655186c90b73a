"""`orderctl completion`: what the script offers in bash itself, and that the shells can read it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from orderd.ctl.main import COMMANDS, main
from tools.completions import SHELLS, scripts


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("completion") / "orderctl"
    script.write_text(scripts()["bash"])
    return script


def complete(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of the words, in the script's directory."""
    code = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_shtab_orderctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=script.parent,
    )
    return done.stdout.split()


def test_every_command_is_offered(script: Path) -> None:
    assert set(complete(script, "orderctl", "")) == set(COMMANDS)


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
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("publish", ""), {"user", "product", "order"}),
        (("call", "order", "upd"), {"update", "update_status"}),
        (("dlq", "list", "or"), {"order"}),
        (("dlq", "replay", "--code", "re"), {"retries_exhausted"}),
        (("dlq", "list", "--action", "mark"), {"mark_out_of_stock"}),
        (("ledger", "list", "--code", "insuf"), {"insufficient_stock"}),
        (("health", "--l"), {"--live"}),
        (("health", "--file", ""), {"orderctl"}),
    ],
)
def test_what_fits_is_offered(script: Path, words: tuple[str, ...], offered: set[str]) -> None:
    assert set(complete(script, "orderctl", *words)) == offered


def test_what_was_typed_is_never_run(script: Path, tmp_path: Path) -> None:
    trap = tmp_path / "run"

    complete(script, "orderctl", f"$(touch {trap})", f"a[$(touch {trap})]", "")

    assert not trap.exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "orderctl"
    script.write_text(scripts()[shell])

    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_current_script(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == scripts()[shell]
