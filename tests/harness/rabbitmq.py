"""A private RabbitMQ node: own folder, own ports, own epmd; nothing is left of it at the end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.broker import RabbitServer
from tests.harness.management import Management
from tests.harness.ports import free_ports
from tests.harness.program import Program, StartFailed, tail
from tests.harness.waiting import NotObserved, wait_until

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 60
CTL_TIMEOUT_S = 60

# Where the server's own scripts are. The ones in Debian's /usr/sbin are wrappers, which change to
# the user rabbitmq (root) or refuse (everybody else), so they are no use for a private node.
SCRIPT_DIRECTORIES = (
    "usr/lib/rabbitmq/bin",
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "usr/local/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "opt/rabbitmq*/sbin",
)

CONFIGURATION = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
loopback_users = none
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.file.level = info
"""


class PrivateRabbit(RabbitServer):
    """A node with all of its files in `scratch`, on 127.0.0.1 only."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._scripts = scripts_directory()
        self.amqp_port, self._dist_port, management_port, self._epmd_port = free_ports(4)
        super().__init__(
            f"amqp://guest:guest@127.0.0.1:{self.amqp_port}/%2F",
            Management(f"http://guest:guest@127.0.0.1:{management_port}"),
        )
        self.management_port = management_port
        self.log_path = scratch / "log" / "node.log"
        self._node: Program | None = None
        self._epmd: Program | None = None
        self._write_files()
        self._env = self._environment()

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
        if self._epmd is None:
            # Started here, because the one that Erlang would start by itself outlives the node.
            self._epmd = self._run(
                [_find("epmd"), "-port", str(self._epmd_port), "-address", "127.0.0.1"], "epmd.log"
            )
        self._node = self._run([str(self._scripts / "rabbitmq-server")], "console.log")

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
        """End the node and its epmd at once, for good."""
        self._end(signal.SIGKILL)
        if self._epmd is not None:
            self._epmd.end(signal.SIGTERM, timeout_s=5)
            self._epmd = None

    def ctl(self, *args: str) -> str:
        """Return what `rabbitmqctl -q ARGS` prints; RuntimeError with its output if it fails."""
        done = subprocess.run(
            [str(self._scripts / "rabbitmqctl"), "-q", *args],
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

    def log_tail(self) -> str:
        """Return the last lines of the node's log and of its console."""
        return f"{tail(self._scratch / 'log' / 'console.log')}\n{tail(self.log_path)}"

    def rabbitmqadmin_command(self) -> list[str]:
        """Return the node's own rabbitmqadmin: installed, or as the management plugin serves it."""
        installed = shutil.which("rabbitmqadmin", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if installed is not None:
            return [installed]
        script = self._scratch / "rabbitmqadmin"
        if not script.exists():
            script.write_bytes(self.require_management().download("GET", "/cli/rabbitmqadmin"))
        return [sys.executable, str(script)]

    def _run(self, argv: list[str], log_name: str) -> Program:
        log_path = self._scratch / "log" / log_name
        return Program(argv, env=self._env, log_path=log_path, cwd=self._scratch)

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
        (self._scratch / "rabbitmq.conf").write_text(text)

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
            "RABBITMQ_NODENAME": f"orderd{self.amqp_port}@localhost",
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
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script then becomes the node instead of waiting for it: one pid, one signal.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def scripts_directory() -> Path:
    """Return the folder of the newest server's scripts; StartFailed when there is none."""
    for pattern in SCRIPT_DIRECTORIES:
        found = [path for path in Path("/").glob(pattern) if (path / "rabbitmq-server").exists()]
        if found:
            return max(found, key=_version)
    raise StartFailed("RabbitMQ is not installed (apt-get install rabbitmq-server)")


def _version(path: Path) -> list[int]:
    return [int(number) for number in "".join(c if c.isdigit() else " " for c in str(path)).split()]


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise StartFailed(f"{program} is not installed (it comes with Erlang)")
    return found
