"""orderctl as a person sees it: in terminals of 80 and 120 columns, in colours or without."""

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Open, Orderctl
from tests.integration.ctl.letters import UNSENT, Broker, execute
from tests.support.tcp_proxy import TcpProxy

COMMAND_ID = "0b9d3f6e-7f57-4f0b-8a35-1f2d1c1f0e11"
RED = "\x1b[1m\x1b[31m"
REFUSED = """
    UPDATE outbox SET refusals = 3, not_before = now() + interval '1 h', refused_because =
        'refused by the broker: a queue that is bound to orderd.events is full and rejects events'
"""


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

    assert window.screen()[0].split()[:2] == ["instance", "program"]
