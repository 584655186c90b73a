"""The manual pages, from what the programs themselves say: `python -m orderd.ctl.manual DIRECTORY`.

Not a command of orderctl's: it is for those who make packages.
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from orderd import __version__
from orderd.config.options import build_parser as build_orderd
from orderd.config.reference import reference
from orderd.config.sources import PREFIX
from orderd.ctl import roff
from orderd.ctl.commands.completion import subparsers_of
from orderd.ctl.config_example import config_example
from orderd.ctl.context import TOKEN_VARIABLE
from orderd.ctl.main import COMMANDS
from orderd.ctl.main import build_parser as build_orderctl
from orderd.protocol.exit_codes import ENDS_OF_ORDERCTL, ENDS_OF_ORDERD, ExitCode
from orderd.runtime.paths import CONFIG_FILE, RUNTIME_DIRECTORY, SECRETS_DIRECTORY
from orderd.runtime.signals import EFFECTS

_SOURCES: Final = (
    "the command line;",
    f"the environment: `{PREFIX}` and the name in capitals; `__` leads into a table;",
    (
        "the plain variables `DATABASE_URL` and `RABBITMQ_URL`, or without the latter "
        "`RABBITMQ_HOST`, `RABBITMQ_PORT`, `RABBITMQ_USER`, `RABBITMQ_PASSWORD`, `RABBITMQ_VHOST`;"
    ),
    (
        f"credentials: files in `$CREDENTIALS_DIRECTORY`, then in `{SECRETS_DIRECTORY}`, called as "
        "the setting;"
    ),
    f"the file: `--config` FILE, else `{CONFIG_FILE}` if it exists;",
    "the defaults.",
)
_FILES: Final = {
    CONFIG_FILE: "the configuration, see `orderd.toml`(5)",
    "$CREDENTIALS_DIRECTORY": "settings as files, as systemd passes them on",
    SECRETS_DIRECTORY: "settings as files, as containers have them",
    f"{RUNTIME_DIRECTORY}/health": "how the daemon is, for `orderctl health`; in "
    "`$RUNTIME_DIRECTORY` where that is set",
}
_ENVIRONMENT: Final = {
    f"{PREFIX}...": "any setting, see `orderd.toml`(5)",
    "DATABASE_URL, RABBITMQ_URL": "the two servers, where no setting names them",
    "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID": "the service manager's, see `sd_notify`(3)",
    "JOURNAL_STREAM": "whether stdout is the journal: then each line begins with its priority",
}


def main() -> int:
    """Write the pages into the directory that is named."""
    parser = argparse.ArgumentParser(prog="python -m orderd.ctl.manual", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (directory / name).write_text(content, encoding="utf-8")
    return ExitCode.DONE


def pages() -> Mapping[str, str]:
    """Return the text of each manual page by the name of its file."""
    return {"orderd.8": _orderd(), "orderctl.1": _orderctl(), "orderd.toml.5": _orderd_toml()}


def _orderd() -> str:
    parser = build_orderd()
    return roff.page(
        "orderd",
        8,
        __version__,
        "apply a shop's commands from RabbitMQ to PostgreSQL",
        [
            roff.heading("SYNOPSIS", _synopsis(parser)),
            roff.heading("DESCRIPTION", roff.paragraph(parser.description or "")),
            roff.paragraph(
                "orderd runs in the foreground. It waits for its servers, and goes on by itself "
                "when one that was away is back. Any number of daemons may read the same queues."
            ),
            roff.heading("OPTIONS", *_options(parser)),
            roff.heading("SIGNALS", *(roff.item(*pair) for pair in EFFECTS.items())),
            roff.heading("EXIT STATUS", *_ends(ENDS_OF_ORDERD)),
            roff.heading("ENVIRONMENT", *(roff.item(*pair) for pair in _ENVIRONMENT.items())),
            roff.heading("FILES", *(roff.item(*pair) for pair in _FILES.items())),
            roff.heading("SEE ALSO", roff.text("`orderctl`(1), `orderd.toml`(5), `systemctl`(1)")),
        ],
    )


def _orderctl() -> str:
    parser = build_orderctl()
    token = "bearer token to send with a command, used if `--auth-file` is not set"  # noqa: S105
    return roff.page(
        "orderctl",
        1,
        __version__,
        "publish commands to orderd, and look after it",
        [
            roff.heading("SYNOPSIS", _synopsis(parser)),
            roff.heading("DESCRIPTION", roff.paragraph(parser.description or "")),
            roff.paragraph(
                "It reads the same configuration as the daemon. Results go to stdout, remarks to "
                "stderr; `--json` prints one JSON document."
            ),
            roff.heading("OPTIONS", *_options(parser)),
            roff.heading("COMMANDS", *_commands(parser)),
            roff.heading("EXIT STATUS", *_ends(ENDS_OF_ORDERCTL)),
            roff.heading(
                "ENVIRONMENT",
                roff.item(TOKEN_VARIABLE, token),
                *(roff.item(*pair) for pair in list(_ENVIRONMENT.items())[:2]),
            ),
            roff.heading("FILES", *(roff.item(*pair) for pair in _FILES.items())),
            roff.heading("SEE ALSO", roff.text("`orderd`(8), `orderd.toml`(5)")),
        ],
    )


def _orderd_toml() -> str:
    return roff.page(
        "orderd.toml",
        5,
        __version__,
        "configuration of orderd and orderctl",
        [
            roff.heading(
                "DESCRIPTION",
                roff.paragraph(
                    f"`{CONFIG_FILE}` is a TOML file. Of several sources of a setting, the first "
                    "that has it counts:"
                ),
            ),
            *(roff.item(f"{n}.", source) for n, source in enumerate(_SOURCES, start=1)),
            roff.paragraph(
                "Durations are numbers of seconds, or texts such as `500ms`, `5s`, `2min`, `1h`, "
                "`90d`. A setting that is wrong or unknown ends orderd with 78 and is named."
            ),
            roff.heading("SETTINGS", *_settings()),
            roff.heading("EXAMPLE", roff.example(config_example())),
            roff.heading("SEE ALSO", roff.text("`orderd`(8), `orderctl`(1)")),
        ],
    )


def _synopsis(parser: argparse.ArgumentParser, common: str = "") -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    rest = usage.removeprefix(parser.prog).replace(common, "")
    return f"{roff.bold(parser.prog)} {roff.text(rest)}".rstrip()


def _options(parser: argparse.ArgumentParser, known: Collection[str] = ()) -> Iterator[str]:
    """Yield what *parser* takes, but for the options that are *known* already."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action.choices, dict) or set(action.option_strings) & set(known):
            continue
        metavar = action.metavar or (
            f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest
        )
        value = "" if action.nargs == 0 else f" {metavar}"
        term = ", ".join(f"{name}{value}" for name in action.option_strings) or str(metavar)
        # As argparse itself does: a doubled percent sign is one.
        yield roff.item(term, (action.help or "").replace("%%", "%"))


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    known = {name for action in parser._actions for name in action.option_strings}  # noqa: SLF001
    # Of the commands one has a --version of its own, with another meaning.
    known.discard("--version")
    for name, command in subparsers_of(parser).items():
        yield roff.subheading(name, roff.text(f"{COMMANDS[name].capitalize()}."))
        yield from _own_options(command, known)
        if command.epilog:
            yield roff.paragraph(command.epilog)
        for verb, inner in subparsers_of(command).items():
            yield roff.subheading(f"{name} {verb}", *_own_options(inner, known))


def _own_options(parser: argparse.ArgumentParser, common: set[str]) -> Iterator[str]:
    """Yield how it is called, and what it takes besides the options of all commands."""
    yield ".PP"
    yield _synopsis(parser, " [-h] [--config FILE] [--json]")
    yield from _options(parser, common)


def _ends(meanings: Mapping[ExitCode, str]) -> Iterator[str]:
    return (roff.item(str(int(code)), meaning) for code, meaning in meanings.items())


def _settings() -> Iterator[str]:
    for row in reference():
        default = f" Default: `{row.default}`." if row.default else ""
        change = "A reload takes it over." if row.reloadable else "It changes by a restart only."
        description = row.description[0].upper() + row.description[1:]
        yield roff.item(row.key, f"{description}.{default} {change} Variable: `{row.variable}`.")


if __name__ == "__main__":
    sys.exit(main())
