"""On what it was measured: versions and processors, kept beside the numbers."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika

from bench import machine
from bench.peer_environment import versions
from bench.results import RESULTS
from bench.world import World, query


def describe(world: World, part: str, folder: Path = RESULTS) -> None:
    """Write down what the servers and the machine are on which a part is measured."""
    ((version,),) = query(world.postgres.url(), "SHOW server_version")
    described = {
        "processors": machine.processors(),
        "python": platform.python_version(),
        "pika": pika.__version__,
        "postgresql": str(version).split()[0],
        "rabbitmq": world.rabbit.series or "of an unknown version",
        "date": datetime.now(UTC).date().isoformat(),
        "peers": versions(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _path(part, folder).write_text(json.dumps(described) + "\n", encoding="utf-8")


def description(part: str, folder: Path = RESULTS) -> Mapping[str, Any]:
    """Return what was written down last for a part that was measured."""
    described: dict[str, Any] = json.loads(_path(part, folder).read_text(encoding="utf-8"))
    return described


def _path(part: str, folder: Path) -> Path:
    return folder / f"{part}.machine.json"
