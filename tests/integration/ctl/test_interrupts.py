"""Ctrl-C in the middle of any step of pika's ends orderctl without a word, and without a loss."""

import json
import subprocess
import sys

from tests.integration.ctl.letters import Broker
from tools.daemon import clean_environment

LETTERS = 40
MOMENTS = 80
INTERRUPTED = 130
# Runs `orderctl dlq list` again and again, each time in a child of its own (an interrupt may end
# the whole program) and interrupted at another line of pika's, as a signal does it; prints how many
# lines were reached and what did not end as it should.
LOOK_OFTEN = f"""
import contextlib, io, json, mmap, os, signal, sys, tempfile
from orderd.ctl.__main__ import main

sys.argv = ["orderctl", "dlq", "list"]

def look(at, seen):
    def on_call(frame, event, argument):
        return on_line if "/pika/" in frame.f_code.co_filename else None
    def on_line(frame, event, argument):
        if event == "line":
            seen[0] += 1
            if seen[0] == at:
                signal.raise_signal(signal.SIGINT)
        return on_line
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with contextlib.redirect_stdout(io.StringIO()):
        sys.settrace(on_call)
        try:
            return main()
        finally:
            sys.settrace(None)

def look_apart(at):
    seen = memoryview(mmap.mmap(-1, 8)).cast("q")
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            os.dup2(said.fileno(), 2)
            os._exit(look(at, seen))
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return seen[0], os.waitstatus_to_exitcode(status), said.read().decode()

look(None, [0])
lines, code, said = look_apart(None)
assert (code, said) == (0, ""), (code, said)
moments = range(1, lines, lines // {MOMENTS})
ends = [(number, *look_apart(number)) for number in moments]
reached = [end for end in ends if end[1] >= end[0]]
wrong = [end for end in reached if end[2:] != ({INTERRUPTED}, "")]
json.dump([len(reached), wrong], sys.stdout)
"""


def test_an_interrupt_anywhere_in_pika_ends_a_look(
    vhost_url: str, database_url: str, broker: Broker
) -> None:
    broker.declare()
    for number in range(LETTERS):
        broker.bury("user", b"%d" % number)

    done = subprocess.run(
        [sys.executable, "-c", LOOK_OFTEN],
        env=clean_environment()
        | {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url},
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )

    count, wrong = json.loads(done.stdout)
    assert count >= MOMENTS // 2
    assert wrong == []
    broker.wait_for("user.dlq", LETTERS)
