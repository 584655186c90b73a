"""`orderctl completion`: prints the script that makes a shell complete command lines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderd.protocol.exit_codes import ExitCode

if TYPE_CHECKING:
    from orderd.ctl.context import Context

# `make docs` writes them, from the parser.
_SCRIPTS: Final = Path(__file__).parents[1] / "completions"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to print it for")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _context: "Context") -> int:
    """Print the script."""
    script = (_SCRIPTS / f"orderctl.{options.shell}").read_text(encoding="utf-8")
    print(script, end="")  # noqa: T201 - a script is no table
    return ExitCode.DONE
