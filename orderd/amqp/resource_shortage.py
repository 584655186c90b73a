"""A machine that has no descriptor, thread or memory left for a connection."""

from collections.abc import Iterator
from contextlib import contextmanager

from orderd.amqp.faults import BrokerFault


@contextmanager
def shortage_as_fault(where: str) -> Iterator[None]:
    """Raise BrokerFault for what the system refuses while the block connects to *where*.

    pika starts a thread to look up the host's name, and opens sockets of its own.
    """
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        raise BrokerFault(f"{where}: {type(error).__name__}: {error}") from error
