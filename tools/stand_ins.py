"""Stand-ins for the public images of RabbitMQ, PostgreSQL and mailpit, from Debian's packages."""

import hashlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools import guest_root
from tools.images import kept
from tools.podman import TREE, Podman

SOURCE: Final = TREE / "tools" / "server_images"
SERVERS: Final = ("rabbitmq", "postgres", "mail")
ARCHIVE_TIMEOUT_S: Final = 300


def server_images(podman: Podman) -> dict[str, str]:
    """Return the images of the servers by their name in compose.yaml, made now if need be.

    Their base is the root file system of the guest, which has all of them.
    """
    root = guest_root.base()
    base = kept(podman, f"localhost/orderd-base-servers:{root.name}", lambda: _import(podman, root))
    digest = hashlib.sha256(root.name.encode())
    for file in sorted(SOURCE.iterdir()):
        digest.update(file.read_bytes())
    images = {}
    for server in SERVERS:
        name = f"localhost/orderd-base-{server}:{digest.hexdigest()[:12]}"

        def make(target: str = server, name: str = name) -> None:
            podman.run(
                *("build", "--pull=never", f"--target={target}", f"--tag={name}"),
                *(f"--build-arg=BASE_IMAGE={base}", str(SOURCE)),
            )

        images[server] = kept(podman, name, make)
    return images


def _import(podman: Podman, root: Path) -> None:
    with TemporaryDirectory(prefix="orderd-base-") as place:
        archive = f"{place}/root.tar"
        subprocess.run(
            ["tar", f"--directory={root}", "--one-file-system", f"--file={archive}", "-c", "."],
            check=True,
            timeout=ARCHIVE_TIMEOUT_S,
        )
        name = f"localhost/orderd-base-servers:{root.name}"
        podman.run("import", "--quiet", archive, name, timeout_s=ARCHIVE_TIMEOUT_S)
