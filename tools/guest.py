"""A Debian 13 with systemd as PID 1, RabbitMQ 4 and PostgreSQL 17, booted for a while."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tools import guest_root
from tools.debian_root import MakingFailed
from tools.interrupts import terminable, uninterrupted
from tools.waiting import NotObserved, wait_until

BOOT_TIMEOUT_S: Final = 120.0
RUN_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 30.0
ENVIRONMENT: Final = ("PATH=/usr/sbin:/usr/bin", "HOME=/root", "TERM=dumb", "LANG=C.UTF-8")
# IPAddressDeny= is a BPF program, which a guest may load only if it is told so.
FILTERS: Final = ("--system-call-filter=bpf", "--capability=CAP_BPF,CAP_PERFMON")


class GuestFailed(RuntimeError):
    """The guest did not boot, or a command in it failed; the text says what it printed."""


def can_boot() -> str | None:
    """Return in one line why this machine cannot boot a guest; None: it can."""
    if reason := guest_root.obstacle():
        return reason
    if _cgroup2() is None:
        return "no cgroup2 file system is mounted here"
    if not os.access(f"{_cgroup2()}/cgroup.procs", os.W_OK):
        return "control groups cannot be made here"
    return None


def trial(packages: Sequence[str] = ()) -> str | None:
    """Boot a guest, with these packages but nothing of orderd's; return why that cannot be here.

    So what is no fault of ours, a mirror that fails or a kernel that forbids, fails no test.
    """
    if reason := can_boot():
        return reason
    try:
        guest_root.layered(packages)
        with Guest():
            return None
    except (GuestFailed, MakingFailed, NotObserved, subprocess.SubprocessError, OSError) as error:
        return f"a trial failed: {error}"


class Guest:
    """A context in which a clone of the root file system is booted; nothing of it is left after.

    `packages` are installed besides those of the root file system; that is done once, and kept.
    """

    def __init__(self, *, packages: Sequence[str] = (), nspawn_args: Sequence[str] = ()) -> None:
        self._packages = packages
        self._nspawn_args = nspawn_args
        self._name = f"orderd-guest-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self._cleanup = ExitStack()
        self._leader = 0
        self.root = Path()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(terminable())
        try:
            layers = guest_root.layered(self._packages)
            self.root = self._cleanup.enter_context(guest_root.clone(layers))
            self._boot()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def run(
        self,
        *argv: str,
        stdin: str = "",
        timeout_s: float = RUN_TIMEOUT_S,
        check: bool = True,
    ) -> str:
        """Run a command in the guest as root and return its stdout.

        With *check*, another exit code than 0 is GuestFailed.
        """
        done = self.result(*argv, stdin=stdin, timeout_s=timeout_s)
        if check and done.returncode != 0:
            raise GuestFailed(
                f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def result(
        self, *argv: str, stdin: str = "", timeout_s: float = RUN_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the guest as root; return its exit code, stdout and stderr."""
        return subprocess.run(
            self.command(*argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )

    def shell(self, script: str, *, timeout_s: float = RUN_TIMEOUT_S) -> str:
        """Run lines of shell in the guest as root, up to the first that fails; their stdout."""
        return self.run("bash", "-euo", "pipefail", "-c", script, timeout_s=timeout_s)

    def command(self, *argv: str) -> tuple[str, ...]:
        """Return what runs the command in the guest, for who starts it on his own."""
        enter = ("nsenter", f"--target={self._leader}", *_NAMESPACES)
        return (*enter, "--", "env", "-i", *ENVIRONMENT, *argv)

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """Return these properties of a unit, as systemd shows them."""
        shown = self.run("systemctl", "show", name, f"--property={','.join(properties)}")
        pairs = (line.partition("=") for line in shown.splitlines())
        return {key: value for key, _, value in pairs}

    def journal(self, *args: str) -> list[dict[str, Any]]:
        """Return the entries of the journal that the arguments of journalctl select."""
        lines = self.run("journalctl", "--quiet", "--no-pager", "--output=json", *args)
        return [json.loads(line) for line in lines.splitlines()]

    def _boot(self) -> None:
        cgroup = Path(f"{_cgroup2()}/{self._name}")
        cgroup.mkdir()
        self._cleanup.callback(_remove_tree_of_cgroups, cgroup)
        log_path = self.root.parent / "console"
        nspawn = (
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self._name}"),
            # There is no service manager on the host that would have to know of the guest.
            *("--register=no", "--keep-unit"),
            *("--private-network", "--resolv-conf=off", "--timezone=off", "--console=pipe"),
            *FILTERS,
            *self._nspawn_args,
            "--boot",  # the last option: what follows is given to init
        )
        enter_cgroup = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        with log_path.open("wb") as log:
            nspawn_process = subprocess.Popen(
                ("bash", "-c", enter_cgroup, f"{cgroup}", *nspawn),
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._cleanup.callback(self._pull_the_plug, nspawn_process)

        def is_up() -> bool:
            if nspawn_process.poll() is not None:
                raise GuestFailed(f"nspawn ended:\n{log_path.read_text(errors='replace')}")
            self._leader = self._leader or _child_of(nspawn_process.pid)
            if not self._leader:
                return False
            state = self.run("systemctl", "is-system-running", check=False).strip()
            return state in {"running", "degraded"}

        wait_until(is_up, timeout_s=BOOT_TIMEOUT_S, what="guest booted", poll_s=0.2)

    def _pull_the_plug(self, nspawn_process: subprocess.Popen[bytes]) -> None:
        """End everything in the guest at once: a clone that is thrown away needs no shutdown."""
        with suppress(ProcessLookupError):
            if self._leader:
                os.kill(self._leader, signal.SIGKILL)
            else:
                nspawn_process.kill()
        try:
            nspawn_process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            nspawn_process.kill()
            nspawn_process.wait()
        with suppress(OSError):
            Path(f"/run/systemd/nspawn/propagate/{self._name}").rmdir()

    def _close(self) -> None:
        with uninterrupted():
            self._cleanup.close()


_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")


def _cgroup2() -> str | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return place
    return None


def _child_of(pid: int) -> int:
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[-1])
    return 0


def _remove_tree_of_cgroups(top: Path) -> None:
    def is_gone() -> bool:
        for path, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(path).rmdir()
        return not top.exists()

    wait_until(is_gone, timeout_s=STOP_TIMEOUT_S, what="control groups of the guest gone")
