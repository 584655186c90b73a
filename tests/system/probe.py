"""Tries what a daemon has no business doing, and prints what came of it; runs in the sandbox."""

import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PORT = 5999


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def write(directory: str) -> str:
    return outcome(lambda: Path(directory, "probe").write_text("x"))


def connect(address: str) -> str:
    return outcome(lambda: socket.create_connection((address, PORT), timeout=5).close())


def unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


status = dict(
    line.split(":\t", 1)
    for line in Path("/proc/self/status").read_text().splitlines()
    if ":\t" in line
)
found = {
    "writes": {place: write(place) for place in sys.argv[1].split(",")},
    "addresses": {address: connect(address) for address in sys.argv[2].split(",")},
    "home": outcome(lambda: list(Path("/home").iterdir())),
    "root": outcome(lambda: list(Path("/root").iterdir())),
    "credentials": outcome(lambda: list(Path("/etc/orderd/credentials").iterdir())),
    "other programs": outcome(lambda: subprocess.run(("/bin/true",), check=True)),
    "namespace": outcome(unshare),
    "writable code": outcome(writable_code),
    "packets": outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "netlink": outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "set user": outcome(lambda: os.setuid(0)),
    "other processes": outcome(lambda: Path("/proc/1").stat()),
    "devices": outcome(lambda: Path("/dev/kmsg").read_bytes()),
    "status": {key: status[key].strip() for key in ("NoNewPrivs", "CapEff", "CapBnd", "Seccomp")},
}
sys.stdout.write(f"{json.dumps(found)}\n")
