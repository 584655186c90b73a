"""The connections of orderd, as the broker lists them."""

from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COLUMNS = ("pid", "vhost", "channels", "connected_at", "client_properties")


def orderd_connections(rabbit: PrivateRabbit, vhost: str) -> list[tuple[str, int]]:
    """Return pid and number of channels of each of them, in the order of their making."""
    listed = rabbit.ctl("list_connections", "--no-table-headers", *COLUMNS).splitlines()
    found = [
        (int(since), pid, int(channels))
        for pid, where, channels, since, properties in (line.split("\t") for line in listed)
        if where == vhost and "orderd " in properties
    ]
    return [(pid, channels) for _, pid, channels in sorted(found)]


def wait_for_connections(rabbit: PrivateRabbit, vhost: str, count: int) -> list[tuple[str, int]]:
    """Return them as soon as there are so many, each with a channel."""

    def found() -> list[tuple[str, int]] | None:
        there = orderd_connections(rabbit, vhost)
        return there if len(there) == count and all(channels for _, channels in there) else None

    return wait_until(found, timeout_s=30, what=f"{count} connections") or []


def close_publishing_connection(rabbit: PrivateRabbit, vhost: str) -> None:
    """Close the connection by which events go: the first to be made of those with one channel."""

    def found() -> list[str]:
        return [pid for pid, channels in orderd_connections(rabbit, vhost) if channels == 1]

    publishing, *_ = wait_until(found, timeout_s=20, what="the connection")
    rabbit.ctl("close_connection", publishing, "a test")
