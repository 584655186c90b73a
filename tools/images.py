"""Images for the container tests: a base made from Debian packages, and orderd's own on top."""

import fcntl
import hashlib
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools.debian_root import KEYRING, MakingFailed, mirrors
from tools.guest_root import SUITE
from tools.podman import TREE, Podman

MAKE_TIMEOUT_S: Final = 1_200
# What the public image of Python has of this: the program, its pip and venv, certificates.
PYTHON_PACKAGES: Final = (
    *("ca-certificates", "python3", "python3-pip", "python3-venv", "python-is-python3"),
)
MMDEBSTRAP: Final = (
    *("--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PYTHON_PACKAGES)}"),
    '--aptopt=APT::Install-Recommends "false"',
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
    # The public images let pip install where it likes.
    "--customize-hook=rm -f $1/usr/lib/python3*/EXTERNALLY-MANAGED",
)
SOURCE: Final = (
    *("Containerfile", ".containerignore", "README.md", "LICENSE", "pyproject.toml"),
    *("orderd", "sql", "requirements", "compose/entrypoint"),
)
# Of the host's way to its package index, what a build needs as well.
PIP_KEYS: Final = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")
PIP_CONF: Final = "/etc/pip.conf"
CA_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"


def python_base(podman: Podman) -> str:
    """Return the name of a stand-in for the public image of Python, made now if need be."""
    name = f"localhost/orderd-base-python:{_digest(SUITE, *MMDEBSTRAP)}"

    def make() -> None:
        source = f"deb [signed-by={KEYRING}] {mirrors()['Debian']} {SUITE} main"
        with TemporaryDirectory(prefix="orderd-base-") as place:
            archive = f"{place}/root.tar"
            _run("mmdebstrap", *MMDEBSTRAP, SUITE, archive, source)
            podman.run("import", "--quiet", "--change", 'CMD ["python3"]', archive, name)

    return kept(podman, name, make)


def source_copy(target: Path) -> Path:
    """Return *target*, a new folder with what the image is made of, as the tree has it now."""
    target.mkdir()
    for name in SOURCE:
        path = TREE / name
        if path.is_dir():
            shutil.copytree(path, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target / name)
    return target


def build(podman: Podman, source: Path, base: str, *options: str) -> None:
    """Build orderd's image from the source on this base; *options* of `podman build` name it."""
    with TemporaryDirectory(prefix="orderd-build-") as place:
        pip_conf = Path(place) / "pip.conf"
        pip_conf.write_text(_pip_configuration())
        podman.run(
            "build",
            *("--format=docker", "--pull=never", "--network=host", "--timestamp=0"),
            f"--build-arg=BASE_IMAGE={base}",
            # The host's index and certificates, for the time of the build alone.
            *(f"--volume={pip_conf}:{PIP_CONF}:ro", f"--volume={_ca_bundle()}:{CA_BUNDLE}:ro"),
            *options,
            str(source),
            timeout_s=MAKE_TIMEOUT_S,
        )


def kept(podman: Podman, name: str, make: Callable[[], None]) -> str:
    """Return the name, having let *make* make its image unless it is there; one at a time."""
    with (podman.place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not podman.has_image(name):
            make()
    return name


def _pip_configuration() -> str:
    """Return a pip.conf that leads to the host's package index, as far as a container can go."""
    listed = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    found = {"cert": CA_BUNDLE}
    for line in listed:
        name, _, quoted = line.partition("=")
        key = name.rpartition(".")[2]
        values = [url for url in shlex.split(quoted)[0].split() if not url.startswith("file:")]
        if key in PIP_KEYS and values:
            found[key] = " ".join(values)
    return "\n".join(("[global]", *(f"{key} = {found[key]}" for key in found), ""))


def _ca_bundle() -> str:
    return ssl.get_default_verify_paths().cafile or CA_BUNDLE


def _digest(*made_from: str) -> str:
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=MAKE_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise MakingFailed(f"{argv[0]}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout
