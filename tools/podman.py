"""podman with a storage of its own, kept in build/podman; nothing in that of the system."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

TREE: Final = Path(__file__).parents[1]
KEPT: Final = TREE / "build" / "podman"
PROGRAMS: Final = {"podman": "podman", "runc": "runc", "mmdebstrap": "mmdebstrap"}
COMMAND_TIMEOUT_S: Final = 120
TAIL_LINES: Final = 40
NPROC_MAX: Final = 4_096
# podman talks to a service manager, and to servers, that the tests' own environment may name.
FOREIGN: Final = ("CONTAINER", "DOCKER", "NOTIFY_", "REGISTRY_", "XDG_", "DBUS_")

STORAGE: Final = """\
[storage]
driver = "overlay"
graphroot = "{place}/graph"
runroot = "{place}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
# Nothing of the machine is asked for that a container of it may lack: no systemd, no more than our
# own limits.
ENGINE: Final = """\
[containers]
netns = "host"
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{place}/run/libpod"
[network]
network_config_dir = "{place}/networks"
"""


class PodmanFailed(RuntimeError):
    """A podman command failed; the text ends with what it printed."""


class Podman:
    """The engine, by its command line."""

    def __init__(self, place: Path = KEPT) -> None:
        place.mkdir(parents=True, exist_ok=True)
        settings = {"place": place, "files": files_max(), "processes": NPROC_MAX}
        storage, engine = place / "storage.conf", place / "containers.conf"
        storage.write_text(STORAGE.format_map(settings))
        engine.write_text(ENGINE.format_map(settings))
        self.place = place
        self.env: Mapping[str, str] = {
            name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)
        } | {"CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(engine)}

    def run(
        self, *args: str, timeout_s: float = COMMAND_TIMEOUT_S, given: bytes | None = None
    ) -> str:
        """Return what `podman ARGS` prints on stdout; PodmanFailed when it fails."""
        done = self.attempt(*args, timeout_s=timeout_s, given=given)
        if done.returncode != 0:
            printed = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            told = "\n".join(printed[-TAIL_LINES:])
            raise PodmanFailed(f"podman {' '.join(args)}: exit code {done.returncode}\n{told}")
        return done.stdout.decode()

    def attempt(
        self, *args: str, timeout_s: float = COMMAND_TIMEOUT_S, given: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `podman ARGS` with this standard input, and return how it ended."""
        return subprocess.run(
            ["podman", *args],
            env=self.env,
            input=given or b"",
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return what `podman KIND inspect NAME` tells: of a container, an image."""
        (told,) = json.loads(self.run(kind, "inspect", name))
        assert isinstance(told, dict)
        return told

    def has_image(self, name: str) -> bool:
        """Return whether the image is in the storage."""
        return self.attempt("image", "exists", name).returncode == 0


def files_max() -> int:
    """Return how many open files a container may have at most: as many as we may."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def obstacle() -> str | None:
    """Return in one line why podman cannot be run for the tests here; None: it can be tried."""
    if os.geteuid() != 0:
        return "the container tests run podman as root"
    missing = sorted(PROGRAMS[program] for program in PROGRAMS if not shutil.which(program))
    if missing:
        return f"missing: {' '.join(missing)} (apt-get install {' '.join(missing)})"
    return None
