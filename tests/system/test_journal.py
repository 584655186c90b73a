"""With `log_format = "journal"`, the log is read and searched by journalctl's own means."""

import json
from typing import Any

import pytest

from tests.system.machine import PATIENCE_S, Machine
from tools.waiting import wait_until

IN_THE_JOURNAL = "[Service]\nEnvironment=ORDERD_LOG_FORMAT=journal\n"
COLUMNS = 80
BIG = 1_000_000
# Larger than a datagram: what orderd itself logs is cut before it becomes so.
SEND_BIG = f"""
from orderd.logs.journal import JournalSocket
assert JournalSocket().send(b"MESSAGE=big\\nORDERD_TEST=big\\nERROR=" + b"x" * {BIG} + b"\\n")
"""


@pytest.fixture
def logging_orderd(orderd: Machine) -> Machine:
    """The guest with orderd logging to the journal."""
    orderd.drop_in("orderd.service", IN_THE_JOURNAL)
    orderd.run("systemctl", "restart", "orderd")
    return orderd


def test_lines_are_found_by_their_fields_also_after_a_restart_of_the_journal(
    logging_orderd: Machine,
) -> None:
    machine = logging_orderd
    after = f"--after-cursor={machine.cursor()}"
    refuse(machine, "refused-before")

    [entry] = found(machine, after, "EVENT=command.refused")

    assert entry["MESSAGE"].startswith("Insufficient stock: product ")
    assert (entry["ID"], entry["QUEUE"], entry["CODE"]) == (
        "refused-before",
        "order",
        "insufficient_stock",
    )
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("4", "orderd")
    assert entry["_SYSTEMD_UNIT"] == "orderd.service"
    assert entry["_TRANSPORT"] == "journal"

    machine.run("systemctl", "restart", "systemd-journald")
    refuse(machine, "refused-after")

    wait_until(
        lambda: len(found(machine, after, "EVENT=command.refused")) == 2,
        timeout_s=PATIENCE_S,
        what="the line after the restart",
    )
    assert machine.restarts() == 0


def test_journalctl_shows_sentences_that_fit_a_terminal(logging_orderd: Machine) -> None:
    after = f"--after-cursor={logging_orderd.cursor()}"
    refuse(logging_orderd, "refused-to-read")
    wait_until(
        lambda: found(logging_orderd, after, "ID=refused-to-read"),
        timeout_s=PATIENCE_S,
        what="the line of the refusal",
    )

    shown = logging_orderd.run(
        "journalctl", "--no-pager", "-p", "warning", "-u", "orderd", "-t", "orderd", after
    )

    [line] = [each for each in shown.splitlines() if "Insufficient stock" in each]
    assert "orderd[" in line
    assert "{" not in line
    assert len(line) <= COLUMNS + len("Insufficient stock")


def test_an_entry_larger_than_a_datagram_is_taken(logging_orderd: Machine) -> None:
    after = f"--after-cursor={logging_orderd.cursor()}"

    logging_orderd.run("python3", "-c", SEND_BIG)

    wait_until(
        lambda: found(logging_orderd, after, "ORDERD_TEST=big"),
        timeout_s=PATIENCE_S,
        what="the big entry",
    )
    [entry] = found(logging_orderd, after, "ORDERD_TEST=big")
    assert len(entry["ERROR"]) == BIG


def refuse(machine: Machine, request_id: str) -> None:
    """Have a command refused, and return when it is in the ledger."""
    product_id = machine.product(f"Lamp {request_id}", stock=1)
    items = [{"product_id": product_id, "quantity": 100}]
    machine.publish("order", "create", {"user_id": 1, "items": items}, request_id)
    machine.await_settled(request_id, 1)


def found(machine: Machine, *matches: str) -> list[dict[str, Any]]:
    """Return the entries that journalctl finds, with all of their fields."""
    shown = machine.run("journalctl", "--quiet", "--all", "--output=json", *matches)
    return [json.loads(line) for line in shown.splitlines()]
