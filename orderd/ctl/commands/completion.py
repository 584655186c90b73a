"""`orderctl completion`: what makes a shell complete command lines, from the parser itself."""

import argparse
from collections.abc import Iterator
from string import Template
from typing import TYPE_CHECKING, Final

from orderd.ctl.main import CommandParser, build_parser
from orderd.protocol.exit_codes import ExitCode

if TYPE_CHECKING:
    from orderd.ctl.context import Context

# Words are matched along the way of verbs that was typed; for a file name the shell has its own.
_BASH: Final = Template("""\
# bash completion for orderctl; printed by `orderctl completion bash`

_orderctl() {
    local cur="$${COMP_WORDS[COMP_CWORD]}" path="orderctl" word key
    local -A words=(
$words
    )
    local -A values=(
$values
    )
    for word in "$${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        key="$$path $$word"
        [[ -n "$${words[$$key]+known}" ]] && path="$$key"
    done
    # After an option that takes a value, only its choices; where it has none, file names.
    key="$$path $${COMP_WORDS[COMP_CWORD - 1]}"
    mapfile -t COMPREPLY < <(compgen -W "$${values[$$key]-$${words[$$path]}}" -- "$$cur")
}

complete -o bashdefault -o default -F _orderctl orderctl
""")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=("bash",), help="the shell to print the script for")
    parser.set_defaults(run=run)


def run(_options: argparse.Namespace, _context: "Context") -> int:
    """Print the script."""
    print(bash_completion(build_parser()), end="")  # noqa: T201 - a script is no table
    return ExitCode.DONE


def bash_completion(parser: argparse.ArgumentParser) -> str:
    """Return a script for bash that completes what *parser* takes."""
    words, values = [], []
    for path, found in _parsers(parser, parser.prog):
        words.append(_entry(path, _words(found)))
        for action in found._actions:  # noqa: SLF001 - argparse has no other way to ask
            if action.nargs != 0:
                # Where no choices are known, nothing is offered but file names, by the shell.
                choices = " ".join(map(str, action.choices or ()))
                values += [_entry(f"{path} {name}", choices) for name in action.option_strings]
    return _BASH.substitute(words="\n".join(words), values="\n".join(values))


def _parsers(
    parser: argparse.ArgumentParser, path: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield *parser* and all below it, each with its verbs as one text."""
    yield path, parser
    for name, inner in subparsers_of(parser).items():
        yield from _parsers(inner, f"{path} {name}")


def subparsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the verbs that may follow, each with its parser, complete."""
    found: dict[str, CommandParser] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found.update(action.choices)
    for inner in found.values():
        inner.load()
    return dict(found)


def _words(parser: argparse.ArgumentParser) -> str:
    names = [*subparsers_of(parser)]
    for action in parser._actions:  # noqa: SLF001
        names += action.option_strings
        if not action.option_strings and not isinstance(action.choices, dict):
            names += map(str, action.choices or ())
    return " ".join(names)


def _entry(key: str, value: str) -> str:
    return f"        ['{key}']='{value}'"
