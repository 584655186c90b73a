"""`orderctl`: finds the command's module, runs it, and turns its failure into an exit code."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, NoReturn

from orderd import __version__
from orderd.ctl import interrupts
from orderd.ctl.context import Context
from orderd.ctl.errors import Failure, Misconfigured
from orderd.ctl.streams import discard_stdout
from orderd.protocol.exit_codes import ExitCode

# Name, and what it does; its module has the same name and is imported once it is chosen, so that
# a command does not wait for what only the others need.
COMMANDS: Final = {
    "health": "check the health file of a local daemon for liveness and readiness",
    "status": "show the state of daemon, queues and database",
    "daemons": "list all daemons",
    "pause": "have all daemons take nothing from a queue",
    "resume": "have all daemons take from a paused queue again",
    "publish": "publish a command, and wait for the broker to confirm it",
    "call": "publish a command, and wait for the daemon's reply",
    "orders": "list orders, or show one",
    "products": "list products, or show one",
    "users": "list users, or show one",
    "metrics": "print the metrics of the local daemons, their queues and database, or serve them",
    "explain": "show everything known about one request or event",
    "dlq": "group, list, replay, edit, export or delete dead letters",
    "notify": "list, show, retry or preview notifications, or test a channel",
    "token": "make keys for JWTs, issue tokens, or show what is in one",
    "ledger": "show or list the outcomes of requests",
    "outbox": "list unsent events, or have them sent",
    "topology": "declare, show or check the broker's queues",
    "prune": "delete requests and notifications past their retention",
    "migrate": "bring the database's schema up to date",
    "grants": "print what each role needs of PostgreSQL and RabbitMQ, and no more",
    "config": "show or check the settings, or print an example file",
    "demo": "run the reference scenario on an empty database",
    "completion": "print a shell completion script",
}
_COLUMNS_MAX: Final = 80
# Of a wrong value so many are shown.
_VALUE_CHARACTERS_MAX: Final = 100
EPILOG: Final = (
    "Settings come from the configuration file and the environment, as for orderd. Exit codes: 0 "
    "done, 1 failed or refused, 2 usage, 3 not everything could be checked, 69 a server cannot be "
    "reached, 78 bad configuration or schema not migrated, 130 interrupted."
)


def main(
    arguments: Sequence[str] | None = None, on_begin: Callable[[], None] = lambda: None
) -> int:
    """Run the command that *arguments* ask for; return its exit code.

    *on_begin* is called once they are understood, before anything is done.
    """
    try:
        options = build_parser().parse_args(arguments)
    except WrongArguments as error:
        return _misunderstood(error, sys.argv[1:] if arguments is None else arguments)
    context = Context(options)
    try:
        on_begin()
        return _run(options, context)
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt, context)
    except Exception as error:
        if interrupts.has_come():
            return _interrupted(KeyboardInterrupt(), context)
        if (code := _complain(error, context)) is None:
            with suppress(OSError):
                context.console.failed(error)
            raise
        return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = SuggestingParser(
        prog="orderctl",
        description="Publish commands to orderd, and administer it.",
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


def _misunderstood(error: "WrongArguments", arguments: Sequence[str]) -> int:
    """Say in the form that was wanted that *arguments* are wrong; raises *error* otherwise."""
    if "--nagios" in arguments:
        from orderd.ctl.status.nagios import unknown_line  # noqa: PLC0415 (for a monitor only)
        from orderd.ctl.status.thresholds import Level  # noqa: PLC0415

        print(unknown_line(error.text))  # noqa: T201 - no console is made yet
        return Level.UNKNOWN
    if "--json" in arguments:
        Context(argparse.Namespace(json=True)).console.failed(error)
    raise error


def _run(options: argparse.Namespace, context: Context) -> int:
    if os.environ.get("ORDERD_FAILPOINT"):
        _arm_failpoints()
    code: int = options.run(options, context)
    # A closed pipe is found out here.
    sys.stdout.flush()
    return code


def _interrupted(interrupt: KeyboardInterrupt, context: Context) -> int:
    # Without a reader of stdout there is nothing left to tell.
    with suppress(OSError):
        context.console.interrupted()
        context.console.failed(interrupt)
    return ExitCode.INTERRUPTED


def _complain(error: Exception, context: Context) -> int | None:
    """Say what went wrong, and return the exit code; None for what is a fault of the program."""
    if isinstance(error, Failure):
        context.console.complain(str(error))
        context.console.failed(error)
        return error.code
    if not isinstance(error, OSError):
        return None
    discard_stdout()
    if not isinstance(error, BrokenPipeError):
        context.console.complain(str(error))
    return ExitCode.FAILED


def _arm_failpoints() -> None:
    # For tests only, so they are imported only if wanted.
    from orderd.runtime import crash_points as failpoints  # noqa: PLC0415
    from orderd.runtime.config_errors import ConfigError  # noqa: PLC0415

    try:
        failpoints.arm()
    except ConfigError as error:
        raise Misconfigured(str(error)) from error


class WrongArguments(SystemExit):
    """The command line cannot be understood; argparse has said so, the text says it again."""

    def __init__(self, text: str) -> None:
        super().__init__(ExitCode.USAGE)
        self.text = text

    def __str__(self) -> str:
        return self.text


class SuggestingParser(argparse.ArgumentParser):
    """A parser whose help fits into 80 columns, and which knows what a misspelt verb could be."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, formatter_class=_Narrow)

    def error(self, message: str) -> NoReturn:
        """Say how the command is used and what is wrong; raises WrongArguments."""
        # Loaded only for the sake of an error.
        from orderd.protocol.masking import masked  # noqa: PLC0415

        message = masked(message)
        self.print_usage(sys.stderr)
        self._print_message(f"{self.prog}: error: {message}\n", sys.stderr)
        raise WrongArguments(message)

    def _match_arguments_partial(
        self, actions: Sequence[argparse.Action], arg_strings_pattern: str
    ) -> list[int]:
        # Python before 3.12.7 takes an optional positional for left out where an option comes
        # first: `call QUEUE ACTION --id ID JSON`.
        counts: list[int] = super()._match_arguments_partial(actions, arg_strings_pattern)
        if arg_strings_pattern[sum(counts) :].startswith("O"):
            while counts and not counts[-1]:
                del counts[-1]
        return counts

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            if (got := ascii(arg_string[:_VALUE_CHARACTERS_MAX])) not in error.message:
                error.message += f"; got {got}"
            raise

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            # Loaded only for the sake of an error.
            from difflib import get_close_matches  # noqa: PLC0415

            close = get_close_matches(str(value), list(map(str, action.choices or ())), n=1)
            if close:
                error.message += f"; did you mean {close[0]}?"
            raise


class _Narrow(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size().columns
        super().__init__(prog, width=min(columns, _COLUMNS_MAX) - 2)


class CommandParser(SuggestingParser):
    """The parser of one command, or of one verb of it; common options may stand here too."""

    def __init__(self, *, module: str | None = None, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)
        self._module = module
        # Not given here, they must not undo what was given before the command.
        _add_common_options(self, config=argparse.SUPPRESS, json=argparse.SUPPRESS)

    def add_subparsers(self, **settings: Any) -> Any:
        """Add the verbs of the command."""
        return super().add_subparsers(**settings, action=_Verbs)

    def load(self) -> None:
        """Let the command's module add its arguments, once."""
        if self._module is not None:
            module, self._module = self._module, None
            import_module(f"orderd.ctl.commands.{module}").register(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with all that the command takes."""
        self.load()
        options, others = super().parse_known_args(args, namespace)
        if others:
            # Here the usage is that of the verb.
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return options, others


class _Verbs(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """The verbs of a command; what one does stands in its own help, too."""

    def add_parser(self, name: str, **settings: Any) -> Any:
        return super().add_parser(name, description=_sentence(settings["help"]), **settings)


def _add_common_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    parser.add_argument(
        "--config",
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
