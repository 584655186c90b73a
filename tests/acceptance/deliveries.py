"""Commands that are delivered many times, because every daemon ends before they are done.

The broker counts the deliveries of quorum queues, and has a limit for them.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

import psycopg2

from tests.acceptance.shop import COMMAND_QUEUES, Shop, order, product, user
from tests.conftest import StartDaemonOn
from tests.support.versions import Broker
from tools.daemon import DaemonProcess
from tools.waiting import NotObserved, wait_until

QUORUM = "quorum"
TIMEOUT_S = 60.0
LOCK = "LOCK TABLE processed_requests, users, products, orders"
# Long enough for orderd to see that it is the database that does not answer.
WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND clock_timestamp() - query_start > interval '1500 ms'
"""
# What makes queues of a type by default came after 3.10.
WITHOUT_DEFAULT_TYPE = ("3.10",)

Start = Callable[[], DaemonProcess]


def queues_of_orderd(broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn) -> Shop:
    """Return a shop whose quorum queues orderd has made."""
    assert daemon_on(broker.url, queue_type=QUORUM).stop() == 0
    return Shop(broker.admin_url, admin_database_url, QUORUM)


def queues_of_a_producer(
    broker: Broker, admin_database_url: str, _daemon_on: StartDaemonOn
) -> Shop:
    """Return a shop that has made its queues without arguments, where quorum is the default."""
    if broker.version in WITHOUT_DEFAULT_TYPE:
        return Shop(broker.admin_url, admin_database_url, QUORUM)
    management = broker.rabbit.require_management()
    management.request("PUT", f"/api/vhosts/{broker.vhost}", {"default_queue_type": QUORUM})
    return Shop(broker.admin_url, admin_database_url)


MAKERS = {"orderd": queues_of_orderd, "producer": queues_of_a_producer}


def kill(one: DaemonProcess) -> None:
    """End a daemon as a crash does."""
    one.send(signal.SIGKILL)
    assert one.exit_code() == -signal.SIGKILL


def stop(one: DaemonProcess) -> None:
    """End a daemon as each deployment does."""
    one.terminate()
    assert one.exit_code(TIMEOUT_S) == 0


ENDS = {"kills": kill, "restarts": stop}


def send_commands(shop: Shop, count: int) -> list[str]:
    """Send so many commands, all to be applied, to the three queues in turn; return their ids."""
    shop.open_with(stock=count)
    makers = (
        lambda request_id: user(request_id, id=request_id),
        lambda request_id: product(id=request_id),
        lambda request_id: order({1: 1}, id=request_id),
    )
    ids = [f"command-{number}" for number in range(count)]
    shop.send_all([makers[number % 3](one) for number, one in enumerate(ids)])
    return ids


@contextmanager
def nobody_is_answered(admin_database_url: str) -> Iterator[None]:
    """Lock the tables of all commands and of their ledger, for as long as the block takes."""
    with closing(psycopg2.connect(admin_database_url)) as other:
        other.cursor().execute(LOCK)
        yield


def end_again_and_again(
    shop: Shop, start: Start, count: int, end: Callable[[DaemonProcess], None]
) -> None:
    """Start so many daemons, and end each once it waits for the database, its hands full.

    NotObserved where one has nothing to wait for: the broker has dropped everything.
    """
    for number in range(count):
        before = _waiting(shop)
        one = start()
        wait_until(
            partial(_is_held_up, shop, one, before),
            timeout_s=TIMEOUT_S,
            what=f"orderd, number {number}, waiting for the database with what it has in hand",
        )
        end(one)
        wait_until(lambda: _is_left_alone(shop), timeout_s=TIMEOUT_S, what="no consumers")


def settled(shop: Shop, start: Start, ids: list[str]) -> dict[str, str]:
    """Let a daemon do what there is to do, in peace; return the outcomes, once it has ended."""
    one = start()
    with suppress(NotObserved):  # what is missing then is lost, which is for the caller to say
        shop.wait_for(*ids, timeout_s=TIMEOUT_S)
    assert one.stop() == 0
    assert shop.waiting() == 0
    return shop.outcomes()


def assert_all_applied_once(shop: Shop, outcomes: dict[str, str], ids: list[str]) -> None:
    """Nothing is lost or dead-lettered, and the rows are those of each command once."""
    letters = {queue: shop.ready(f"{queue}.dlq") for queue in COMMAND_QUEUES}
    assert letters == dict.fromkeys(COMMAND_QUEUES, 0)
    lost = [one for one in ids if one not in outcomes]
    assert not lost, f"{len(lost)} of {len(ids)} commands are lost: {lost[:5]}"
    assert set(outcomes.values()) == {"applied"}
    for place, table in enumerate(("users", "products", "orders")):
        # A user and a product were there before.
        shop.wait_for_rows(len(ids[place::3]) + (place < 2), table)
    assert shop.stock_mismatches() == []


def _is_held_up(shop: Shop, one: DaemonProcess, before: set[int]) -> bool:
    return bool(_waiting(shop) - before or one.events("intake.paused"))


def _waiting(shop: Shop) -> set[int]:
    return {pid for (pid,) in shop.query(WAITING)}


def _is_left_alone(shop: Shop) -> bool:
    frames = [shop.channel.queue_declare(queue, passive=True) for queue in COMMAND_QUEUES]
    return all(frame.method.consumer_count == 0 for frame in frames)
