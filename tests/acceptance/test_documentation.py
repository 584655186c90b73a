"""Every command line of README, tutorial and how-to guides does what the page shows.

ORDERD_DOCS_REWRITE=1 writes the output that was found into the pages, to be looked at with git.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from orderd.protocol.roles import Role
from tests.support.bash import Bash
from tests.support.grants import Roles
from tests.support.page_run import PageRun, run_in_tree
from tests.support.pages import Block, Command, blocks
from tools.daemon import NOTIFY_PROGRAM, DaemonProcess, clean_environment
from tools.environment import environment_text, write_environment
from tools.mail_catcher import MailCatcher
from tools.sandbox import SANDBOX, notifier_environment
from tools.servers import Servers

TREE = Path(__file__).parents[2]
PAGES = [TREE / "README.md", TREE / "docs/tutorial.md", *sorted(TREE.glob("docs/how-to/*.md"))]
REWRITE = "ORDERD_DOCS_REWRITE"
# What a page is run with, whatever the machine is set to.
TERMINAL = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "COLUMNS": "80", "PAGER": "cat"}

Differences = list[tuple[Command, str]]


@pytest.fixture
def admin_urls(admin_vhost_url: str, admin_database_url: str) -> dict[str, str]:
    """The variables that lead the administrator to this test's servers."""
    return {"ORDERD_DATABASE_URL": admin_database_url, "ORDERD_RABBITMQ_URL": admin_vhost_url}


@pytest.fixture
def folder(
    servers: Servers, roles: Roles, vhost: str, admin_urls: dict[str, str], tmp_path: Path
) -> Iterator[Path]:
    """An empty folder in which a sandbox of this page can be sourced, as `make sandbox` has it.

    The daemons have roles of their own, the session is the administrator's.
    """
    roles.grant_vhost(servers.rabbit, vhost, Role.NOTIFY)
    folder = tmp_path / "folder"
    mails, log_path = tmp_path / "mails", tmp_path / "orderd.log"
    with ExitStack() as stack:
        catcher = stack.enter_context(MailCatcher(mails))
        env = {
            **admin_urls,
            "ORDERD_HEALTH_FILE": str(tmp_path / "health"),
            "ORDERD_METRICS_FILE": str(tmp_path / "metrics.prom"),
            "ORDERD_NOTIFY__CHANNEL": catcher.channels(),
            **SANDBOX,
        }
        notify_env = notifier_environment(env, tmp_path)
        daemons = [
            DaemonProcess(env | _urls(roles, admin_urls, Role.DAEMON), log_path=log_path),
            DaemonProcess(
                notify_env | _urls(roles, admin_urls, Role.NOTIFY), program=NOTIFY_PROGRAM
            ),
        ]
        for daemon in daemons:
            stack.callback(daemon.kill)
        for daemon in daemons:
            daemon.wait_ready()
        files = {"SANDBOX_LOG": str(log_path), "SANDBOX_MAILS": str(mails)}
        text = environment_text({**env, **files}, _rabbitmqadmin(servers, vhost))
        write_environment(folder / "build/sandbox/env", text)
        yield folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_what_a_page_shows_is_what_its_commands_print(page: Path, folder: Path) -> None:
    with Bash(folder, clean_environment() | TERMINAL) as bash:
        assert bash.run(". build/sandbox/env") == ("", 0)
        run = PageRun(bash, folder)
        for block in blocks(page):
            if block.place == "tree":
                run.differences += _in_tree(block)
            else:
                run.run(block)

    if os.environ.get(REWRITE) and run.differences:
        _rewrite(page, run.differences)
    assert not run.differences, "\n".join(
        f"{page.relative_to(TREE)}:{command.line}: {command.text}\n--- the page shows\n"
        + "".join(f"{line}\n" for line in command.output)
        + f"--- it prints\n{output}"
        for command, output in run.differences
    )


def _in_tree(block: Block) -> Differences:
    with Bash(TREE, clean_environment() | TERMINAL) as bash:
        return run_in_tree(block, bash)


def _urls(roles: Roles, urls: Mapping[str, str], role: Role) -> dict[str, str]:
    return {name: roles.url(url, role) for name, url in urls.items()}


def _rabbitmqadmin(servers: Servers, vhost: str) -> list[str]:
    """Return the command that `rabbitmqadmin` is in the session; empty where it is not here."""
    rabbit = servers.rabbit
    if rabbit.management is None or shutil.which("rabbitmqadmin") is None:
        return []
    return [*rabbit.rabbitmqadmin_command(), *rabbit.admin_options(), f"--vhost={vhost}"]


def _rewrite(page: Path, differences: Sequence[tuple[Command, str]]) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    for command, output in sorted(differences, key=lambda one: one[0].line, reverse=True):
        start = command.output_line - 1
        lines[start : start + len(command.output)] = [line.rstrip() for line in output.splitlines()]
    page.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
