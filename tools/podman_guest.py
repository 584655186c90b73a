"""A booted guest with podman in it: there systemd runs units and health checks of containers."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final

from tools.guest import Guest
from tools.podman import NPROC_MAX, Podman, files_max

PACKAGES: Final = ("podman", "crun", "netavark", "aardvark-dns", "nftables", "docker-compose")
IMAGES: Final = "/srv/images"
NSPAWN: Final = (
    # Containers within: all that nspawn withholds by itself.
    *("--capability=all", "--system-call-filter=bpf keyctl add_key request_key"),
    "--bind=/dev/net/tun",
)
STORAGE: Final = f"""\
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
[storage.options]
additionalimagestores = ["{IMAGES}"]
"""
# The guest has control groups, but no controllers in them.
ENGINE: Final = """\
[containers]
pids_limit = 0
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
"""
# There is no name server, but that of podman wants to know one.
RESOLV_CONF: Final = "nameserver 127.0.0.1\n"


@contextmanager
def podman_guest(podman: Podman) -> Iterator[Guest]:
    """Give a guest whose podman has the images of *podman*, and a storage of its own beside."""
    with TemporaryDirectory(prefix="guest-", dir=podman.place) as storage:
        binds = (
            f"--bind={storage}:/var/lib/containers",
            f"--bind={podman.place}/graph:{IMAGES}",
        )
        with Guest(packages=PACKAGES, nspawn_args=(*NSPAWN, *binds)) as guest:
            engine = ENGINE.format(files=files_max(), processes=NPROC_MAX)
            for path, text in (
                ("etc/containers/storage.conf", STORAGE),
                ("etc/containers/containers.conf", engine),
                ("etc/resolv.conf", RESOLV_CONF),
            ):
                (guest.root / path).parent.mkdir(exist_ok=True)
                (guest.root / path).write_text(text)
            yield guest
