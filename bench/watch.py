"""Looks at a run from outside, over connections of its own, so that looking costs little."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pika
import psycopg2

from bench import machine
from bench.systems import System
from bench.world import EVENTS_QUEUE, OLD_ORDERS, Arena, World
from tools.program import Program

# Asked all the time, since it costs next to nothing; ids may be drawn before they are committed.
DRAWN: Final = "SELECT last_value FROM orders_id_seq"
COMMITTED: Final = "SELECT count(*) FROM orders"
OUTBOX: Final = "SELECT count(*) FROM outbox"


@dataclass(frozen=True, slots=True)
class Look:
    """How far a run is, and the CPU seconds that everybody has used so far."""

    at_s: float
    committed: int
    worker_s: float
    postgres_s: float
    broker_s: float
    busy_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """The programs of one run, and a connection to each server."""

    system: System
    programs: Sequence[Program]
    _world: World
    _cursor: Any
    _channel: Any

    def drawn(self) -> int:
        """Return how many ids of orders have been drawn."""
        return self._number(DRAWN) - OLD_ORDERS

    def committed(self) -> int:
        """Return how many orders are there."""
        return self._number(COMMITTED) - OLD_ORDERS

    def is_settled(self, count: int) -> bool:
        """Return whether the queue is empty, all events have come, and none waits in the outbox."""
        if not self.system.needs_broker:
            return True
        return (
            self._ready(self.system.queue) == 0
            and (not self.system.has_events or self._ready(EVENTS_QUEUE) >= count)
            and (not self.system.empties_outbox or self._number(OUTBOX) == 0)
        )

    def look(self) -> Look:
        """Return how far the run is now."""
        postgres, broker = self._world.postgres.pid, self._world.rabbit.pid
        return Look(
            at_s=time.monotonic(),
            committed=self.committed(),
            worker_s=sum(machine.cpu_s(each.pid) for each in self.programs),
            postgres_s=machine.cpu_s(postgres) if postgres else 0.0,
            broker_s=machine.cpu_s(broker) if broker else 0.0,
            busy_s=machine.busy_s(),
        )

    def _number(self, statement: str) -> int:
        self._cursor.execute(statement)
        return int(self._cursor.fetchone()[0])

    def _ready(self, queue: str) -> int:
        return int(self._channel.queue_declare(queue, passive=True).method.message_count)


@contextmanager
def watching(
    world: World, arena: Arena, system: System, programs: Sequence[Program]
) -> Iterator[Watch]:
    """Give a watch on running programs."""
    with (
        closing(psycopg2.connect(arena.direct_url)) as database,
        closing(pika.BlockingConnection(pika.URLParameters(arena.rabbitmq_url))) as broker,
    ):
        database.autocommit = True
        yield Watch(system, programs, world, database.cursor(), broker.channel())
