"""The virtual environment of the peers, in `build/peers`: orderd depends on none of them."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PEERS: Final = Path(__file__).parents[1] / "build" / "peers"
# In their newest versions, which the report names.
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "faststream": ("faststream[rabbit]", "sqlalchemy[asyncio]", "asyncpg"),
    "dramatiq": ("dramatiq[rabbitmq]", "psycopg2-binary"),
    "celery": ("celery", "psycopg2-binary"),
}
# Whose versions a reader wants to know.
TOLD: Final = ("faststream", "sqlalchemy", "asyncpg", "dramatiq", "celery")
INSTALLED_WITHIN_S: Final = 600


def install() -> None:
    """Install each peer, or renew it; one that cannot be installed is told in one line."""
    if not (PEERS / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    for peer, packages in PACKAGES.items():
        _stamp(peer).unlink(missing_ok=True)
        print(f"installing {peer} into build/peers", flush=True)
        reason = _obstacle(packages)
        if reason is None:
            _stamp(peer).touch()
        else:
            print(f"{peer}: left out, it cannot be installed: {reason}", flush=True)


def is_installed(peer: str) -> bool:
    """Return whether the peer can be run."""
    return _stamp(peer).exists()


def versions() -> dict[str, str]:
    """Return the versions of what the peers are built on, of those that are installed."""
    found = {}
    for path in PEERS.glob("lib/python3*/site-packages/*.dist-info"):
        named = re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name)
        if named and named[1].lower() in TOLD:
            found[named[1].lower()] = named[2]
    return found


def _obstacle(packages: tuple[str, ...]) -> str | None:
    command = [str(PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--upgrade"]
    try:
        done = subprocess.run(
            [*command, "--disable-pip-version-check", *packages],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALLED_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"pip took more than {INSTALLED_WITHIN_S} s"
    said = done.stderr.strip().splitlines()
    return (
        None if done.returncode == 0 else said[-1] if said else f"pip ended with {done.returncode}"
    )


def _stamp(peer: str) -> Path:
    return PEERS / f".installed-{peer}"
