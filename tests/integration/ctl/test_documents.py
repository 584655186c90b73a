"""`orderctl --json`: one document, of one shape, whatever happens."""

import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from orderd.protocol.strict_json import loads
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import UNSENT, execute
from tools.daemon import clean_environment

ANN = '{"username": "ann", "email": "ann@example.com"}'
LISTS = (
    ("users", "list"),
    ("users", "list", "--all"),
    ("products", "list"),
    ("orders", "list"),
    ("ledger", "list"),
    ("outbox", "list"),
    ("config", "show"),
    ("topology", "show"),
    ("topology", "lint"),
)


def test_every_list_is_one_document_with_items(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    daemon()
    orderctl("call", "user", "create", ANN, "--id", "r1")
    daemon().stop()
    execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=1))
    daemon()

    found = {command: orderctl(*command, "--json").document for command in LISTS}

    assert all(isinstance(document["items"], list) for document in found.values())
    assert [row["username"] for row in found["users", "list"]["items"]] == ["ann"]
    assert found["users", "list", "--all"] == found["users", "list"]
    assert [row["id"] for row in found["ledger", "list"]["items"]] == ["r1"]
    assert not found["ledger", "list"]["more"]
    assert found["config", "show"]["items"][0].keys() == {"key", "value", "source"}


def test_an_empty_list_says_so_to_people_only(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()

    for command, said in (
        (("orders", "list"), "no orders match"),
        (("outbox", "list"), "no unsent events"),
        (("ledger", "list"), "no requests in the last 24h; see --since"),
    ):
        text, document = orderctl(*command), orderctl(*command, "--json")

        assert (text.code, text.err) == (0, f"{said}\n")
        assert (document.code, document.document["items"], document.err) == (0, [], "")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("orders", "get", "9"), 1),
        (("ledger", "show", "nothing"), 1),
        (("metrics",), 2),
        (("completion", "bash"), 2),
        (("dlq", "edit", "nothing"), 1),
        (("dlq", "list", "--limit", "none"), 2),
        (("prune", "--older-than", "never"), 2),
        (("frobnicate",), 2),
    ],
)
def test_a_failure_is_one_document_as_well(
    orderctl: Orderctl, daemon: StartDaemon, command: Sequence[str], code: int
) -> None:
    daemon()

    done = orderctl(*command, "--json")

    assert done.code == code
    error = done.document["error"]
    assert done.document == {"error": {"code": code, "message": error["message"]}}
    assert error["message"] in done.err.replace("orderctl: ", "")


def test_a_request_without_an_answer_is_told_with_its_id(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon().stop()

    done = orderctl("call", "user", "create", ANN, "--id", "r1", "--timeout", "100ms", "--json")

    assert (done.code, done.document["id"], done.document["error"]["code"]) == (1, "r1", 1)


def test_an_interrupt_is_one_document_as_well(
    daemon: StartDaemon, database_url: str, vhost_url: str
) -> None:
    daemon().stop()
    environ = clean_environment()
    environ |= {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}

    process = subprocess.Popen(
        [sys.executable, "-m", "orderd.ctl", "--json", "call", "user", "create", ANN],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"id ")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert loads(out) == {"error": {"code": 130, "message": "interrupted"}}
