"""Authorization is never switched off by accident: only where the file itself says so."""

import json
import signal
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import Shop, product
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess

DIGEST = sha256(b"s3cret").hexdigest()
TOKENS = f'[tokens.shop]\nsha256 = "{DIGEST}"\nallow = ["*"]\n'
TOKENS_AS_JSON = json.dumps({"shop": {"sha256": DIGEST, "allow": ["*"]}})
NEW_PRODUCT = {"name": "Laptop", "price": 10, "stock_quantity": 1}
NONE = 'authorization = "none"\n'

Start = Callable[[str], DaemonProcess]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orderd.toml"


@pytest.fixture
def start(daemon: StartDaemon, file: Path) -> Start:
    """Start a daemon with a file of that text."""

    def start(text: str) -> DaemonProcess:
        file.write_text(text)
        return daemon(args=["--config", str(file)])

    return start


def reload(orderd: DaemonProcess, event: str) -> dict[str, Any]:
    mark = orderd.mark()
    orderd.send(signal.SIGHUP)
    return orderd.wait_for_event(event, after=mark)


def truncate(file: Path) -> None:
    file.write_text("")


def cut_short(file: Path) -> None:
    file.write_text("log_level = 'debug'\n")


def dangle(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def comment_out(file: Path) -> None:
    file.write_text("# " + TOKENS.replace("\n", "\n# "))


def empty_mode(file: Path) -> None:
    file.write_text('authorization = ""\n')


def mode_without_tokens(file: Path) -> None:
    file.write_text('authorization = "tokens"\n')


def mode_without_keys(file: Path) -> None:
    file.write_text(f'authorization = "jwt"\n{TOKENS}')


@pytest.mark.parametrize(
    "spoil",
    [
        truncate,
        cut_short,
        dangle,
        Path.unlink,
        comment_out,
        empty_mode,
        mode_without_tokens,
        mode_without_keys,
    ],
)
def test_a_reload_takes_no_protection_away(
    shop: Shop, start: Start, file: Path, spoil: Callable[[Path], None]
) -> None:
    orderd = start(TOKENS)
    spoil(file)

    rejected = reload(orderd, "config.rejected")

    assert rejected["message"].startswith("reload rejected, the previous settings stay: ")
    shop.send_all([product(id="stranger")])
    orderd.wait_for_event("message.dead_lettered", id="stranger", code="unauthorized")
    shop.send("product", "create", NEW_PRODUCT, id="known", auth="s3cret")
    assert shop.wait_for("known") == {"known": "applied"}


def test_tokens_that_a_credential_held_are_not_lost_with_its_directory(
    shop: Shop, daemon: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = tmp_path / "tokens"
    credential.write_text(TOKENS_AS_JSON)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    orderd = daemon()
    credential.rename(tmp_path / "token")

    rejected = reload(orderd, "config.rejected")

    assert "token " in rejected["message"]
    assert "unknown setting; did you mean tokens?" in rejected["message"]
    (tmp_path / "token").unlink()
    assert (
        "authorization: would change from tokens to none"
        in reload(orderd, "config.rejected")["message"]
    )
    shop.send_all([product(id="stranger")])
    orderd.wait_for_event("message.dead_lettered", id="stranger", code="unauthorized")


def test_the_file_itself_may_take_protection_away_and_the_log_says_so(
    shop: Shop, start: Start, file: Path
) -> None:
    orderd = start(TOKENS)
    assert "authorization tokens (1 token)" in orderd.events("daemon.started")[0]["message"]
    file.write_text(NONE)

    told = reload(orderd, "config.reloaded")

    assert "authorization: tokens (1 token) → none (every command is allowed)" in told["message"]
    assert "every command is allowed" in orderd.events("config.warning")[0]["message"]
    shop.send_all([product(id="anybody")])
    assert shop.wait_for("anybody") == {"anybody": "applied"}


def test_a_start_that_would_take_protection_away_exits_with_78(
    shop: Shop, start: Start, daemon: StartDaemon
) -> None:
    start(TOKENS).stop()
    shop.send_all([product(id="stranger")])

    for variable in ("", "none"):
        orderd = daemon(ready=False, authorization=variable)

        assert orderd.exit_code() == 78
        (rejected,) = orderd.events("config.rejected")
        assert "authorization" in rejected["message"]
        assert "would change from tokens to none" in rejected["message"]
        assert shop.ready("product") == 1
    start(NONE)
    assert shop.wait_for("stranger") == {"stranger": "applied"}


def test_what_the_file_took_away_once_need_not_be_said_again(
    start: Start, daemon: StartDaemon
) -> None:
    start(TOKENS).stop()
    start(NONE).stop()

    orderd = daemon()

    assert "authorization none (every" in orderd.events("daemon.started")[0]["message"]


def test_what_a_reload_brought_is_on_record(start: Start, file: Path, daemon: StartDaemon) -> None:
    orderd = start("")
    file.write_text(TOKENS)
    assert (
        "none (every command is allowed) → tokens (1 token)"
        in reload(orderd, "config.reloaded")["message"]
    )
    orderd.stop()

    assert daemon(ready=False).exit_code() == 78


def test_an_unprotected_daemon_that_runs_is_not_ended_by_a_protected_one(
    shop: Shop, start: Start, daemon: StartDaemon, file: Path
) -> None:
    unprotected = daemon()
    protected = start(TOKENS)

    protected.stop()
    shop.send_all([product(id="anybody")])

    assert shop.wait_for("anybody") == {"anybody": "applied"}
    assert shop.value("SELECT mode FROM last_authorization") == "tokens"
    assert unprotected.stop() == 0
    assert file.exists()
