"""The opponent: `pgbench -c 1` with the statements of one order, one commit each."""

import json
import re
import subprocess
from pathlib import Path

from tests.bench.world import World
from tools.postgresql import bin_directory

SCRIPT = Path(__file__).with_name("opponent.sql")
MODE = "prepared"
TIMEOUT_S = 120
PRINTED_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


def pgbench_round(world: World, seconds: int) -> float:
    """Return how many orders a second one client commits, one at a time, over *seconds*.

    Statements are prepared, which is the strongest mode; there is no broker in it at all.
    """
    world.tidy()
    done = subprocess.run(
        [
            str(bin_directory() / "pgbench"),
            "--client=1",
            "--no-vacuum",
            f"--protocol={MODE}",
            f"--time={seconds}",
            f"--file={SCRIPT}",
            *(f"--define={name}={value}" for name, value in _texts(world).items()),
            world.database_url,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    found = PRINTED_RATE.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return float(found[1])


def _texts(world: World) -> dict[str, str]:
    """Return ledger and event texts as orderd wrote them last, so that their sizes are fair."""
    ((response, fingerprint, row),) = world.query(
        "SELECT response, fingerprint, response->'data' FROM processed_requests "
        "WHERE id LIKE 'bench-%' ORDER BY created_at DESC LIMIT 1"
    )
    event = {
        "specversion": "1.0",
        "id": "00000000-0000-4000-8000-000000000000",
        "source": "orderd",
        "type": "order.created",
        "subject": "order/10000",
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "correlationid": "bench-10000",
        "data": row,
    }
    return {
        "response": json.dumps(response),
        "fingerprint": str(fingerprint),
        "event": json.dumps(event),
    }
