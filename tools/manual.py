"""The manual pages, by argparse-manpage from the parsers, with sections from the registries."""

import argparse
import re
from collections.abc import Iterable, Mapping
from typing import Final

from argparse_manpage.manpage import Manpage

from orderd.config.options import build_parser as build_orderd
from orderd.config.reference import reference
from orderd.config.sources import PREFIX
from orderd.ctl.config_example import config_example
from orderd.ctl.context import TOKEN_VARIABLE
from orderd.protocol.exit_codes import ENDS_OF_ORDERCTL, ENDS_OF_ORDERD, ExitCode
from orderd.protocol.tenants import NOTIFY
from orderd.runtime.paths import (
    CONFIG_FILE,
    NOTIFY_RUNTIME_DIRECTORY,
    RUNTIME_DIRECTORY,
    SECRETS_DIRECTORY,
    TEMPLATES_DIRECTORY,
)
from orderd.runtime.signals import EFFECTS
from tools import manual_texts as texts
from tools import parsers

_SOURCES: Final = {
    "1.": "the command line;",
    "2.": f"the environment: `{PREFIX}` and the name in capitals; `__` leads into a table;",
    "3.": "the plain variables `DATABASE_URL` and `RABBITMQ_URL`, or without the latter "
    "`RABBITMQ_HOST`, `RABBITMQ_PORT`, `RABBITMQ_USER`, `RABBITMQ_PASSWORD`, `RABBITMQ_VHOST`;",
    "4.": f"credentials: files in `$CREDENTIALS_DIRECTORY`, then in `{SECRETS_DIRECTORY}`, named "
    "as the setting;",
    "5.": f"the file: `--config` FILE, else `{CONFIG_FILE}` if it exists;",
    "6.": "the defaults.",
}
_STATE: Final = (
    "the state of the daemon, for `orderctl health`; in `$RUNTIME_DIRECTORY` where that is set"
)
_SOURCE_FILES: Final = {
    CONFIG_FILE: "the configuration, see `orderd.toml`(5)",
    "$CREDENTIALS_DIRECTORY": "settings as files, as systemd passes them on",
    SECRETS_DIRECTORY: "settings as files, as containers have them",
}
_FILES: Final = {**_SOURCE_FILES, f"{RUNTIME_DIRECTORY}/health": _STATE}
_NOTIFY_FILES: Final = {
    **_SOURCE_FILES,
    f"{TEMPLATES_DIRECTORY}/TYPE.txt": "texts in place of those of the package",
    f"{NOTIFY_RUNTIME_DIRECTORY}/health": _STATE,
}
_SERVERS: Final = {
    f"{PREFIX}...": "any setting, see `orderd.toml`(5)",
    "DATABASE_URL, RABBITMQ_URL": "the two servers, where no setting names them",
}
_SERVICE: Final = {
    "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID": "set by the service manager, see `sd_notify`(3)",
    "JOURNAL_STREAM": "tells whether stdout is the journal: then each line begins with its "
    "priority",
}
_TOKEN: Final = {
    TOKEN_VARIABLE: "bearer token to send with a command, used if `--auth-file` is not set"
}
_SPECIAL: Final = {"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga"}
_CODE: Final = re.compile(r"`([^`]+)`")


def pages() -> Mapping[str, str]:
    """Return the text of each manual page by the name of its file."""
    return {
        "orderd.8": _orderd(),
        "orderd-notify.8": _orderd_notify(),
        "orderctl.1": _orderctl(),
        "orderd.toml.5": _orderd_toml(),
        "orderd.systemd.7": _units(),
    }


def _orderd() -> str:
    parser = build_orderd()
    parser.description = (
        f"{parser.description} orderd runs in the foreground. It waits for its servers, and goes "
        "on by itself when one that was away is back. Any number of daemons may read the same "
        "queues."
    )
    sections = {
        "SIGNALS": _items(EFFECTS),
        "EXIT STATUS": _items(_ends(ENDS_OF_ORDERD)),
        "ENVIRONMENT": _items(_SERVERS | _SERVICE),
        "FILES": _items(_FILES),
        "EXAMPLES": _examples(texts.ORDERD),
        "SEE ALSO": _text(
            "`orderd-notify`(8), `orderctl`(1), `orderd.toml`(5), `orderd.systemd`(7), "
            "`systemctl`(1)"
        ),
    }
    return _page(parser, 8, "apply a shop's commands from RabbitMQ to PostgreSQL", sections)


def _orderd_notify() -> str:
    parser = build_orderd(NOTIFY)
    parser.description = (
        f"{parser.description} orderd-notify runs in the foreground, waits for its servers and is "
        "looked after as orderd is; `orderctl daemons` lists it, `orderctl dlq` has its dead "
        "letters, and `orderctl notify` shows what was sent and sends again what has failed. The "
        "tables `[[notify.channel]]` of the configuration say what goes where; without any, each "
        "notification is a line in the log. Any number may run; each "
        "notification is sent once."
    ).replace("`", "")
    sections = {
        "SIGNALS": _items(EFFECTS),
        "EXIT STATUS": _items(_ends(ENDS_OF_ORDERD)),
        "ENVIRONMENT": _items(_SERVERS | _SERVICE),
        "FILES": _items(_NOTIFY_FILES),
        "EXAMPLES": _examples(texts.ORDERD_NOTIFY),
        "SEE ALSO": _text("`orderd`(8), `orderctl`(1), `orderd.toml`(5), `orderd.systemd`(7)"),
    }
    return _page(parser, 8, "tell users and administrators of a shop's events", sections)


