"""`orderctl completion`: prints the script that makes a shell complete command lines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderd.ctl.errors import WrongUsage
from orderd.protocol.exit_codes import ExitCode

if TYPE_CHECKING:
    from orderd.ctl.context import Context

# `make docs` writes them, from the parser.
_SCRIPTS: Final = Path(__file__).parents[1] / "completions"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish"), help="the shell to print the script for"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _context: "Context") -> int:
    """Print the script."""
    if options.json:
        raise WrongUsage("a completion script is text: it has no JSON form")
    script = (_SCRIPTS / f"orderctl.{options.shell}").read_text(encoding="utf-8")
    print(script, end="")  # noqa: T201 - a script is no table
    return ExitCode.DONE
