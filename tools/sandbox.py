"""`make demo` and `make sandbox`: servers, migrations and a daemon, until the end or Ctrl-C."""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.broker import ServerRefused
from tools.daemon import DaemonProcess, clean_environment
from tools.interrupts import Terminated, uninterrupted
from tools.management import ManagementFault
from tools.program import StartFailed
from tools.servers import Servers
from tools.waiting import NotObserved

EXIT_FAILED = 1
EXIT_SIGNALLED = 128
DATABASE = "orderd"
PRODUCT = {
    "action": "create",
    "data": {"name": "Laptop", "price": 1299.99, "stock_quantity": 25},
}

GUIDE = """\
Everything runs; Ctrl-C stops it and removes its files. The daemon logs to {log_path}

In another shell:

  export ORDERD_RABBITMQ_URL='{rabbitmq_url}'
  export ORDERD_DATABASE_URL='{database_url}'

  {rabbitmqadmin}
  {orderctl} call product list
  {orderctl} status
  psql "$ORDERD_DATABASE_URL" -c 'SELECT * FROM products'
  tail -f {log_path}
"""


def main() -> int:
    """Run what the command line asks for; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sandbox")
    parser.add_argument("what", choices=("demo", "sandbox"))
    run = {"demo": demo, "sandbox": sandbox}[parser.parse_args().what]
    try:
        return run()
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


def sandbox() -> int:
    """Keep servers and daemon running until Ctrl-C; return 1 when the daemon ends by itself."""
    with running() as (servers, env, daemon):
        print(guide(servers, env), flush=True)
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
def running() -> Iterator[tuple[Servers, dict[str, str], DaemonProcess]]:
    """Give servers, the environment that leads to them, and a daemon that consumes there."""
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
        env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": servers.rabbit.url()}
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


def log_path(servers: Servers) -> Path:
    return servers.scratch / "orderd.log"


def guide(servers: Servers, env: Mapping[str, str]) -> str:
    """Return the lines to type."""
    publish = "# set RABBITMQ_MANAGEMENT_URL to see the rabbitmqadmin line"
    if servers.rabbit.management is not None:
        admin = " ".join([*servers.rabbit.rabbitmqadmin_command(), *servers.rabbit.admin_options()])
        payload = json.dumps(PRODUCT, separators=(",", ":"))
        publish = (
            f"{admin} publish \\\n    exchange=amq.default routing_key=product payload='{payload}'"
        )
    return GUIDE.format(
        log_path=log_path(servers),
        rabbitmq_url=env["ORDERD_RABBITMQ_URL"],
        database_url=env["ORDERD_DATABASE_URL"],
        rabbitmqadmin=publish,
        orderctl=orderctl_path(),
    )


if __name__ == "__main__":
    sys.exit(main())
