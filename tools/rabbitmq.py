"""A private RabbitMQ node: own folder, own ports, own epmd; nothing is left of it at the end."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.broker import RabbitServer
from tools.epmd import Epmd
from tools.installation import HERE, Installation, newest
from tools.management import Management
from tools.ports import free_ports
from tools.program import Program, StartFailed, tail
from tools.waiting import NotObserved, wait_until

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 60
CTL_TIMEOUT_S = 60

# Where the server's own scripts are. The ones in Debian's /usr/sbin are wrappers, which change to
# the user rabbitmq (root) or refuse (everybody else), so they are no use for a private node.
SERVER_DIRECTORIES = (
    "usr/lib/rabbitmq/lib/rabbitmq_server-*",
    "usr/local/lib/rabbitmq/lib/rabbitmq_server-*",
    "opt/rabbitmq*",
)
SCRIPT_DIRECTORIES = ("usr/lib/rabbitmq/bin", *(f"{path}/sbin" for path in SERVER_DIRECTORIES))

CONFIGURATION = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
loopback_users = none
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.file.level = info
"""


class PrivateRabbit(RabbitServer):
    """A node with all of its files in `scratch`, on 127.0.0.1 only.

    Nodes that are to be joined share `epmd`, which is then whoever gave it who ends it. What is in
    `environment` is set for the node besides, and `configuration` stands in its rabbitmq.conf.
    """

    def __init__(
        self,
        scratch: Path,
        installation: Installation = HERE,
        epmd: Epmd | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        configuration: str = "",
    ) -> None:
        self._scratch = scratch
        self._configuration = configuration
        self._installation = installation
        self._scripts = scripts_directory(installation)
        self._is_epmd_own = epmd is None
        self._epmd = epmd or Epmd(scratch / "epmd", installation)
        self.amqp_port, self._dist_port, management_port = free_ports(3)
        self.name = f"orderd{self.amqp_port}@localhost"
        super().__init__(
            f"amqp://guest:guest@127.0.0.1:{self.amqp_port}/%2F",
            Management(f"http://guest:guest@127.0.0.1:{management_port}"),
        )
        self.management_port = management_port
        self.series = rabbitmq_series(installation)
        self.log_path = scratch / "log" / "node.log"
        self._node: Program | None = None
        self._write_files()
        self._env = {**self._environment(), **(environment or {})}

    @property
    def pid(self) -> int | None:
        """The pid of the node (the Erlang VM), None while it is stopped."""
        return self._node.pid if self._node is not None else None

    def start(self) -> None:
        """Start, or start again on the same data and ports; return when clients are served."""
        self.spawn()
        self.await_ready()

    def spawn(self) -> None:
        """Begin to start; `await_ready` waits for the rest."""
        self._epmd.start()
        self._node = Program(
            self._command(str(self._scripts / "rabbitmq-server")),
            env=self._env,
            log_path=self._scratch / "log" / "console.log",
            cwd=self._scratch,
        )

    def await_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when AMQP and management answer; StartFailed with the log's tail if not."""
        node = self._node
        if node is None:
            raise StartFailed("RabbitMQ was not started")

        def ready_or_dead() -> bool:
            return not node.is_running or (self._speaks_amqp() and self.has_management())

        try:
            wait_until(ready_or_dead, timeout_s=timeout_s, what="RabbitMQ ready")
        except NotObserved as error:
            raise StartFailed(f"{error}\n{self.log_tail()}") from error
        if not node.is_running:
            raise StartFailed(f"RabbitMQ ended while it started:\n{self.log_tail()}")

    def stop(self) -> None:
        """Stop in good order (about 6 s); data stays, `start` goes on with it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node at once, like a power cut; data stays, `start` goes on with it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End the node and its own epmd at once, for good."""
        self._end(signal.SIGKILL)
        if self._is_epmd_own:
            self._epmd.close()

    def ctl(self, *args: str) -> str:
        """Return what `rabbitmqctl -q ARGS` prints; RuntimeError with its output if it fails."""
        done = subprocess.run(
            self._command(str(self._scripts / "rabbitmqctl"), "-q", *args),
            env=self._env,
            cwd=self._scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CTL_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def rabbitmqctl_folder(self) -> Path:
        """Return a folder with a program rabbitmqctl that leads to this node, to put into PATH."""
        folder = self._scratch / "bin"
        folder.mkdir(exist_ok=True)
        settings = [f"{name}={value}" for name, value in self._env.items() if name != "PATH"]
        command = self._command(str(self._scripts / "rabbitmqctl"))
        program = folder / "rabbitmqctl"
        program.write_text(
            f"#!/bin/sh\ncd {shlex.quote(str(self._scratch))}\n"
            f'exec env {shlex.join([*settings, *command])} "$@"\n'
        )
        program.chmod(0o755)
        return folder

    def configure(self, configuration: str) -> None:
        """Give the node another `configuration`, from its next start on."""
        self._configuration = configuration
        self._write_files()

    def log_tail(self) -> str:
        """Return the last lines of the node's log and of its console."""
        return f"{tail(self._scratch / 'log' / 'console.log')}\n{tail(self.log_path)}"

    def rabbitmqadmin_command(self) -> list[str]:
        """Return the node's own rabbitmqadmin: installed, or as the management plugin serves it."""
        installed = self._installation.which("rabbitmqadmin")
        if installed is not None:
            return self._as_command(installed)
        script = self._scratch / "rabbitmqadmin"
        if not script.exists():
            script.write_bytes(self.require_management().download("GET", "/cli/rabbitmqadmin"))
        return [sys.executable, str(script)]

    def _as_command(self, program: str) -> list[str]:
        path = self._installation.root / program.lstrip("/")
        if self._installation != HERE and path.read_bytes().startswith(b"#!"):
            return [sys.executable, str(path)]  # a script, and the root has no Python
        return [*self._command(program)]

    def _command(self, *argv: str) -> tuple[str, ...]:
        return self._installation.command(argv, scratch=self._scratch)

    def _end(self, signum: signal.Signals) -> None:
        if self._node is not None:
            self._node.end(signum, STOP_TIMEOUT_S)
            self._node = None

    def _speaks_amqp(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.amqp_port), timeout=2) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) != b""
        except OSError:
            return False

    def _write_files(self) -> None:
        for name in ("home", "mnesia", "log"):
            (self._scratch / name).mkdir(parents=True, exist_ok=True)
        (self._scratch / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self._scratch / "rabbitmq-env.conf").touch()
        text = CONFIGURATION.format(management_port=self.management_port)
        (self._scratch / "rabbitmq.conf").write_text(f"{text}{self._configuration}")

    def _environment(self) -> Mapping[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))
        }
        return inherited | {
            "HOME": str(self._scratch / "home"),  # for .erlang.cookie
            "LC_ALL": "C.UTF-8",
            # "@localhost" makes the node independent of the machine's name.
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self._scratch / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._scratch / "log"),
            "RABBITMQ_LOGS": str(self.log_path),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._scratch / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._scratch / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self._scratch / "rabbitmq-env.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._scratch / "advanced.config"),
            "RABBITMQ_PID_FILE": str(self._scratch / "node.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none"
            ),
            "ERL_EPMD_PORT": str(self._epmd.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script then becomes the node instead of waiting for it: one pid, one signal.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def scripts_directory(installation: Installation = HERE) -> Path:
    """Return the folder of the newest server's scripts; StartFailed when there is none."""
    scripts = installation.glob(*(f"{path}/rabbitmq-server" for path in SCRIPT_DIRECTORIES))
    if not scripts:
        raise StartFailed("RabbitMQ is not installed (apt-get install rabbitmq-server)")
    return newest([script.parent for script in scripts])


def rabbitmq_series(installation: Installation = HERE) -> str | None:
    """Return the series of the installed server, such as "4.0"; None where it is not known."""
    found = installation.glob(*SERVER_DIRECTORIES)
    numbers = re.search(r"rabbitmq_server-(\d+\.\d+)", str(newest(found))) if found else None
    return numbers[1] if numbers else None