def _orderctl() -> str:
    parser = parsers.orderctl()
    parser.description = (
        f"{parser.description} It reads the same configuration as the daemon. Results go to "
        "stdout, remarks to stderr; `--json` prints one JSON document."
    ).replace("`", "")
    for command in parsers.below(parser):
        _shorten(command)
    for group in parser._action_groups:  # noqa: SLF001 - argparse has no other way to ask
        if group.title == "positional arguments":
            group.title = "commands"
    sections = {
        "EXIT STATUS": _items(_ends(ENDS_OF_ORDERCTL)),
        "ENVIRONMENT": _items(_TOKEN | _SERVERS),
        "FILES": _items(_FILES),
        "EXAMPLES": _examples(texts.ORDERCTL),
        "SEE ALSO": _text("`orderd`(8), `orderd.toml`(5)"),
    }
    return _page(parser, 1, "publish commands to orderd, and look after it", sections)


def _orderd_toml() -> str:
    parser = argparse.ArgumentParser(prog="orderd.toml", add_help=False)
    sections = {
        "SYNOPSIS": _text(CONFIG_FILE),
        "DESCRIPTION": "\n".join(
            (
                _text(
                    "A TOML file. Of several sources of a setting, the first that has it counts:"
                ),
                _items(_SOURCES),
                ".PP",
                _text(
                    "Durations are numbers of seconds, or texts such as `500ms`, `5s`, `2min`, "
                    "`1h`, `90d`. A setting that is wrong or unknown ends orderd with 78 and is "
                    "named."
                ),
            )
        ),
        "SETTINGS": _items(_settings()),
        "EXAMPLES": "\n".join(
            (_text("All settings with their defaults:"), _typed(config_example()))
        ),
        "SEE ALSO": _text("`orderd`(8), `orderctl`(1)"),
    }
    return _page(parser, 5, "configuration of orderd and orderctl", sections)


def _units() -> str:
    parser = argparse.ArgumentParser(prog="orderd.systemd", add_help=False)
    sections = {
        "SYNOPSIS": "\n.br\n".join(_text(unit) for unit in texts.UNITS),
        "DESCRIPTION": _text(
            "Units of the package. Their sandbox is in a drop-in, `10-sandbox.conf`: they can "
            "write only to their runtime directory, execute nothing but Python, and reach only "
            "localhost until other addresses are allowed, except orderd-notify, which may reach "
            "mail and web servers anywhere. `systemctl edit` changes them; the files "
            "of the package are replaced by an upgrade."
        ),
        "UNITS": _items(texts.UNITS),
        "FILES": _items(texts.UNIT_FILES),
        "EXAMPLES": _examples(texts.UNIT_EXAMPLES),
        "SEE ALSO": _text(
            "`orderd`(8), `orderd-notify`(8), `orderctl`(1), `systemd.service`(5), "
            "`systemd.exec`(5)"
        ),
    }
    return _page(parser, 7, "what the units of orderd do", sections)


def _page(
    parser: argparse.ArgumentParser, section: int, purpose: str, sections: Mapping[str, str]
) -> str:
    # The exit codes and sources have sections of their own.
    parser.epilog = None
    page = Manpage(parser, format="single-commands-section")
    # Neither date nor version: the page changes with what it says, and with nothing else.
    page.section, page.date, page.source, page.manual = section, "", "orderd", "orderd"
    page.description = purpose
    for heading, content in sections.items():
        page.add_section(heading, "=", content)
    return "\n".join(line.rstrip() for line in str(page).splitlines()) + "\n"


def _shorten(command: argparse.ArgumentParser) -> None:
    """Leave out of a command's part what all commands take; add the end of its help."""
    for action in command._actions:  # noqa: SLF001 - argparse has no other way to ask
        if action.dest in {"config", "json", "help"}:
            action.help = argparse.SUPPRESS
    # A line broken for a terminal would be broken again.
    command.usage = " ".join(command.format_usage().removeprefix("usage: ").split())
    # The purpose stands above it already, as the command's help.
    command.description = command.epilog


def _ends(meanings: Mapping[ExitCode, str]) -> Mapping[str, str]:
    return {str(int(code)): meaning for code, meaning in meanings.items()}


def _settings() -> Mapping[str, str]:
    found = {}
    for row in reference():
        default = f" Default: `{row.default}`." if row.default else ""
        change = "A reload applies it." if row.reloadable else "It changes by a restart only."
        description = row.description[0].upper() + row.description[1:]
        found[row.key] = f"{description}.{default} {change} Variable: `{row.variable}`."
    return found


def _items(meanings: Mapping[str, str]) -> str:
    return "\n".join(f".TP\n\\fB{_escaped(name)}\\fR\n{_text(m)}" for name, m in meanings.items())


def _examples(examples: Mapping[str, str]) -> str:
    pairs = (
        f".PP\n{_text(purpose)}\n.RS\n{_typed(typed)}\n.RE" for purpose, typed in examples.items()
    )
    return "\n".join(pairs)


def _typed(text: str) -> str:
    """Return lines that stay as they are."""
    return "\n".join((".nf", *map(_line, text.splitlines()), ".fi"))


def _text(words: str) -> str:
    r"""Return running text, in which `…` marks what is typed and becomes bold."""
    pieces: Iterable[str] = _CODE.split(words)
    marked = (rf"\fB{_escaped(p)}\fR" if n % 2 else _escaped(p) for n, p in enumerate(pieces))
    return _harmless("".join(marked))


def _line(words: str) -> str:
    return _harmless(_escaped(words)) or r"\&"


def _escaped(words: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in words)


def _harmless(line: str) -> str:
    # A point at the beginning of a line would make it a request.
    return rf"\&{line}" if line.startswith(".") else line
