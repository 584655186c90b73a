"""Workers with little to do: their start, their idling, and calls one after the other."""

import time
from contextlib import closing
from statistics import median, quantiles
from typing import Final

import pika

from bench import machine
from bench.orders import Workload, commands, encoded
from bench.results import Alone
from bench.runs import Case, started
from bench.world import Arena, World
from orderd.protocol.names import Queue
from tools.waiting import NotObserved, wait_until

START_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.002
QUIET_S: Final = 1.0
IDLE_S: Final = 5.0
UNCOUNTED_CALLS: Final = 30
BETWEEN_CALLS_S: Final = 0.005
CALL_TIMEOUT_S: Final = 10.0
DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"


def alone(world: World, case: Case, number: int) -> Alone:
    """Return what a worker of *case* does that has hardly anything to do."""
    with world.arena(case.conditions) as arena:
        started_s = time.monotonic()
        with started(world, arena, case) as programs:
            start_ms = (_consuming_s(arena, case) - started_s) * 1_000
            time.sleep(QUIET_S)
            before_s = machine.cpu_s(programs[0].pid)
            time.sleep(IDLE_S)  # nothing is waited for: this is the time that is measured
            idle_percent = (machine.cpu_s(programs[0].pid) - before_s) / IDLE_S * 100
            calls_ms = _calls_ms(arena, case.workload.count)
    return Alone(
        case=case.name,
        round=number,
        start_ms=start_ms,
        idle_percent=idle_percent,
        p50_ms=median(calls_ms),
        p99_ms=quantiles(calls_ms, n=100)[98],
        sync_ms=machine.sync_ms(world.scratch),
    )


def _consuming_s(arena: Arena, case: Case) -> float:
    """Return when the queue of orders has a consumer, waiting for it."""
    parameters = pika.URLParameters(arena.rabbitmq_url)
    with closing(pika.BlockingConnection(parameters)) as connection:
        channel = connection.channel()
        wait_until(
            lambda: channel.queue_declare(Queue.ORDER, passive=True).method.consumer_count > 0,
            timeout_s=START_TIMEOUT_S,
            what=f"{case.name} consumes",
            poll_s=POLL_S,
        )
    return time.monotonic()


def _calls_ms(arena: Arena, count: int) -> list[float]:
    """Return how long each call took, from publishing the command to having the reply."""
    parameters = pika.URLParameters(arena.rabbitmq_url)
    with closing(pika.BlockingConnection(parameters)) as connection:
        channel = connection.channel()
        replies: list[bytes] = []
        channel.basic_consume(
            DIRECT_REPLY_TO, lambda *reply: replies.append(reply[-1]), auto_ack=True
        )
        properties = pika.BasicProperties(
            delivery_mode=2, reply_to=DIRECT_REPLY_TO, correlation_id="bench"
        )
        took_ms = []
        for command in commands(Workload(UNCOUNTED_CALLS + count)):
            started_s = time.perf_counter()
            channel.basic_publish("", Queue.ORDER, encoded(command), properties)
            while not replies:
                connection.process_data_events(CALL_TIMEOUT_S)
                if time.perf_counter() - started_s > CALL_TIMEOUT_S:
                    raise NotObserved(f"no reply within {CALL_TIMEOUT_S:g} s")
            took_ms.append((time.perf_counter() - started_s) * 1_000)
            replies.clear()
            time.sleep(BETWEEN_CALLS_S)
        return took_ms[UNCOUNTED_CALLS:]
