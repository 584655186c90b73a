"""Root file systems of Debian 13 for guests, used as copy-on-write clones."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tools.debian_root import (
    CACHE,
    MAKE_TIMEOUT_S,
    SIGNED,
    digest,
    kept,
    mirror_has,
    mirrors,
    run,
)

SUITE: Final = "trixie"
PROGRAMS: Final = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}

# What a small server has, the two servers that orderd speaks to, and what takes mails.
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "libnss-myhostname", "ca-certificates"),
    *("iproute2", "jq", "man-db", "rabbitmq-server", "postgresql"),
    "python3-aiosmtpd",
)
# Downloaded, and left to the installation of orderd's own package, which has to ask for them.
DOWNLOADS: Final = (
    *("python3-pika", "python3-psycopg2", "python3-pydantic"),
    *("python3-pythonjsonlogger", "python3-sdnotify", "python3-rich", "python3-email-validator"),
    *("python3-prometheus-client", "python3-jinja2", "python3-idna", "curl"),
    *("python3-jwt", "python3-cryptography", "python3-venv"),
)
_DOWNLOAD: Final = f'chroot "$1" apt-get install -qy --download-only {" ".join(DOWNLOADS)}'
_ENABLE: Final = 'echo "[rabbitmq_management]." >"$1/etc/rabbitmq/enabled_plugins"'
# Made in a chroot, PostgreSQL takes the next port that is free outside of it.
_PORT: Final = 'sed -i "s/^port = .*/port = 5432/" "$1"/etc/postgresql/*/main/postgresql.conf'
_NAME: Final = 'echo guest >"$1/etc/hostname"; : >"$1/etc/machine-id"'
_OPTIONS: Final = (
    *("--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
    *('--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"),
    # The lists and downloads stay: in the guest, which has no network, apt-get works from them.
    "--skip=cleanup/apt",
    *(f"--customize-hook={hook}" for hook in (_DOWNLOAD, _ENABLE, _PORT, _NAME)),
)


def obstacle() -> str | None:
    """Return in one line why no root file system can be made or used here; None: it can."""
    if os.geteuid() != 0:
        return "only root can make and boot a guest"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "this kernel has no overlay file system"
    missing = sorted(PROGRAMS[program] for program in PROGRAMS if not shutil.which(program))
    if missing:
        return f"missing: {' '.join(missing)} (apt-get install {' '.join(missing)})"
    if not _base_path().exists() and not mirror_has(SUITE):
        return "no Debian mirror can be reached"
    return None


def base() -> Path:
    """Return the root file system with systemd and both servers, made now if need be."""
    return kept(_base_path(), _make_base)


def layered(packages: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the layers, uppermost first, that together have these packages besides the base's."""
    lower = base()
    if not packages:
        return (lower,)
    names = sorted(packages)
    upper = CACHE / f"layer-{digest(lower.name, *names)}"

    def make(target: Path) -> None:
        with clone((lower,)) as root:
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
            policy = root / "usr/sbin/policy-rc.d"
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            run_in(root, "apt-get", "update", "-q")
            run_in(root, "apt-get", "install", "-qy", "--no-install-recommends", *names)
            run_in(root, "apt-get", "clean")
            for path in (policy, root / "etc/resolv.conf"):
                path.unlink()
            # The upper directory of the clone is the layer.
            run("cp", "-a", f"{root.parent / 'upper'}", f"{target}")

    return (kept(upper, make), lower)


@contextmanager
def clone(layers: Sequence[Path]) -> Iterator[Path]:
    """Give a root directory that can be written to, over layers that stay as they are."""
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="orderd-guest-"))
        stack.callback(run, "rm", "-rf", "--one-file-system", f"{place}")
        for name in ("root", "upper", "work"):
            (place / name).mkdir()
            (place / name).chmod(0o755)  # whatever the umask; it becomes that of the guest's /
        place.chmod(0o755)
        options = (
            f"lowerdir={':'.join(map(str, layers))},upperdir={place}/upper,workdir={place}/work"
        )
        root = place / "root"
        run("mount", "-t", "overlay", "orderd-guest", "-o", options, f"{root}")
        stack.callback(run, "umount", "--recursive", f"{root}")
        yield root


def run_in(root: Path, *argv: str, cwd: str = "/", timeout_s: float = MAKE_TIMEOUT_S) -> str:
    """Run a command in the directory as its root, with the network of the host; its output."""
    env = f"--chdir={cwd}", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"
    command = ("env", "-i", *env, "DEBIAN_FRONTEND=noninteractive", *argv)
    # With namespaces of its own, nothing that it starts outlives it.
    unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return run(*unshare, f"--root={root}", *command, timeout_s=timeout_s)


def _make_base(target: Path) -> None:
    found = mirrors()
    sources = (
        f"deb {SIGNED} {found['Debian']} {SUITE} main",
        f"deb {SIGNED} {found['Debian']} {SUITE}-updates main",
        f"deb {SIGNED} {found['Debian-Security']} {SUITE}-security main",
    )
    run("mmdebstrap", *_OPTIONS, SUITE, f"{target}", *sources)


def _base_path() -> Path:
    return CACHE / f"root-{digest(SUITE, *_OPTIONS)}"
