"""`orderctl dlq` as a person sees it: its tables, bars and questions in a terminal."""

import json
import uuid
from pathlib import Path

import pytest

from tests.integration.ctl.conftest import Open
from tests.integration.ctl.letters import Broker


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


@pytest.mark.parametrize(("count", "bars"), [(40, 1), (600, 2)])
def test_a_watched_replay_shows_how_far_it_is_and_can_be_interrupted(
    open_terminal: Open, broker: Broker, count: int, bars: int
) -> None:
    broker.declare()
    for number in range(count):
        broker.bury("order", f'{{"id": "r{number}", "action": "create"}}'.encode())
    window = open_terminal(80)

    window.type("clear; orderctl dlq replay --ramp; echo code $?", "Enter")
    # Without a daemon, nothing becomes of the first ten, and the next ones have to wait.
    window.wait_for(f" 10/{count}")
    shown = window.screen()
    window.type("C-c")
    window.wait_for("code 130")

    # The look at many dead letters has a bar of its own, which is full by then.
    assert sum("━" in line for line in shown) == bars, shown
    assert window.screen()[:2] == ["interrupted: 10 replayed, the rest stay", "code 130"]
    assert (broker.ready("order"), broker.ready("order.dlq")) == (10, count - 10)


def test_a_replay_at_a_rate_shows_how_far_it_is(open_terminal: Open, broker: Broker) -> None:
    broker.declare()
    for number in range(40):
        broker.bury("order", f'{{"id": "r{number}", "action": "create"}}'.encode())
    window = open_terminal(80)

    window.type("clear; orderctl dlq replay --rate 10/s; echo code $?", "Enter")
    window.wait_for("/40")
    window.type("C-c")
    window.wait_for("code 130")

    assert window.screen()[0].startswith("interrupted: ")
    assert not any("━" in line or "Traceback" in line for line in window.screen())
    broker.wait_for("order.dlq", 40 - broker.ready("order"))


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
