"""Root file systems of Debian suites: made once with mmdebstrap, kept in build/guest."""

import fcntl
import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

TREE: Final = Path(__file__).parents[1]
CACHE: Final = TREE / "build" / "guest"
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
SIGNED: Final = f"[signed-by={KEYRING}]"
MAKE_TIMEOUT_S: Final = 1_200
TAIL_LINES: Final = 20


class MakingFailed(RuntimeError):
    """A root file system could not be made; the text ends with what its maker said."""


def kept(path: Path, make: Callable[[Path], None]) -> Path:
    """Return the path, having let *make* make it unless it is there; one maker at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".part")
            run("rm", "-rf", "--one-file-system", f"{unfinished}")
            make(unfinished)
            unfinished.rename(path)
    return path


def digest(*made_from: str) -> str:
    """Return a short name for what is made from exactly this."""
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]


def mirrors() -> dict[str, str]:
    """Return where apt has Debian and its security updates from on this machine."""
    found = {
        "Debian": "http://deb.debian.org/debian",
        "Debian-Security": "http://deb.debian.org/debian-security",
    }
    form = ("--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")
    for line in run("apt-get", "indextargets", *form).splitlines():
        label, _, uri = line.partition(" ")
        if label in found:
            found[label] = uri
    return found


def mirror_has(suite: str) -> bool:
    """Return whether the mirror answers and has this suite."""
    # apt's own fetcher knows of the proxies and certificates that apt is set up with.
    release = f"{mirrors()['Debian'].rstrip('/')}/dists/{suite}/InRelease"
    with tempfile.TemporaryDirectory(prefix="orderd-guest-") as place:
        fetch = ("/usr/lib/apt/apt-helper", "download-file", release, f"{place}/InRelease")
        done = subprocess.run(fetch, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def run(*argv: str, timeout_s: float = MAKE_TIMEOUT_S) -> str:
    """Return what the command prints; MakingFailed with the end of that if it fails."""
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
