"""Free TCP ports on 127.0.0.1 for private servers."""

import random
import socket

# Below Linux' ephemeral range, where outgoing connections could take a port between our look and
# the server's bind; and clear of the well-known ports of RabbitMQ, PostgreSQL and their tools.
LOWEST = 20_000
HIGHEST = 32_000
# Around 25672, the usual port of RabbitMQ for the nodes of a cluster.
TAKEN = range(25_600, 25_700)
TRIES_MAX = 1_000
# Fixed seeds are for what tests do; runs side by side must not draw the same ports.
CHANCE = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Return `count` different ports nobody listens on now; OSError when none can be found."""
    ports: set[int] = set()
    for _ in range(TRIES_MAX):
        port = CHANCE.randrange(LOWEST, HIGHEST)
        if port not in TAKEN and _is_free(port):
            ports.add(port)
        if len(ports) == count:
            return list(ports)
    raise OSError(f"no {count} free ports between {LOWEST} and {HIGHEST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
