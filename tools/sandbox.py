"""`make demo` and `make sandbox`: servers, migrations and daemons, until the end or Ctrl-C."""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tools.broker import ServerRefused
from tools.daemon import NOTIFY_PROGRAM, DaemonProcess, clean_environment
from tools.environment import environment_text, remove_environment, write_environment
from tools.interrupts import Terminated, uninterrupted
from tools.mail_catcher import ADMINISTRATOR, MailCatcher
from tools.management import ManagementFault
from tools.program import StartFailed
from tools.servers import Servers
from tools.waiting import NotObserved

EXIT_FAILED = 1
EXIT_SIGNALLED = 128
DATABASE = "orderd"
# What the reference scenario tells: six times the user, twice the administrators.
DEMO_MAILS = 8
MAILS_TIMEOUT_S = 30.0
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
  cat "$SANDBOX_MAILS"       # what orderd-notify has sent; it goes nowhere else
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


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: servers, the environment that leads to them, daemons, and what takes mails."""

    servers: Servers
    env: Mapping[str, str]
    daemon: DaemonProcess
    notifier: DaemonProcess
    catcher: MailCatcher


def demo() -> int:
    """Run the reference scenario against a new orderd; return what `orderctl demo` returns."""
    with running() as one:
        code = orderctl(one.env, "demo")
        if code != 0:
            print(f"\nthe daemon's last lines:\n{one.daemon.log_tail()}", file=sys.stderr)
            return code
        code = show_mails(one)
        return drained(one) or code


def show_mails(one: Running) -> int:
    """Print how the mails of the scenario begin; return 1 where they are not all there."""
    try:
        mails = one.catcher.wait_for(DEMO_MAILS, timeout_s=MAILS_TIMEOUT_S)
    except NotObserved as fault:
        print(f"\n{fault}\norderd-notify's last lines:\n{one.notifier.log_tail()}", file=sys.stderr)
        return EXIT_FAILED
    print(f"\n{len(mails)} mails of orderd-notify")
    # What the two of them get comes from two queues.
    for mail in sorted(mails, key=lambda mail: mail.to == ADMINISTRATOR)[:DEMO_MAILS]:
        print(f"\n{mail.beginning()}", end="")
    return 0 if len(mails) == DEMO_MAILS else EXIT_FAILED


def sandbox(env_path: Path) -> int:
    """Keep servers and daemons running until Ctrl-C; return 1 when orderd ends by itself."""
    with running(SANDBOX) as one, environment_file(env_path, one):
        print(guide(one.servers, env_path), flush=True)
        try:
            code = one.daemon.exit_code(timeout_s=None)
        except Terminated:
            raise
        except KeyboardInterrupt:
            print("\nstopping", flush=True)
            return drained(one)
        print(f"orderd ended with {code}:\n{one.daemon.log_tail()}", file=sys.stderr)
        return EXIT_FAILED


@contextmanager
def running(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Running]:
    """Give servers, the environment that leads to them, and daemons that consume there.

    *settings* are variables for the environment, of which the daemons are too.
    """
    servers = Servers()
    if servers.are_private:
        print("starting RabbitMQ and PostgreSQL", flush=True)
    with servers, MailCatcher(mails_path(servers)) as catcher:
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
            "ORDERD_NOTIFY__CHANNEL": catcher.channels(),
            **settings,
        }
        code = orderctl(env, "migrate")
        if code != 0:
            raise StartFailed(f"orderctl migrate ended with {code}")
        with daemons(servers, env) as (daemon, notifier):
            yield Running(servers, env, daemon, notifier, catcher)


@contextmanager
def daemons(
    servers: Servers, env: Mapping[str, str]
) -> Iterator[tuple[DaemonProcess, DaemonProcess]]:
    """Give orderd and orderd-notify, which consume."""
    print("starting orderd and orderd-notify", flush=True)
    started: list[DaemonProcess] = []
    try:
        started.append(DaemonProcess(env, log_path=log_path(servers)))
        own = notifier_environment(env, servers.scratch)
        path = log_path(servers).with_name("orderd-notify.log")
        started.append(DaemonProcess(own, log_path=path, program=NOTIFY_PROGRAM))
        for one in started:
            one.wait_ready()
        yield started[0], started[1]
    finally:
        with uninterrupted():
            for one in reversed(started):
                one.stop()


def notifier_environment(env: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the environment of an orderd-notify beside the orderd of *env*, with its own files."""
    files = {
        "ORDERD_HEALTH_FILE": str(scratch / "notify-health"),
        "ORDERD_METRICS_FILE": str(scratch / "notify-metrics.prom"),
    }
    return {**env, **files}


def drained(one: Running) -> int:
    """Stop the daemons; return 0 when both ended in good order."""
    found = 0
    for name, daemon in (("orderd", one.daemon), ("orderd-notify", one.notifier)):
        code = daemon.stop()
        if code != 0:
            print(f"{name} ended with {code}:\n{daemon.log_tail()}", file=sys.stderr)
            found = EXIT_FAILED
    return found


def orderctl(env: Mapping[str, str], *args: str) -> int:
    """Run `orderctl ARGS` on our terminal; return its exit code."""
    argv = [str(orderctl_path()), *args]
    return subprocess.run(argv, env=clean_environment() | dict(env), check=False).returncode


def orderctl_path() -> Path:
    """Return the orderctl of this virtual environment, short where that is possible."""
    path = Path(sys.executable).parent / "orderctl"
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def environment_file(path: Path, one: Running) -> Iterator[None]:
    """Keep the file to source at *path* as long as the sandbox runs."""
    files = {
        "SANDBOX_LOG": str(log_path(one.servers)),
        "SANDBOX_MAILS": str(mails_path(one.servers)),
    }
    if (management := one.servers.rabbit.management) is not None:
        # By which orderctl knows how old messages are, and what policies there are.
        files["RABBITMQ_MANAGEMENT_URL"] = management.url
    text = environment_text({**one.env, **files}, rabbitmqadmin_argv(one.servers))
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


def mails_path(servers: Servers) -> Path:
    return servers.scratch / "mails"


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
