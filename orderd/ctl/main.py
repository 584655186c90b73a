"""`orderctl`: finds the command's module, runs it, and turns its failure into an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from orderd import __version__
from orderd.contract.exit_codes import ExitCode
from orderd.ctl.context import Context
from orderd.ctl.exits import Failure, Misconfigured
from orderd.ctl.screen import Screen
from orderd.ops import failpoints
from orderd.ops.faults import ConfigError

# Name, and what it does; its module has the same name and is imported once it is chosen, so that
# a command does not wait for what only the others need.
COMMANDS: Final = {
    "status": "tell how daemon, queues and database are",
    "publish": "publish a command, and wait until the broker has it",
    "call": "publish a command, and wait for the daemon's reply",
    "orders": "list orders, or show one",
    "products": "list products, or show one",
    "users": "list users, or show one",
    "explain": "tell everything known of one request",
    "dlq": "list, show, replay or discard dead letters",
    "ledger": "show or list the outcomes of requests",
    "outbox": "list the events that wait to be sent, or have them sent",
    "topology": "declare, show or check the broker's queues",
    "migrate": "bring the database's schema up to date",
    "config": "show or check the settings",
    "demo": "run the reference scenario on an empty database",
}
EPILOG: Final = (
    "Settings come from the configuration file and the environment, as for orderd. Exit codes: 0 "
    "done, 1 failed or refused, 2 usage, 69 a server cannot be reached, 78 bad configuration or "
    "schema not migrated."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* ask for; return its exit code."""
    options = build_parser().parse_args(arguments)
    screen = Screen(is_json=options.json)
    try:
        return _run(options, screen)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as error:
        # Python flushes once more at the end, and would complain of stdout then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            screen.complain(str(error))
        return ExitCode.FAILED


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="orderctl",
        description="Publish commands to orderd, and look after it.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"orderctl {__version__}")
    _add_common_options(parser, config=None, json=False)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=CommandParser
    )
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, description=_sentence(purpose), module=name)
    return parser


def _run(options: argparse.Namespace, screen: Screen) -> int:
    try:
        _arm_failpoints()
        code: int = options.run(options, Context(options, screen))
        screen.flush()
    except Failure as failure:
        screen.complain(str(failure))
        return failure.code
    return code


def _arm_failpoints() -> None:
    try:
        failpoints.arm()
    except ConfigError as error:
        raise Misconfigured(str(error)) from error


class CommandParser(argparse.ArgumentParser):
    """The parser of one command, or of one verb of it; common options may stand here too."""

    def __init__(self, *, module: str | None = None, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)
        self._module = module
        # Not given here, they must not undo what was given before the command.
        _add_common_options(self, config=argparse.SUPPRESS, json=argparse.SUPPRESS)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Let the command's module add its arguments, then parse."""
        if self._module is not None:
            import_module(f"orderd.ctl.{self._module}").register(self)
            self._module = None
        return super().parse_known_args(args, namespace)


def _add_common_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=defaults["config"],
        help="configuration file; default: /etc/orderd/orderd.toml if it exists",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=defaults["json"],
        help="print one JSON document instead of text",
    )


def _sentence(purpose: str) -> str:
    return f"{purpose[0].upper()}{purpose[1:]}."


if __name__ == "__main__":
    sys.exit(main())
