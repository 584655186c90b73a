"""`make demo` and `make sandbox`: servers, migrations and a daemon, until the end or Ctrl-C."""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tools.broker import ServerRefused
from tools.daemon import DaemonProcess, clean_environment
from tools.environment import environment_text, remove_environment, write_environment
from tools.interrupts import Terminated, uninterrupted
from tools.management import ManagementFault
from tools.program import StartFailed
from tools.servers import Servers
from tools.waiting import NotObserved

EXIT_FAILED = 1
EXIT_SIGNALLED = 128
DATABASE = "orderd"
PRODUCT = '{"name":"Laptop","price":1299.99,"stock_quantity":25}'
# Who tries things out does not wait five minutes for a command that fails.
SANDBOX = MappingProxyType({"ORDERD_RETRY_DELAYS": "1s,2s,4s"})
ENV_PATH = Path(__file__).parents[1] / "build" / "sandbox" / "env"

GUIDE = """\
Everything runs; Ctrl-C stops it and removes its files. In another shell, paste this line:

  . {env_path}

It sets PATH, the URLs and the variables of psql, so that these work as they stand:

  orderctl status
{listen}  orderctl call product create '{product}'
  orderctl products list
  psql -c 'SELECT * FROM products'
{heard}  tail -f "$SANDBOX_LOG"
"""
# A queue hears only what is published after it was bound, so this comes before the first command.
LISTEN = """\
  rabbitmqadmin declare queue name=listen durable=true
  rabbitmqadmin declare binding source=orderd.events destination=listen routing_key='#'
"""
LISTEN_2 = """\
  rabbitmqadmin declare queue --name listen
  rabbitmqadmin declare binding --source orderd.events --destination-type queue \\
      --destination listen --routing-key '#'
"""
HEARD = "  rabbitmqadmin get queue=listen count=10\n"
HEARD_2 = "  rabbitmqadmin get messages --queue listen --count 10\n"


def main() -> int:
    """Run what the command line asks for; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sandbox")
    parser.add_argument("what", choices=("demo", "sandbox"))
    parser.add_argument("--env-file", type=Path, default=ENV_PATH, help="where sandbox writes it")
    args = parser.parse_args()
    try:
        return demo() if args.what == "demo" else sandbox(args.env_file)
    except (ServerRefused, StartFailed, NotObserved, ManagementFault) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except Terminated as stop:
        return EXIT_SIGNALLED + stop.signum
    except KeyboardInterrupt:
        return EXIT_SIGNALLED + signal.SIGINT


def demo() -> int:
    """Run the reference scenario against a new orderd; return what `orderctl demo` returns."""
    with running() as (_, env, daemon):
        code = orderctl(env, "demo")
        if code != 0:
            print(f"\nthe daemon's last lines:\n{daemon.log_tail()}", file=sys.stderr)
            return code
        return drained(daemon)


def sandbox(env_path: Path) -> int:
    """Keep servers and daemon running until Ctrl-C; return 1 when the daemon ends by itself."""
    with running(SANDBOX) as (servers, env, daemon), environment_file(env_path, servers, env):
        print(guide(servers, env_path), flush=True)
        try:
            code = daemon.exit_code(timeout_s=None)
        except Terminated:
            raise
        except KeyboardInterrupt:
            print("\nstopping", flush=True)
            return drained(daemon)
        print(f"orderd ended with {code}:\n{daemon.log_tail()}", file=sys.stderr)
        return EXIT_FAILED


@contextmanager
def running(
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[Servers, dict[str, str], DaemonProcess]]:
    """Give servers, the environment that leads to them, and a daemon that consumes there.

    *settings* are variables for the environment, of which the daemon is too.
    """
    servers = Servers()
    if servers.are_private:
        print("starting RabbitMQ and PostgreSQL", flush=True)
    with servers:
        if servers.are_private:
            servers.postgres.create_database(DATABASE)
            database_url = servers.postgres.url(DATABASE)
        else:
            servers.refuse_used()
            database_url = servers.postgres.url()
        env = {
            "ORDERD_DATABASE_URL": database_url,
            "ORDERD_RABBITMQ_URL": servers.rabbit.url(),
            "ORDERD_HEALTH_FILE": str(servers.scratch / "health"),
            "ORDERD_METRICS_FILE": str(servers.scratch / "metrics.prom"),
            **settings,
        }
        code = orderctl(env, "migrate")
        if code != 0:
            raise StartFailed(f"orderctl migrate ended with {code}")
        print("starting orderd", flush=True)
        daemon = DaemonProcess(env, log_path=log_path(servers))
        try:
            daemon.wait_ready()
            yield servers, env, daemon
        finally:
            with uninterrupted():
                daemon.stop()


def drained(daemon: DaemonProcess) -> int:
    """Stop the daemon; return 0 when it ended in good order."""
    code = daemon.stop()
    if code != 0:
        print(f"orderd ended with {code}:\n{daemon.log_tail()}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def orderctl(env: Mapping[str, str], *args: str) -> int:
    """Run `orderctl ARGS` on our terminal; return its exit code."""
    argv = [str(orderctl_path()), *args]
    return subprocess.run(argv, env=clean_environment() | dict(env), check=False).returncode


def orderctl_path() -> Path:
    """Return the orderctl of this virtual environment, short where that is possible."""
    path = Path(sys.executable).parent / "orderctl"
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def environment_file(path: Path, servers: Servers, env: Mapping[str, str]) -> Iterator[None]:
    """Keep the file to source at *path* as long as the sandbox runs."""
    text = environment_text(
        {**env, "SANDBOX_LOG": str(log_path(servers))}, rabbitmqadmin_argv(servers)
    )
    write_environment(path, text)
    try:
        yield
    finally:
        remove_environment(path, text)


def rabbitmqadmin_argv(servers: Servers) -> list[str]:
    """Return the command with the options that lead to the broker; empty where there is none."""
    if servers.rabbit.management is None or shutil.which("rabbitmqadmin") is None:
        return []
    return [*servers.rabbit.rabbitmqadmin_command(), *servers.rabbit.admin_options()]


def log_path(servers: Servers) -> Path:
    return servers.scratch / "orderd.log"


def guide(servers: Servers, env_path: Path) -> str:
    """Return the lines to type."""
    listen, heard = "", ""
    if rabbitmqadmin_argv(servers):
        is_2 = servers.rabbit.has_rabbitmqadmin_2()
        listen, heard = (LISTEN_2, HEARD_2) if is_2 else (LISTEN, HEARD)
    return GUIDE.format(
        env_path=shlex.quote(str(env_path)), product=PRODUCT, listen=listen, heard=heard
    )


if __name__ == "__main__":
    sys.exit(main())
