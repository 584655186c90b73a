"""The measurements, each a plain function of the world that returns numbers."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import pika

from orderd.contract.names import Queue
from tests.bench.world import World
from tools.daemon import DaemonProcess
from tools.waiting import NotObserved, wait_until

ROUND_TIMEOUT_S = 180.0
IDLE_S = 10.0
CALLS = 200
CALL_TIMEOUT_S = 10.0
SYNCS = 200
PAGE = bytes(8192)
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"


@dataclass(frozen=True, slots=True)
class DaemonRound:
    """One preloaded queue, worked off: the rate is that from the first commit to the last."""

    batch_max: int
    commands_per_s: float
    cpu_s_per_1000: float
    rss_mb: float
    start_s: float


def daemon_round(world: World, batch_max: int, count: int) -> DaemonRound:
    """Return what a new daemon does with *count* order commands that wait for it."""
    world.tidy()
    with consuming(world, batch_max) as (daemon, start_s):
        daemon.send(signal.SIGSTOP)
        world.preload(count)
        cpu_before_s = daemon.cpu_seconds()
        daemon.send(signal.SIGCONT)
        wait_until(lambda: _committed(daemon) >= count, timeout_s=ROUND_TIMEOUT_S, what="the round")
        wait_until(lambda: _unsettled(world) == 0, timeout_s=ROUND_TIMEOUT_S, what="all settled")
        cpu_s = daemon.cpu_seconds() - cpu_before_s
        return DaemonRound(
            batch_max, _rate(daemon), cpu_s * 1_000 / count, daemon.rss_mb(), start_s
        )


@contextmanager
def consuming(world: World, batch_max: int) -> Iterator[tuple[DaemonProcess, float]]:
    """Give a daemon that consumes, and how long that took it; drained at the end."""
    started_s = time.monotonic()
    daemon = DaemonProcess(world.orderd_environment | {"ORDERD_BATCH_MAX": str(batch_max)})
    try:
        daemon.wait_ready()
        start_s = time.monotonic() - started_s
        yield daemon, start_s
    finally:
        code = daemon.stop()
    if code != 0:
        raise NotObserved(f"orderd ended with {code}\n{daemon.log_tail()}")


def idle_cpu_percent(world: World) -> float:
    """Return how much of one core a daemon without any work takes."""
    with consuming(world, batch_max=200) as (daemon, _):
        wait_until(lambda: _unsettled(world) == 0, timeout_s=ROUND_TIMEOUT_S, what="nothing to do")
        before_s = daemon.cpu_seconds()
        time.sleep(IDLE_S)  # nothing is waited for: this is the time that is measured
        return (daemon.cpu_seconds() - before_s) / IDLE_S * 100


def call_latencies_ms(world: World) -> list[float]:
    """Return how long each of some calls took, one after the other, sorted."""
    world.tidy()
    with (
        consuming(world, batch_max=200),
        closing(pika.BlockingConnection(pika.URLParameters(world.rabbitmq_url))) as connection,
    ):
        channel = connection.channel()
        replies: list[bytes] = []
        channel.basic_consume(
            DIRECT_REPLY_TO, lambda *reply: replies.append(reply[-1]), auto_ack=True
        )
        properties = pika.BasicProperties(delivery_mode=2, reply_to=DIRECT_REPLY_TO)
        latencies_ms = []
        for _ in range(CALLS):
            started_s = time.perf_counter()
            channel.basic_publish("", Queue.ORDER, world.command(), properties)
            while not replies:
                connection.process_data_events(CALL_TIMEOUT_S)
                if time.perf_counter() - started_s > CALL_TIMEOUT_S:
                    raise NotObserved(f"no reply within {CALL_TIMEOUT_S:g} s")
            latencies_ms.append((time.perf_counter() - started_s) * 1_000)
            replies.clear()
        return sorted(latencies_ms)


def sync_latency_ms(folder: Path) -> float:
    """Return how long the disk takes to keep a page for good, as each commit has to wait for."""
    took_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(PAGE)
            file.flush()
            started_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - started_s) * 1_000)
    return median(took_ms)


def processors() -> int:
    """Return how many processors the measurement shares between everybody."""
    return len(os.sched_getaffinity(0))


def _committed(daemon: DaemonProcess) -> int:
    return sum(line["batch_size"] for line in daemon.events("batch.committed"))


def _rate(daemon: DaemonProcess) -> float:
    """Return commands per second, between the first commit and the last."""
    batches = daemon.events("batch.committed")
    first, *others = batches
    if not others:
        raise NotObserved("one batch took everything: there is no time between two commits")
    took = datetime.fromisoformat(others[-1]["timestamp"]) - datetime.fromisoformat(
        first["timestamp"]
    )
    return sum(int(line["batch_size"]) for line in others) / took.total_seconds()


def _unsettled(world: World) -> int:
    """Return how many events are not known to be confirmed: a command is acked after its event."""
    ((events,),) = world.query("SELECT count(*) FROM outbox")
    return int(str(events))
