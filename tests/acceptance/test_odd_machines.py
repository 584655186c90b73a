"""What a machine withholds: what only an operator can mend is refused, all else is waited for."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, product
from tools.daemon import PROGRAM, DaemonProcess, clean_environment
from tools.waiting import wait_until

# Root without its leave to read everything; whoever else runs the tests has none.
NO_LEAVE = "-dac_override,-dac_read_search"
WITHOUT_LEAVE = (
    ("setpriv", f"--bounding-set={NO_LEAVE}", f"--inh-caps={NO_LEAVE}") if os.geteuid() == 0 else ()
)
NAMELESS_ID = 3_999_999_999
NOWHERE = {
    "ORDERD_DATABASE_URL": "postgresql://u@127.0.0.1:1/x",
    "ORDERD_RABBITMQ_URL": "amqp://127.0.0.1:1/",
}
SHA256 = "ab" * 32

Start = Callable[..., DaemonProcess]


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start orderd by way of another program, on no server unless the test has a shop."""
    started: list[DaemonProcess] = []
    env = dict(NOWHERE)
    if "shop" in request.fixturenames:
        env["ORDERD_DATABASE_URL"] = request.getfixturevalue("database_url")
        env["ORDERD_RABBITMQ_URL"] = request.getfixturevalue("vhost_url")

    def start(*, by: Sequence[str] = (), args: Sequence[str] = (), **more: str) -> DaemonProcess:
        started.append(DaemonProcess(env | more, args=args, program=(*by, *PROGRAM)))
        return started[-1]

    yield start
    for orderd in started:
        with suppress(ProcessLookupError):
            orderd.kill()


