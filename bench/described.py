"""On what it was measured: versions and processors, kept beside the numbers."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pika

from bench import machine
from bench.results import RESULTS
from bench.world import World, query

NAME = "machine.json"


def describe(world: World, folder: Path = RESULTS) -> None:
    """Write down what the servers and the machine are."""
    ((version,),) = query(world.postgres.url(), "SHOW server_version")
    described = {
        "processors": machine.processors(),
        "python": platform.python_version(),
        "pika": pika.__version__,
        "postgresql": str(version).split()[0],
        "rabbitmq": world.rabbit.series or "of an unknown version",
        "date": datetime.now(UTC).date().isoformat(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(json.dumps(described) + "\n", encoding="utf-8")


def description(folder: Path = RESULTS) -> Mapping[str, str]:
    """Return what was written down last; nothing where nothing was measured."""
    path = folder / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
