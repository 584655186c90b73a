"""Root file systems of Debian 13: made once, kept in build/guest, used as copy-on-write clones."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

TREE: Final = Path(__file__).parents[2]
CACHE: Final = TREE / "build" / "guest"
SUITE: Final = "trixie"
PROGRAMS: Final = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
MAKE_TIMEOUT_S: Final = 1_200
TAIL_LINES: Final = 20

# What a small server has, and the two servers that orderd speaks to.
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "libnss-myhostname", "ca-certificates"),
    *("iproute2", "jq", "man-db", "rabbitmq-server", "postgresql"),
)
# Downloaded, and left to the installation of orderd's own package, which has to ask for them.
DOWNLOADS: Final = (
    *("python3-pika", "python3-psycopg2", "python3-pydantic", "python3-pydantic-settings"),
    *("python3-pythonjsonlogger", "python3-sdnotify", "python3-rich", "python3-email-validator"),
    *("python3-prometheus-client", "python3-venv"),
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


class MakingFailed(RuntimeError):
    """A root file system could not be made; the text ends with what its maker said."""


def obstacle() -> str | None:
    """Return in one line why no root file system can be made or used here; None: it can."""
    if os.geteuid() != 0:
        return "only root can make and boot a guest"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "this kernel has no overlay file system"
    missing = sorted(PROGRAMS[program] for program in PROGRAMS if not shutil.which(program))
    if missing:
        return f"missing: {' '.join(missing)} (apt-get install {' '.join(missing)})"
    if not _base_path().exists() and not _mirror_answers():
        return "no Debian mirror can be reached"
    return None


def base() -> Path:
    """Return the root file system with systemd and both servers, made now if need be."""
    return _kept(_base_path(), _make_base)


def layered(packages: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the layers, uppermost first, that together have these packages besides the base's."""
    lower = base()
    if not packages:
        return (lower,)
    names = sorted(packages)
    upper = CACHE / f"layer-{_digest(lower.name, *names)}"

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
            _run("cp", "-a", f"{root.parent / 'upper'}", f"{target}")

    return (_kept(upper, make), lower)


@contextmanager
def clone(layers: Sequence[Path]) -> Iterator[Path]:
    """Give a root directory that can be written to, over layers that stay as they are."""
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="orderd-guest-"))
        stack.callback(_run, "rm", "-rf", "--one-file-system", f"{place}")
        for name in ("root", "upper", "work"):
            (place / name).mkdir()
            (place / name).chmod(0o755)  # whatever the umask; it becomes that of the guest's /
        place.chmod(0o755)
        options = (
            f"lowerdir={':'.join(map(str, layers))},upperdir={place}/upper,workdir={place}/work"
        )
        root = place / "root"
        _run("mount", "-t", "overlay", "orderd-guest", "-o", options, f"{root}")
        stack.callback(_run, "umount", "--recursive", f"{root}")
        yield root


def run_in(root: Path, *argv: str, cwd: str = "/", timeout_s: float = MAKE_TIMEOUT_S) -> str:
    """Run a command in the directory as its root, with the network of the host; its output."""
    env = f"--chdir={cwd}", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"
    command = ("env", "-i", *env, "DEBIAN_FRONTEND=noninteractive", *argv)
    # With namespaces of its own, nothing that it starts outlives it.
    unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return _run(*unshare, f"--root={root}", *command, timeout_s=timeout_s)


def _make_base(target: Path) -> None:
    found = mirrors()
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    sources = (
        f"deb {signed} {found['Debian']} {SUITE} main",
        f"deb {signed} {found['Debian']} {SUITE}-updates main",
        f"deb {signed} {found['Debian-Security']} {SUITE}-security main",
    )
    _run("mmdebstrap", *_OPTIONS, SUITE, f"{target}", *sources)


def _base_path() -> Path:
    return CACHE / f"root-{_digest(SUITE, *_OPTIONS)}"


def _kept(path: Path, make: Callable[[Path], None]) -> Path:
    """Return the path, having let *make* make it unless it is there; one maker at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".part")
            _run("rm", "-rf", "--one-file-system", f"{unfinished}")
            make(unfinished)
            unfinished.rename(path)
    return path


def _digest(*made_from: str) -> str:
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]


def mirrors() -> dict[str, str]:
    """Return where apt has Debian and its security updates from on this machine."""
    found = {
        "Debian": "http://deb.debian.org/debian",
        "Debian-Security": "http://deb.debian.org/debian-security",
    }
    form = ("--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")
    for line in _run("apt-get", "indextargets", *form).splitlines():
        label, _, uri = line.partition(" ")
        if label in found:
            found[label] = uri
    return found


def _mirror_answers() -> bool:
    # apt's own fetcher knows of the proxies and certificates that apt is set up with.
    release = f"{mirrors()['Debian'].rstrip('/')}/dists/{SUITE}/InRelease"
    with tempfile.TemporaryDirectory(prefix="orderd-guest-") as place:
        fetch = ("/usr/lib/apt/apt-helper", "download-file", release, f"{place}/InRelease")
        done = subprocess.run(fetch, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def _run(*argv: str, timeout_s: float = MAKE_TIMEOUT_S) -> str:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        raise MakingFailed(f"{argv[0]}: exit code {done.returncode}\n{tail}")
    return done.stdout
