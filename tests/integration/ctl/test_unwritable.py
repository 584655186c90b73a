"""A stdout that is full, closed or read by nobody; Ctrl-C: the id of a request is told even so."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker
from tools.daemon import clean_environment

PRODUCT = '{"name": "Kabel", "price": 2.50, "stock_quantity": 7}'
ORDERCTL = f"{sys.executable} -m orderd.ctl"
TIMEOUT_S = 60
FULL = ">/dev/full"
CLOSED = ">&-"
VERBS = (
    "health",
    "status",
    "publish product list",
    "call product list",
    "orders list",
    "explain x",
    "dlq list",
    "ledger list",
    "outbox list",
    "topology show",
    "prune",
    "migrate --check",
    "config show",
    "config example",
    "completion bash",
    "completion zsh",
    "completion fish",
    "--help",
)


@pytest.fixture
def env(database_url: str, vhost_url: str) -> dict[str, str]:
    servers = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    return clean_environment() | servers


@pytest.fixture
def product_queue(vhost_url: str) -> Iterator[str]:
    """A queue that a producer declared, and that nobody takes from."""
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as connection:
        yield connection.channel().queue_declare("product", durable=True).method.queue


def shell(env: dict[str, str], command: str) -> tuple[int, list[str]]:
    """Run `orderctl COMMAND` as a shell does, redirections too; return its code and stderr."""
    done = subprocess.run(
        ["bash", "-c", f"{ORDERCTL} {command}"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("verb", ["publish", "call"])
@pytest.mark.parametrize(
    ("redirection", "why"), [(FULL, "No space left on device"), (CLOSED, "Bad file descriptor")]
)
def test_a_request_whose_end_cannot_be_shown_can_be_repeated(  # noqa: PLR0917
    orderctl: Orderctl,
    env: dict[str, str],
    daemon: StartDaemon,
    verb: str,
    redirection: str,
    why: str,
) -> None:
    daemon()

    code, said = shell(env, f"{verb} product create '{PRODUCT}' {redirection}")

    assert code == 1
    request_id = said[0].removeprefix("id ")
    assert said[1:] == [
        f"orderctl: stdout: {why}",
        (
            f"orderctl: it may still be applied as {request_id}; "
            "it is safe to send it again with the same id"
        ),
    ]
    again = orderctl("call", "product", "create", PRODUCT, "--id", request_id)
    assert (again.code, again.document["data"]["id"]) == (0, 1)


def test_a_reader_that_has_gone_is_no_reason_to_hide_the_id(
    env: dict[str, str], daemon: StartDaemon
) -> None:
    daemon()

    _, said = shell(env, "call product list --id p1 | true")

    assert said[0] == "id p1"
    assert "may still be applied as p1" in said[-1]


@pytest.mark.parametrize("verb", ["publish", "call"])
@pytest.mark.usefixtures("product_queue")
def test_stderr_that_cannot_be_written_holds_no_request_up(
    env: dict[str, str], verb: str, daemon: StartDaemon
) -> None:
    daemon()

    assert shell(env, f"{verb} product list 2>/dev/full")[0] == 0
    assert shell(env, f"{verb} product list 2>&-")[0] == 0


def test_ctrl_c_in_the_wait_for_a_reply_tells_the_id(env: dict[str, str], broker: Broker) -> None:
    broker.declare()
    with subprocess.Popen(
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "orderd.ctl",
            "call",
            "product",
            "create",
            PRODUCT,
            "--timeout",
            "60",
        ],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as orderctl:
        try:
            broker.wait_for("product", 1)
            orderctl.send_signal(signal.SIGINT)
            out, err = orderctl.communicate(timeout=TIMEOUT_S)
        finally:
            orderctl.kill()

    told, warned = err.splitlines()
    request_id = told.removeprefix("id ")
    assert (orderctl.returncode, out) == (130, "")
    assert len(request_id) == 36
    assert f"it may still be applied as {request_id}" in warned


@pytest.mark.parametrize("redirections", [CLOSED, f"<&- {CLOSED}", f"<&- {CLOSED} 2>&-", FULL])
def test_no_verb_ends_in_a_traceback_without_its_streams(
    env: dict[str, str], daemon: StartDaemon, redirections: str
) -> None:
    daemon()
    for verb in VERBS:
        code, said = shell(env, f"{verb} {redirections}")

        assert code in {0, 1, 2, 69}, (verb, code, said)
        assert not any("Traceback" in line or "Exception" in line for line in said), (verb, said)


def test_what_is_read_from_a_closed_stdin_is_nothing(env: dict[str, str]) -> None:
    code, said = shell(env, "publish product create - <&-")

    assert code == 2
    assert said[0].startswith("orderctl: stdin: ")


@pytest.mark.parametrize("redirections", [CLOSED, f"<&- {CLOSED} 2>&-", FULL])
def test_a_probe_of_a_daemon_that_is_well_is_0_without_a_stdout(
    env: dict[str, str], daemon: StartDaemon, tmp_path: Path, redirections: str
) -> None:
    file = tmp_path / "health"
    daemon(health_file=file)

    assert shell(env, f"health --file {file} {redirections}")[0] == 0
    assert shell(env, f"health --file {file}.none {redirections}")[0] == 69
