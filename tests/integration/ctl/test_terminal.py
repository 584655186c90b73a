"""orderctl as a person sees it: in terminals of 80 and 120 columns, in colours or without."""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import UNSENT, Broker, execute
from tests.support.tcp_proxy import TcpProxy
from tests.support.terminal import Terminal, terminal
from tools.daemon import clean_environment

COMMAND_ID = "0b9d3f6e-7f57-4f0b-8a35-1f2d1c1f0e11"
RED = "\x1b[1m\x1b[31m"
REFUSED = """
    UPDATE outbox SET refusals = 3, not_before = now() + interval '1 h', refused_because =
        'refused by the broker: a queue that is bound to orderd.events is full and rejects events'
"""

Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal(tmp_path: Path, database_url: str, vhost_url: str) -> Iterator[Open]:
    """Open terminals in which `orderctl` reaches this test's database and virtual host."""
    program = tmp_path / "orderctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orderd.ctl "$@"\n')
    program.chmod(0o755)
    environ = clean_environment()
    environ |= {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    environ |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    for name in ("NO_COLOR", "COLUMNS", "TMUX"):
        environ.pop(name, None)
    with ExitStack() as opened:
        yield lambda columns, **more: opened.enter_context(
            terminal(tmp_path, columns, {**environ, **more})
        )


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal_and_no_id_is_broken(
    open_terminal: Open, daemon: StartDaemon, database_url: str, columns: int
) -> None:
    running = daemon()
    window = open_terminal(columns)
    user = """'{"username": "ann", "email": "ann@example.com"}'"""
    window.run(f"orderctl call user create {user} --id {COMMAND_ID}")
    running.stop()
    execute(database_url, UNSENT.format(subject="order/1", correlation=COMMAND_ID, count=2))
    execute(database_url, REFUSED)

    for command, is_told in (
        ("status", False),
        ("ledger list", True),
        ("outbox list", True),
        (f"explain {COMMAND_ID}", True),
        ("topology show", False),
        ("config show", False),
    ):
        lines = window.run(f"orderctl {command}")

        assert not window.is_anything_too_wide, (command, lines)
        assert any(COMMAND_ID in line for line in lines) == is_told, (command, lines)


def test_a_request_is_one_line_of_the_ledger(
    open_terminal: Open, daemon: StartDaemon, orderctl: Orderctl
) -> None:
    daemon()
    # Refused: its code takes the place of what tells less.
    order = '{"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}'
    orderctl("call", "order", "create", order, "--id", COMMAND_ID)

    titles, line, _code = open_terminal(80).run("orderctl ledger list")

    assert titles.split() == ["settled", "id", "code"]
    assert line.split()[2:] == [COMMAND_ID, "user_not_found"]


def test_what_is_not_well_is_red_unless_colours_are_unwanted(
    open_terminal: Open, daemon: StartDaemon
) -> None:
    daemon().stop()
    window = open_terminal(80)

    assert window.run("orderctl status")[0] == "NOT OK: queues, daemon"
    coloured = window.screen("-e")
    window.run("NO_COLOR=1 orderctl status")
    plain = window.screen("-e")
    window.run("orderctl status | cat")
    piped = window.screen("-e")

    assert sum(RED in line for line in coloured) == 3
    assert not any("\x1b" in line for line in (*plain, *piped))


def test_a_healthy_system_is_seen_at_the_first_line(
    open_terminal: Open, daemon: StartDaemon
) -> None:
    daemon()
    window = open_terminal(80)

    lines = window.run("orderctl status")

    assert lines[0].startswith("OK: orderd ")
    assert lines[-2:] == [
        "empty: user, product, order, 9 retry queues, 3 dead letter queues",
        "code 0",
    ]


def test_an_empty_list_is_a_sentence(open_terminal: Open) -> None:
    window = open_terminal(80)

    assert window.run("orderctl outbox list") == ["no unsent events", "code 0"]


def test_a_watch_shows_what_changes_until_it_is_interrupted(
    open_terminal: Open, daemon: StartDaemon
) -> None:
    daemon().stop()
    window = open_terminal(80)

    window.type("clear; orderctl status --watch 200ms; echo code $?", "Enter")
    window.wait_for("NOT OK: ")
    daemon()
    window.wait_for("OK: orderd ")
    shown = window.screen()
    window.type("C-c")
    window.wait_for("code 130")

    assert shown[0].startswith("OK: orderd ")
    assert not any(line.startswith(("NOT OK", "Traceback")) for line in window.screen())


def test_a_watch_goes_on_when_its_server_is_back(
    open_terminal: Open, daemon: StartDaemon, database_url: str
) -> None:
    daemon()
    with TcpProxy(database_url) as proxy:
        proxy.open()
        window = open_terminal(80, ORDERD_DATABASE_URL=proxy.url)

        window.type("clear; orderctl daemons --watch 200ms; echo code $?", "Enter")
        window.wait_for("msg/s")
        proxy.shut()
        window.wait_for("database: ")
        assert not any("msg/s" in line for line in window.screen())
        proxy.open()
        window.wait_for("msg/s")
        window.type("C-c")
        window.wait_for("code 130")


def test_ctrl_c_ends_a_command_that_waits(open_terminal: Open, broker: Broker) -> None:
    broker.declare()
    window = open_terminal(80)

    window.type("clear; orderctl call user list --timeout 1h; echo code $?", "Enter")
    window.wait_for("id ")
    window.type("C-c")
    window.wait_for("code 130")

    assert not any("Traceback" in line for line in window.screen())


@pytest.mark.parametrize("columns", [80, 120])
def test_dead_letters_fit_into_the_terminal_with_their_ids_whole(
    open_terminal: Open, broker: Broker, columns: int
) -> None:
    broker.declare()
    ids = [str(uuid.UUID(int=number)) for number in range(3)]
    for each in ids:
        reason = f"unexpected: RaiseException: the tax service refuses {each}"
        told = {"orderd-reason": reason, "orderd-code": "retries_exhausted"}
        body = f'{{"id": "{each}", "action": "update_status"}}'
        broker.bury("order", body.encode(), headers=told)
    window = open_terminal(columns)

    listed = window.run("orderctl dlq list")
    is_list_too_wide = window.is_anything_too_wide
    grouped = window.run("orderctl dlq groups")

    assert not is_list_too_wide, listed
    assert not window.is_anything_too_wide, grouped
    assert all(any(each in line.split() for line in listed) for each in ids), listed
    # One cause is one row, however narrow.
    assert grouped[0].split()[:3] == ["group", "count", "queue"]
    assert [line.split()[1:3] for line in grouped[1:] if line[0] != " "] == [
        ["3", "order"],
        [grouped[-1].split()[1]],
    ]


def test_an_id_longer_than_the_terminal_is_not_broken(open_terminal: Open, broker: Broker) -> None:
    broker.declare()
    long_id = "web-" + 20 * "0123456789"
    broker.bury("order", f'{{"id": "{long_id}", "action": "create"}}'.encode())
    window = open_terminal(80)

    for command in ("dlq list", f"explain {long_id}"):
        window.run(f"orderctl {command}")

        # The terminal goes on in the next line, so that it is copied as one word.
        shown = [line for line in window.screen("-J") if "orderctl" not in line]
        assert any(long_id in line.split() for line in shown), command


def test_a_slow_replay_shows_how_far_it_is_and_can_be_interrupted(
    open_terminal: Open, broker: Broker
) -> None:
    broker.declare()
    for number in range(40):
        broker.bury("order", f'{{"id": "r{number}", "action": "create"}}'.encode())
    window = open_terminal(80)

    for options, replayed in (("--ramp", 10), ("--rate 10/s", None)):
        window.type(f"clear; orderctl dlq replay {options}; echo code $?", "Enter")
        window.wait_for(" 10/40" if replayed else "/30")
        window.type("C-c")
        window.wait_for("code 130")

        lines = window.screen()
        assert lines[0].startswith("interrupted: "), lines
        assert not any("━" in line or "Traceback" in line for line in lines)
        if replayed is not None:
            assert lines[0] == f"interrupted: {replayed} replayed, the rest stay"
    assert broker.ready("order") + broker.ready("order.dlq") == 40


@pytest.mark.parametrize(
    ("key", "code", "told"),
    [
        ("C-c", 130, []),
        ("C-d", 1, ["orderctl: nothing changed"]),
        ("n", 1, ["orderctl: nothing changed"]),
    ],
)
def test_an_edit_can_be_given_up_at_its_question(
    open_terminal: Open, broker: Broker, key: str, code: int, told: list[str]
) -> None:
    broker.declare()
    broker.bury("order", b'{"id": "r1", "action": "create", "data": {"user_id": 0}}')
    window = open_terminal(80, EDITOR="sed -i s/0/-1/")

    window.type("clear; orderctl dlq edit r1; echo code $?", "Enter")
    window.wait_for("edit again? [Y/n]")
    window.type(*([key, "Enter"] if key == "n" else [key]))
    window.wait_for(f"code {code}", at_end=True)

    lines = window.screen()
    question = next(i for i, line in enumerate(lines) if line.startswith("edit again?"))
    assert lines[question + 1 : -1] == [*told, f"code {code}"]
    assert broker.ready("order.dlq") == 1


def test_ctrl_c_in_an_editor_is_for_the_editor(
    open_terminal: Open, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    order = {"id": "r1", "action": "create", "data": {"user_id": 0}}
    broker.bury("order", json.dumps(order).encode())
    editor = tmp_path / "edit"
    items = '"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]'
    editor.write_text(
        "#!/bin/sh\ntrap 'echo caught' INT\necho editing\nread key\n"
        f'sed -i \'s/"user_id": 0/{items}/\' "$1"\n'
    )
    editor.chmod(0o755)
    window = open_terminal(80, EDITOR=str(editor))

    window.type("clear; orderctl dlq edit r1; echo code $?", "Enter")
    window.wait_for("editing")
    window.type("C-c")
    window.wait_for("code ", at_end=True)

    assert window.screen()[-3:-1] == ["sent to queue order", "code 0"]
    assert any("caught" in line for line in window.screen())
    assert broker.ready("order") == 1


def test_a_watch_of_daemons_ends_with_the_prompt_in_a_line_of_its_own(
    open_terminal: Open, daemon: StartDaemon
) -> None:
    daemon()
    window = open_terminal(80)

    window.type("clear; orderctl daemons --watch 200ms; echo code $?", "Enter")
    window.wait_for("running")
    assert not window.is_anything_too_wide
    window.type("C-c")
    window.wait_for("code 130", at_end=True)

    assert window.screen()[0].split()[:2] == ["instance", "host"]
