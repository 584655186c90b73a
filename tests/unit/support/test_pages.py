from pathlib import Path

import pytest

from tests.support.bash import Bash
from tests.support.page_run import PageRun, check_elsewhere, orderctl_lines
from tests.support.pages import BadPage, Block, blocks, commands, file_name, matches


def page(path: Path, text: str) -> list[Block]:
    path = path / "page.md"
    path.write_text(text)
    return blocks(path)


def run_of(path: Path, text: str) -> PageRun:
    folder = path / "folder"
    folder.mkdir()
    with Bash(folder, {"PATH": "/usr/bin:/bin"}) as bash:
        run = PageRun(bash, folder)
        for block in page(path, text):
            run.run(block)
    return run


def test_a_block_is_found_with_its_language_marks_and_lines(tmp_path: Path) -> None:
    text = "Text\n\n<!-- exit: 1 -->\n<!-- repeat -->\n```console\n$ false\n```\n"

    (block,) = page(tmp_path, text)

    assert (block.language, block.line) == ("console", 6)
    assert block.marks == {"exit": "1", "repeat": ""}
    assert block.text == "$ false\n"


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ true\n",
        "<!-- run: nowhere -->\n```console\n$ true\n```\n",
        "<!-- skip -->\n```console\n$ true\n```\n",
    ],
)
def test_a_block_without_end_and_an_unknown_mark_are_faults(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadPage):
        page(tmp_path, text)


@pytest.mark.parametrize(
    "block",
    [
        "```\ntext\n```",
        "```perl\nprint 1\n```",
        "```console\noutput alone\n```",
        "```console\n# id\n```",
        "```console\n$ false\n```",
        "<!-- exit: 1 -->\n```console\n$ false\n$ true\n```",
        "```sh\nfalse\ntrue\n```",
        '```json\n{"a":}\n```',
        "<!-- run: system -->\n```sh\nif true; do\n```",
        "<!-- run: system -->\n```console\n# orderctl dlq lisst\n```",
        "<!-- run: container -->\n```console\n$ podman exec orderd orderctl health --alive\n```",
        "<!-- run: make -->\n```sh\nmake nothing-there\n```",
    ],
)
def test_what_cannot_be_known_or_fails_is_a_fault(block: str, tmp_path: Path) -> None:
    with pytest.raises(BadPage):
        run_of(tmp_path, f"{block}\n")


def test_output_other_than_shown_is_a_difference(tmp_path: Path) -> None:
    run = run_of(tmp_path, "```console\n$ echo one\ntwo\n$ echo three\nthree\n```\n")

    ((command, output),) = run.differences
    assert (command.line, command.output, output) == (2, ("two",), "one\n")


def test_commands_of_a_page_run_in_one_session_with_the_files_of_the_page(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        "```toml\n# a.toml\nx = 1\n```\n```sh\nfalse || name=ada\n```\n"
        "```console\n$ echo $name \\\n  lives\nada lives\n$ cat <<END\n> here\n> END\n"
        "here\n$ tail -n 1 a.toml\nx = 1\n$ cat missing\ncat: missing: …\n```\n".replace(
            "$ cat missing", "$ cat missing || true"
        ),
    )

    assert run.differences == []


def test_a_command_that_looks_is_repeated_until_the_page_is_right(tmp_path: Path) -> None:
    text = "```sh\n(sleep 0.5; echo there >file) >/dev/null 2>&1 &\n```\n"
    text += "<!-- repeat -->\n```console\n$ cat file 2>/dev/null || true\nthere\n```\n"

    assert run_of(tmp_path, text).differences == []


@pytest.mark.parametrize(
    ("shown", "output", "is_same"),
    [
        (("a b",), "a b\n", True),
        (("a b",), "a b  \n\n", True),
        (("", "a"), "a\n", False),
        (("a b",), "a c\n", False),
        (("a b",), "a b\nc\n", False),
        (("a ... c",), "a bb c\n", True),
        (("a … c",), "a\n c\n", False),
        (("a", "…", "c"), "a\nc\n", True),
        (("a", "...", "c"), "a\nb\nb\nc\n", True),
        (("at 2026-11-22T03:36:17.933152Z.",), "at 2027-01-01T00:00:00Z.\n", True),
        (("at 2026-11-22T03:36:17Z",), "at noon\n", False),
        (
            ("id a05aab59-89ee-4be1-881a-8e7e8e5c6bf9",),
            "id 00000000-89ee-4be1-881a-000000000000\n",
            True,
        ),
        (("a.c",), "abc\n", False),
        ((), "", True),
        ((), "x\n", False),
    ],
)
def test_output_is_compared_by_the_rules(
    shown: tuple[str, ...], output: str, *, is_same: bool
) -> None:
    assert matches(shown, output) is is_same


def test_root_may_run_what_is_marked(tmp_path: Path) -> None:
    text = "<!-- run: system -->\n```console\n# systemctl reload orderd\n# orderctl dlq list\n```\n"

    (block,) = page(tmp_path, text)
    check_elsewhere(block)

    assert [command.prompt for command in commands(block)] == ["#", "#"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orderctl dlq list order | head", [["dlq", "list", "order"]]),
        ("true && sudo -u orderd orderctl \\\n status >file", [["status"]]),
        ("podman exec orderd orderctl health; orderctl status", [["health"], ["status"]]),
        ("podman run --entrypoint orderctl orderd migrate", [["migrate"]]),
        ("man orderctl", []),
        ("""orderctl call user get '{"id": 1}'""", [["call", "user", "get", '{"id": 1}']]),
    ],
)
def test_command_lines_of_orderctl_are_found(text: str, expected: list[list[str]]) -> None:
    assert list(orderctl_lines(text)) == expected


@pytest.mark.parametrize(
    ("language", "first", "name"),
    [
        ("python", "# producer.py", "producer.py"),
        ("python", "# A comment.", None),
        ("sql", "-- roles.sql", "roles.sql"),
    ],
)
def test_the_first_line_names_a_file(language: str, first: str, name: str | None) -> None:
    assert file_name(Block(Path("page.md"), 2, language, (first, "x"), {})) == name
