"""Runs the blocks of a page in a sandbox, and checks those that cannot run there."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from orderd.ctl.main import build_parser
from tests.support.bash import Bash
from tests.support.pages import Block, Command, commands, file_name, matches
from tools.waiting import NotObserved, wait_until

TREE = Path(__file__).parents[2]
SHOWN_ONLY = ("text", "mermaid", "sql", "ini")
FILES = ("python", "toml", "sql", "ini")
REPEAT_TIMEOUT_S = 20.0
TREE_TIMEOUT_S = 240.0
SEPARATORS = ";|&()<>\n"
PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "python": lambda text: compile(text, "page", "exec"),
}


@dataclass(slots=True)
class PageRun:
    """The session of one page; `differences` are commands whose output is not what it shows."""

    bash: Bash
    folder: Path
    differences: list[tuple[Command, str]] = field(default_factory=list)

    def run(self, block: Block) -> None:
        """Run a block, or check it; BadPage when it is not known how."""
        if block.place:
            check_elsewhere(block)
        elif block.language == "console":
            self._console(block)
        elif block.language == "sh":
            self._script(block)
        elif block.language in FILES and (name := file_name(block)):
            (self.folder / name).write_text(block.text)
        elif block.language in PARSERS:
            _parse(block)
        elif block.language not in SHOWN_ONLY:
            raise block.fault(f"unknown language {block.language!r}, and no mark")

    def _console(self, block: Block) -> None:
        all_of_it = commands(block)
        for number, command in enumerate(all_of_it):
            if command.prompt == "#":
                raise block.fault("only root can run this: the block needs a mark", command.line)
            is_last = number == len(all_of_it) - 1
            expected = int(block.marks.get("exit", 0)) if is_last else 0
            output = self._output(block, command, expected)
            if not matches(command.output, output):
                self.differences.append((command, output))

    def _output(self, block: Block, command: Command, expected: int) -> str:
        """Return what a command prints; one that only looks is repeated until that is shown."""
        output, status = self.bash.run(command.text)

        def shown() -> bool:
            nonlocal output, status
            output, status = self.bash.run(command.text)
            return status == expected and matches(command.output, output)

        if "repeat" in block.marks and not matches(command.output, output):
            try:
                wait_until(shown, timeout_s=REPEAT_TIMEOUT_S, what=command.text, poll_s=0.3)
            except NotObserved:
                return output
        if status != expected:
            raise block.fault(f"exit status {status}: {command.text}\n{output}", command.line)
        return output

    def _script(self, block: Block) -> None:
        # Not `set -e`, which would end the session that later blocks go on with.
        script = f"failed=0; trap 'failed=$?' ERR\n{block.text}trap - ERR; (exit $failed)"
        output, status = self.bash.run(script)
        if status != int(block.marks.get("exit", 0)):
            raise block.fault(f"exit status {status}:\n{output}")


def check_elsewhere(block: Block) -> None:
    """Check what runs in no sandbox: its syntax, and the command lines of orderctl in it."""
    if block.language in PARSERS:
        _parse(block)
    if block.language not in ("console", "sh"):
        return
    for line, text in _texts(block):
        checked = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        if checked.returncode != 0:
            raise block.fault(checked.stderr, line)
        if block.place == "make":
            _check_targets(block, text, line)
        for arguments in orderctl_lines(text):
            _check_arguments(block, arguments, line)


def orderctl_lines(text: str) -> Iterator[list[str]]:
    """Return the arguments of each command of orderctl in a shell text, wherever it is run."""
    joined = text.replace("\\\n", " ")
    lexer = shlex.shlex(joined, posix=True, punctuation_chars=SEPARATORS)
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(SEPARATORS):
            if "orderctl" in words and words[0] not in ("alias", "man", "apt", "which"):
                at = words.index("orderctl")
                # As the entry point of a container, it stands before the name of the image.
                yield words[at + 2 :] if words[at - 1] == "--entrypoint" else words[at + 1 :]
            words = []
        else:
            words.append(word)


def run_in_tree(block: Block, bash: Bash) -> list[tuple[Command, str]]:
    """Run a console block from the top of the tree; return what prints other than is shown."""
    if block.language != "console":
        raise block.fault("only a console block runs in the tree")
    differences = []
    for command in commands(block):
        output, status = bash.run(command.text, TREE_TIMEOUT_S)
        if status != 0:
            raise block.fault(f"exit status {status}: {command.text}\n{output}", command.line)
        if not matches(command.output, output):
            differences.append((command, output))
    return differences


def _texts(block: Block) -> list[tuple[int, str]]:
    if block.language == "sh":
        return [(block.line, block.text)]
    return [(command.line, command.text) for command in commands(block)]


def _parse(block: Block) -> None:
    try:
        PARSERS[block.language](block.text)
    except (ValueError, SyntaxError, yaml.YAMLError) as error:
        raise block.fault(f"not {block.language}: {error}") from error


def _check_targets(block: Block, text: str, line: int) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (TREE / "Makefile").read_text()))
    for target in re.findall(r"\bmake +([a-z-]+)", text):
        if target not in targets:
            raise block.fault(f"the Makefile has no target {target}", line)


def _check_arguments(block: Block, arguments: list[str], line: int) -> None:
    try:
        build_parser().parse_args(arguments)
    except SystemExit as end:
        if end.code:
            raise block.fault(f"orderctl does not know: {shlex.join(arguments)}", line) from end
