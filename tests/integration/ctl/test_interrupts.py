"""Ctrl-C in the middle of any step of pika's ends orderctl without a word, and without a loss."""

import json
import subprocess
import sys

from tests.harness.daemon import clean_environment
from tests.integration.ctl.letters import Broker

LETTERS = 40
MOMENTS = 80
INTERRUPTED = 130
# Runs `orderctl dlq list` again and again in one program, each time interrupted at another line of
# pika's, as a signal does it; prints what did not end as it should.
LOOK_OFTEN = f"""
import contextlib, io, json, os, signal, sys
from orderd.ctl.__main__ import main

sys.argv = ["orderctl", "dlq", "list"]

def look(at):
    lines = 0
    def on_call(frame, event, argument):
        return on_line if "/pika/" in frame.f_code.co_filename else None
    def on_line(frame, event, argument):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == at:
                signal.raise_signal(signal.SIGINT)
        return on_line
    said = io.StringIO()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        sys.settrace(on_call)
        try:
            code = main()
        finally:
            sys.settrace(None)
    return lines, code, said.getvalue()

look(None)
lines, code, said = look(None)
assert (code, said) == (0, ""), said
moments = range(1, lines, lines // {MOMENTS})
ends = [(number, *look(number)) for number in moments]
reached = [end for end in ends if end[1] >= end[0]]
wrong = [end for end in reached if end[2:] != ({INTERRUPTED}, "")]
json.dump([len(reached), wrong], sys.stdout)
sys.stdout.flush()
os._exit(0)
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
