"""A resolver that does not answer keeps nobody from ending."""

import signal
import subprocess
import sys
import time

import pytest

from tools.daemon import clean_environment

NOWHERE = {
    "ORDERD_DATABASE_URL": "postgresql://u@127.0.0.1:1/x",
    "ORDERD_RABBITMQ_URL": "amqp://broker.invalid/",
}
HANGS_S = 120
# The look-up of pika's own, which it makes in a thread, takes this long; nothing else is changed.
HANGING = f"""
import socket, sys, time
look_up = socket.getaddrinfo
def hang(host, *arguments, **more):
    if host == "broker.invalid":
        print("looking up", file=sys.stderr, flush=True)
        time.sleep({HANGS_S})
    return look_up(host, *arguments, **more)
socket.getaddrinfo = hang
from {{module}}.__main__ import main
sys.exit(main())
"""


def start(module: str, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HANGING.format(module=module), *arguments],
        env=clean_environment() | NOWHERE | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("verb", [("dlq", "list"), ("call", "user", "list")])
def test_orderctl_gives_up_in_time(verb: tuple[str, ...]) -> None:
    began_s = time.monotonic()
    with start("orderd.ctl", *verb) as orderctl:
        _, said = orderctl.communicate(timeout=60)

    assert orderctl.returncode == 69
    assert b"no answer in 5 s" in said
    assert time.monotonic() - began_s < HANGS_S / 2


def test_orderctl_ends_at_ctrl_c() -> None:
    with start("orderd.ctl", "dlq", "list") as orderctl:
        assert orderctl.stderr is not None
        assert orderctl.stderr.readline() == b"looking up\n"
        orderctl.send_signal(signal.SIGINT)

        assert orderctl.wait(timeout=60) == 130


def test_orderd_ends_at_sigterm(database_url: str) -> None:
    with start("orderd", ORDERD_DATABASE_URL=database_url) as orderd:
        assert orderd.stderr is not None
        for line in orderd.stderr:
            if line == b"looking up\n":
                break
        orderd.send_signal(signal.SIGTERM)

        assert orderd.wait(timeout=60) == 0