@pytest.fixture
def credentials(tmp_path: Path) -> Iterator[Path]:
    """A directory with the tokens in it."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    tokens = f'{{"shop": {{"sha256": "{SHA256}", "allow": ["*"]}}}}'
    (directory / "tokens").write_text(tokens)
    yield directory
    directory.chmod(0o700)


def orderctl(*arguments: str, by: Sequence[str] = (), **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [*by, sys.executable, "-m", "orderd.ctl", *arguments],
        env=clean_environment() | NOWHERE | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_credentials_that_may_be_listed_but_not_read_are_refused(
    start: Start, credentials: Path
) -> None:
    credentials.chmod(0o400)

    orderd = start(by=WITHOUT_LEAVE, CREDENTIALS_DIRECTORY=str(credentials))

    assert orderd.exit_code() == 78
    [rejected] = orderd.events("config.rejected")
    assert (
        rejected["message"] == f"tokens ({credentials}/tokens): cannot be read: Permission denied"
    )


def test_a_reload_without_its_credentials_keeps_the_settings(
    shop: Shop, start: Start, credentials: Path
) -> None:
    orderd = start(by=WITHOUT_LEAVE, CREDENTIALS_DIRECTORY=str(credentials))
    orderd.wait_ready()
    for mode in (0o400, 0o000):
        mark = orderd.mark()
        credentials.chmod(mode)

        orderd.send(signal.SIGHUP)

        rejected = orderd.wait_for_event("config.rejected", after=mark)
        assert "cannot be read: Permission denied" in rejected["message"]
    shop.send_all([product(id="without-a-token")])
    orderd.wait_for_event("message.dead_lettered", code="unauthorized")
    assert orderd.stop() == 0


def test_a_closed_directory_of_the_file_is_refused_and_at_a_reload_changes_nothing(
    shop: Shop, start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "etc" / "orderd.toml"
    file.parent.mkdir()
    file.write_text("batch_max = 7")
    orderd = start(by=WITHOUT_LEAVE, args=["--config", str(file)])
    orderd.wait_ready()
    file.parent.chmod(0o000)
    try:
        orderd.send(signal.SIGHUP)
        orderd.wait_for_event("config.rejected")
        refused = start(by=WITHOUT_LEAVE, args=["--config", str(file)])
        code, said = orderctl("--config", str(file), "config", "check", by=WITHOUT_LEAVE)
        probed, why = orderctl("--config", str(file), "health", by=WITHOUT_LEAVE)

        assert refused.exit_code() == 78
        assert (code, probed) == (78, 78)
        assert "Permission denied" in said
        assert "Permission denied" in why
    finally:
        file.parent.chmod(0o700)
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    assert orderd.stop() == 0


def test_a_fifo_as_configuration_is_refused_and_at_a_reload_changes_nothing(
    shop: Shop, start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "orderd.toml"
    file.write_text("")
    orderd = start(args=["--config", str(file)])
    orderd.wait_ready()
    file.unlink()
    os.mkfifo(file)

    orderd.send(signal.SIGHUP)
    refused = start(args=["--config", str(file)])
    probed, why = orderctl("--config", str(file), "health")

    assert "no end within 5 s" in orderd.wait_for_event("config.rejected")["message"]
    assert refused.exit_code() == 78
    assert probed == 78
    assert "no end within 5 s" in why
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    assert orderd.stop() == 0


@pytest.mark.parametrize("address", ["/" + "x" * 300, "/x" * 150, "/nowhere/notify", "closed"])
def test_a_service_manager_that_cannot_be_reached_holds_no_start_up(
    start: Start, tmp_path: Path, address: str
) -> None:
    closed = tmp_path / "run"
    closed.mkdir()
    closed.chmod(0o000)
    try:
        socket = str(closed / "notify") if address == "closed" else address
        orderd = start(by=WITHOUT_LEAVE, NOTIFY_SOCKET=socket, WATCHDOG_USEC="9" * 400)

        orderd.wait_for_event("database.disconnected")

        [told] = orderd.events("systemd.failed")
        assert told["message"].startswith(f"cannot notify the service manager: {socket[:200]}: ")
        assert orderd.stop() == 0
    finally:
        closed.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_a_user_without_a_name_has_to_be_named_in_the_url(start: Start) -> None:
    keep = "+dac_override,+dac_read_search"
    by = (
        *("setpriv", f"--reuid={NAMELESS_ID}", f"--regid={NAMELESS_ID}", "--clear-groups"),
        *(f"--inh-caps={keep}", f"--ambient-caps={keep}"),
    )
    unnamed = {"ORDERD_DATABASE_URL": "postgresql://127.0.0.1:1/x"}

    orderd = start(by=by, **unnamed)
    code, said = orderctl("config", "check", by=by, **unnamed)
    named = start(by=by)
    by_variable = start(by=by, PGUSER="u", **unnamed)

    why = f"user: is needed: the user id {NAMELESS_ID} has no name on this machine"
    assert orderd.exit_code() == 78
    assert orderd.events("config.rejected")[0]["message"] == f"database_url: {why}"
    assert (code, why in said) == (78, True)
    for one in (named, by_variable):
        one.wait_for_event("database.disconnected")
        assert one.stop() == 0


@pytest.mark.parametrize("how", ["variable", "option"])
def test_an_unknown_service_of_libpq_is_refused(start: Start, how: str) -> None:
    env = {"PGSERVICE": "nope"}
    if how == "option":
        env = {"ORDERD_DATABASE_URL": "service=nope"}

    orderd = start(**env)
    code, _ = orderctl("config", "check", **env)

    assert (orderd.exit_code(), code) == (78, 78)
    assert "libpq refuses" in orderd.events("config.rejected")[0]["message"]


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
@pytest.mark.parametrize("descriptors", range(6, 13))
def test_descriptors_that_are_missing_are_waited_for(
    shop: Shop, start: Start, descriptors: int
) -> None:
    orderd = start(by=("prlimit", f"--nofile={descriptors}:1024"))
    said = wait_until(
        lambda: [line for line in orderd.log_lines if line["event"].endswith(".disconnected")],
        timeout_s=20,
        what="a loss",
    )
    subprocess.run(["prlimit", f"--pid={orderd.pid}", "--nofile=1024"], check=True)

    orderd.wait_ready()
    assert os.strerror(errno.EMFILE) in said[0]["message"]
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    assert orderd.stop() == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_threads_that_are_missing_are_waited_for(shop: Shop, start: Start) -> None:
    # A thread's stack is as large as this limit, and more than the address space allows.
    stack, space = 8 << 30, 4 << 30
    orderd = start(by=("prlimit", f"--stack={stack}:unlimited", f"--as={space}:unlimited"))
    lost = orderd.wait_for_event("broker.disconnected")
    subprocess.run(["prlimit", f"--pid={orderd.pid}", "--as=unlimited"], check=True)

    orderd.wait_ready()
    assert "can't start new thread" in lost["message"]
    shop.send_all([product(id="after")])
    assert shop.wait_for("after") == {"after": "applied"}
    assert orderd.stop() == 0
