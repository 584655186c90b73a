"""orderd in a container as it is meant to be run: nothing to write to, no privilege at all."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools.daemon import DaemonProcess
from tools.podman import Podman

HARDENED: Final = (*("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"),)
USER: Final = 10001
STOP_TIMEOUT_S: Final = 60
SECRETS: Final = ("database_url", "rabbitmq_url")


class Container(DaemonProcess):
    """A container with `podman run` in front of it, which passes signals and the exit code on.

    Settings that are URLs get there as files in /run/secrets, all others as variables.
    """

    def __init__(
        self,
        podman: Podman,
        image: str,
        name: str,
        settings: Mapping[str, str],
        *,
        args: Sequence[str] = (),
        options: Sequence[str] = (),
        log_path: Path | None = None,
    ) -> None:
        self.podman = podman
        self.name = name
        self._secrets = TemporaryDirectory(prefix="orderd-secrets-")
        place = Path(self._secrets.name)
        place.chmod(0o755)
        given = [*HARDENED, f"--name={name}", f"--volume={place}:/run/secrets:ro", *options]
        for key, value in settings.items():
            if key in SECRETS:
                (place / key).touch(mode=0o400)
                (place / key).write_text(value)
                os.chown(place / key, USER, USER)
            else:
                given.append(f"--env=ORDERD_{key.upper()}={value}")
        program = ("podman", "run", *given, image)
        super().__init__(podman.env, args=args, program=program, log_path=log_path)

    def ctl(self, *args: str, timeout_s: float = 30) -> subprocess.CompletedProcess[bytes]:
        """Run `orderctl ARGS` inside, and return how it ended."""
        return self.podman.attempt("exec", self.name, "orderctl", *args, timeout_s=timeout_s)

    def check_health(self) -> str:
        """Have the image's HEALTHCHECK run once; return what podman calls the container then."""
        self.podman.attempt("healthcheck", "run", self.name)
        state = self.podman.inspect("container", self.name)["State"]
        # The name of the key has changed between podman's versions.
        health = state.get("Health") or state.get("Healthcheck")
        return str(health["Status"])

    def podman_stop(self) -> None:
        """Stop it as an operator would: the image's stop signal, and time for the drain."""
        self.podman.run("stop", f"--time={STOP_TIMEOUT_S}", self.name, timeout_s=STOP_TIMEOUT_S * 2)

    def status(self) -> Mapping[str, str]:
        """Return what the kernel says of the program in it: /proc/PID/status."""
        pid = self.podman.inspect("container", self.name)["State"]["Pid"]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def logged(self) -> str:
        """Return what it wrote to its stdout, as podman has kept it; nothing of podman's own."""
        return self.podman.run("logs", self.name)

    def kill(self) -> None:
        """Leave nothing of it."""
        self.podman.attempt("rm", "--force", "--time=0", self.name)
        super().kill()
        self._secrets.cleanup()
