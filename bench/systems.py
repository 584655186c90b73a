"""The programs that are measured: how each is started, and what it says that it keeps."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.orders import Workload
from bench.peer_environment import PEERS, is_installed
from bench.world import TREE, Arena
from orderd.protocol.names import Queue
from tools.daemon import clean_environment
from tools.postgresql import bin_directory

PGBENCH_SCRIPT: Final = Path(__file__).with_name("order.sql")

Command = Callable[[Arena, Workload], Sequence[str]]


@dataclass(frozen=True, slots=True)
class System:
    """A way to work orders off; `label` is its title in a picture.

    `command` is one process of it, of which `processes` run. `publisher` is the module of its
    client, where it wants messages of its own form: it gets commands as lines of JSON.
    `requires` is the peer that has to be installed; `needs_broker` False: it makes its orders
    itself, about any products, and ends with the last. The rest is what it claims to keep: a ledger
    row and an event for each order, an outbox row for each event that is not confirmed yet.
    """

    title: str
    label: str
    command: Command
    environment: Mapping[str, str]
    processes: int = 1
    publisher: str | None = None
    queue: str = Queue.ORDER
    requires: str | None = None
    needs_broker: bool = True
    has_ledger: bool = False
    has_events: bool = False
    empties_outbox: bool = False

    def environment_of(self, arena: Arena, number: int) -> dict[str, str]:
        """Return what leads its process of that number to the servers."""
        return {
            **clean_environment(),
            "PYTHONPATH": str(TREE),
            "ORDERD_DATABASE_URL": arena.database_url,
            "ORDERD_RABBITMQ_URL": arena.rabbitmq_url,
            "ORDERD_INSTANCE_NAME": f"bench-{number}",
            "ORDERD_HEALTH_FILE": "",
            **self.environment,
        }


def orderd(batch_max: int = 200, daemons: int = 1) -> System:
    """Return orderd as it is installed here, with its defaults but for the size of batches."""
    title = f"orderd, batches of up to {batch_max}" if batch_max > 1 else "orderd, batches of 1"
    return System(
        title=title if daemons == 1 else f"{daemons} × {title}",  # noqa: RUF001 - a product
        label="orderd",
        command=_fixed(sys.executable, "-m", "orderd"),
        environment={"ORDERD_BATCH_MAX": str(batch_max)},
        processes=daemons,
        has_ledger=True,
        has_events=True,
        empties_outbox=True,
    )


def pgbench() -> System:
    """Return one client of pgbench with the statements of an order, one commit each.

    Statements are prepared, which is the strongest mode.
    """
    return System(
        title="`pgbench -c 1 -M prepared`, the same statements, no broker",
        label="pgbench -c 1, no broker",
        command=_pgbench,
        environment={},
        needs_broker=False,
        has_ledger=True,
    )


def plain_pika() -> System:
    """Return a worker on pika and psycopg2, one transaction and one confirm a message."""
    return System(
        title="pika + psycopg2, one transaction and one confirmed event a message",
        label="pika + psycopg2",
        command=_fixed(sys.executable, "-m", "bench.peers.plain_pika"),
        environment={},
        has_ledger=True,
        has_events=True,
    )


def pace_setter(batch_max: int = 200) -> System:
    """Return the instrument that shows how far the machine would go."""
    return System(
        title=f"pace-setter, batches of up to {batch_max}",
        label="pace-setter, does less",
        command=_fixed(sys.executable, "-m", "bench.peers.pace_setter", str(batch_max)),
        environment={},
        has_ledger=True,
        has_events=True,
        empties_outbox=True,
    )


def faststream(prefetch: int | None) -> System:
    """Return FastStream with SQLAlchemy on asyncpg; None: the prefetch that it has by itself."""
    how = "default prefetch" if prefetch is None else f"prefetch {prefetch}"
    return System(
        title=f"FastStream + SQLAlchemy (asyncpg), {how}",
        label=f"FastStream, {how}",
        command=_peer("python", "-m", "bench.peers.faststream_worker"),
        environment={} if prefetch is None else {"PREFETCH": str(prefetch)},
        requires="faststream",
    )


def dramatiq(threads: int) -> System:
    """Return Dramatiq, one process with some threads."""
    title = f"Dramatiq, {threads} thread{'s' if threads > 1 else ''}"
    return System(
        title=title,
        label=title,
        command=_peer("dramatiq", "bench.peers.dramatiq_worker", "-p", "1", "-t", str(threads)),
        environment={},
        publisher="bench.peers.dramatiq_worker",
        queue="orders",
        requires="dramatiq",
    )


def celery(processes: int) -> System:
    """Return Celery with its pool of processes."""
    options = ("worker", "--concurrency", str(processes), "--loglevel", "WARNING")
    title = f"Celery, {processes} process{'es' if processes > 1 else ''}"
    return System(
        title=title,
        label=title,
        command=_peer("celery", "--app", "bench.peers.celery_worker", *options),
        environment={},
        publisher="bench.peers.celery_worker",
        queue="celery",
        requires="celery",
    )


def renamed(system: System, title: str) -> System:
    """Return the same system under another title."""
    return replace(system, title=title)


def obstacle(system: System) -> str | None:
    """Return in one line why a system cannot be measured here; None: it can."""
    if system.requires is None or is_installed(system.requires):
        return None
    return f"{system.requires} is not installed in build/peers (make bench-peers installs it)"


def _fixed(*argv: str) -> Command:
    return lambda _arena, _workload: argv


def _peer(program: str, *args: str) -> Command:
    return _fixed(str(PEERS / "bin" / program), *args)


def _pgbench(arena: Arena, workload: Workload) -> Sequence[str]:
    return (
        str(bin_directory() / "pgbench"),
        "--client=1",
        "--no-vacuum",
        "--protocol=prepared",
        f"--transactions={workload.count}",
        f"--file={PGBENCH_SCRIPT}",
        *(f"--define={name}={value}" for name, value in _texts().items()),
        arena.database_url,
    )


def _texts() -> dict[str, str]:
    """Return texts of the ledger and of an event, as long as orderd writes them."""
    request_id = "6f2c1a70-9d0b-4b57-9a53-1f0e3c5b7d11"
    order = {
        "id": 10_001,
        "user_id": 501,
        "status": "pending",
        "priority": "normal",
        "total_amount": 130.97,
        "items": [
            {"id": 20_001 + n, "product_id": 401 + n, "quantity": 1 + n, "unit_price": 43.99}
            for n in range(2)
        ],
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
        "revision": 1,
    }
    response = {"correlation_id": request_id, "status": "ok", "data": order, "error": None}
    event = {
        "specversion": "1.0",
        "id": request_id,
        "source": "orderd",
        "type": "order.created",
        "subject": "order/10001",
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "correlationid": request_id,
        "data": order,
    }
    return {
        "response": json.dumps(response, separators=(",", ":")),
        "fingerprint": "0" * 64,
        "event": json.dumps(event, separators=(",", ":")),
    }
