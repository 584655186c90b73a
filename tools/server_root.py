"""Root file systems of other Debian suites, each with that suite's RabbitMQ and PostgreSQL."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from tools.debian_root import (
    CACHE,
    SIGNED,
    MakingFailed,
    digest,
    kept,
    mirror_has,
    mirrors,
    run,
)

# The suites, by the RabbitMQ that they have.
SUITES: Final = {"3.10": "bookworm", "4.0": "trixie", "4.3": "forky"}
# In these, the management plugin no longer comes with a rabbitmqadmin.
SEPARATE_ADMIN: Final = ("forky",)
PROGRAMS: Final = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "setpriv": "util-linux"}

_PACKAGES: Final = ("rabbitmq-server", "postgresql", "procps", "libnss-myhostname")
_OPTIONS: Final = (
    *("--quiet", "--mode=root", "--variant=minbase"),
    # A mirror's copy of a testing suite may be older than its Release file allows.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    *('--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"),
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
    # Nodes are called orderd...@localhost, and nobody uses the cluster that the package makes.
    '--customize-hook=echo "127.0.0.1 localhost" >"$1/etc/hosts"',
    '--customize-hook=rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/*',
)


def obstacle(suite: str) -> str | None:
    """Return in one line why this suite's servers cannot be had here; None: they can."""
    if os.geteuid() != 0:
        return "only root can run the servers of another Debian suite"
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    if missing:
        return f"missing: {' '.join(missing)} (apt-get install {' '.join(missing)})"
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        return "mount namespaces cannot be made here"
    try:
        if not _path(suite).exists() and not mirror_has(suite):
            return f"no Debian mirror with {suite} can be reached"
    except (MakingFailed, subprocess.TimeoutExpired) as error:
        return f"no Debian mirror with {suite} can be reached: {error}"
    return None


@cache
def server_root(suite: str) -> Path | str:
    """Return the root file system of a suite, made now if need be; a text says why it cannot be."""
    if reason := obstacle(suite):
        return reason
    try:
        return kept(_path(suite), lambda target: _make(suite, target))
    except (MakingFailed, subprocess.TimeoutExpired, OSError) as error:
        return f"{suite} could not be installed: {error}"


def _make(suite: str, target: Path) -> None:
    source = f"deb {SIGNED} {mirrors()['Debian']} {suite} main"
    run("mmdebstrap", *_options(suite), suite, f"{target}", source)


def _options(suite: str) -> tuple[str, ...]:
    admin = ("rabbitmqadmin-ng",) if suite in SEPARATE_ADMIN else ()
    return (*_OPTIONS, f"--include={','.join((*_PACKAGES, *admin))}")


def _path(suite: str) -> Path:
    return CACHE / f"servers-{suite}-{digest(suite, *_options(suite))}"
