"""The wheel alone, in an empty virtual environment outside of the tree, has all it needs."""

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.daemon import clean_environment
from tools.waiting import wait_until

TREE = Path(__file__).parents[2]
INSTALL_TIMEOUT_S = 240
PRODUCT = {"name": "Lamp", "price": "9.90", "stock_quantity": 3}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a new virtual environment with nothing but our wheel in it."""
    place = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", f"--wheel-dir={place}", str(TREE))
    (wheel,) = place.glob("orderd-*.whl")
    venv.create(place / "venv", with_pip=True)
    _run(str(place / "venv/bin/python"), "-m", "pip", "install", str(wheel))
    return place / "venv/bin"


def test_migrate_daemon_and_a_call_work_from_a_wheel(
    installed: Path, empty_database_url: str, vhost_url: str, tmp_path: Path
) -> None:
    env = {"ORDERD_DATABASE_URL": empty_database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    _run(str(installed / "orderctl"), "migrate", cwd=tmp_path, env=env)
    log_path = tmp_path / "log"
    with (
        log_path.open("w") as log,
        subprocess.Popen(
            [str(installed / "orderd")],
            env=clean_environment() | env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as orderd,
    ):
        try:
            wait_until(
                lambda: "consumer.started" in log_path.read_text(), timeout_s=20, what="orderd"
            )
            call = _run(
                *(str(installed / "orderctl"), "call", "product", "create", json.dumps(PRODUCT)),
                cwd=tmp_path,
                env=env,
            )
            orderd.terminate()
            code = orderd.wait(20)
        finally:
            orderd.kill()

    assert code == 0, log_path.read_text()
    assert '"Lamp"' in call


def _run(*argv: str, cwd: Path = TREE, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=clean_environment() | dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{argv}:\n{done.stdout}{done.stderr}"
    return done.stdout
