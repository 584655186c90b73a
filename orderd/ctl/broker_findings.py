"""Checks the broker, its queues and the daemon that consumes them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from orderd.amqp.faults import ACCESS_REFUSED
from orderd.amqp.inspection import needed
from orderd.amqp.topology import QueueDepth
from orderd.ctl.client import Client, NoAnswer, Request, client_of
from orderd.ctl.errors import Failure
from orderd.ctl.findings import Finding, finding_of
from orderd.ctl.queue_ages import Ages, QueueAges
from orderd.ctl.tables import counted
from orderd.protocol.names import QUEUES, NoticeQueue, Queue, dead_letter_queue, retry_queue

if TYPE_CHECKING:
    from orderd.config.settings import Settings

Depths = Mapping[str, QueueDepth | None]
_NO_AGES: Final[Ages] = {}
_NO_QUEUE: Final = QueueDepth(ready=0, consumers=0)


def look_at_broker(settings: "Settings", token: str | None, timeout_s: float) -> list[Finding]:
    """Return findings on broker, queues and daemon; raises nothing.

    The daemon has *timeout_s* seconds for its answer.
    """
    findings: list[Finding] = []
    try:
        with client_of(settings) as client:
            findings.append(Finding("broker", is_well=True, summary=client.where))
            depths = depths_of(client, settings)
            former = [
                each.name
                for each in needed(settings.retry_delays)
                if depths.get(each.name) is not None and client.is_former(each)
            ]
            daemon = _ask_daemon(client, depths, token, timeout_s)
            ages = dict(QueueAges(settings).look(client.connection, depths))
            _bound(ages, daemon)
            if daemon.is_well and "queue" in daemon.facts:
                _bound_by_asking(ages, client, depths, token, timeout_s)
            findings += [judge_queues(depths, former, ages), daemon]
    except Failure as failure:
        findings.append(finding_of("broker", failure))
    return findings


def depths_of(client: Client, settings: "Settings") -> Depths:
    """Return what the queues of the daemons hold; those of notifications only where they exist."""
    own = {queue: client.queue_depth(queue) for queue in _with_others(Queue, settings)}
    others = {queue: client.queue_depth(queue) for queue in _with_others(NoticeQueue, settings)}
    return own | {queue: depth for queue, depth in others.items() if depth is not None}


def _with_others(queues: Iterable[str], settings: "Settings") -> Sequence[str]:
    """Return *queues*, their retry queues and their dead letter queues."""
    names = [*map(str, queues)]
    return [
        *names,
        *(retry_queue(queue, delay_s) for queue in names for delay_s in settings.retry_delays),
        *(dead_letter_queue(queue) for queue in names),
    ]


def judge_queues(depths: Depths, former: Sequence[str] = (), ages: Ages = _NO_AGES) -> Finding:
    """Return whether all queues exist, and those that daemons consume have consumers.

    Those of notifications need one once orderd-notify has made them, with dead letter queues. Dead
    letters and retry queues of *former* versions are reported, but are not a fault of the system:
    an operator has to deal with them.
    """
    missing = [name for name, depth in depths.items() if depth is None]
    notices = [queue for queue in NoticeQueue if dead_letter_queue(queue) in depths]
    idle = [queue for queue in (*Queue, *notices) if not _depth(depths, queue).consumers]
    ready = sum(_depth(depths, queue).ready for queue in Queue)
    told = sum(_depth(depths, queue).ready for queue in NoticeQueue)
    dead = sum(_depth(depths, dead_letter_queue(queue)).ready for queue in QUEUES)
    waiting = sum(depth.ready for depth in depths.values() if depth) - ready - told - dead
    letters = counted(dead, "dead letter")
    commands = counted(ready, "command")
    if any(queue in depths for queue in NoticeQueue):
        commands = f"{commands} and {counted(told, 'notification')}"
    said = [f"{commands} ready, {waiting} waiting for a retry, {letters}"]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        said.append(f"missing: {missing[0]}{more}")
    elif idle:
        said.append(f"no consumers on: {', '.join(idle)}")
    if former:
        more = f" and {len(former) - 1} more" if former[1:] else ""
        said.append(
            f"declared by an earlier version, may lose retries: {former[0]}{more} "
            "(orderctl topology apply)"
        )
    facts = {
        "former": list(former),
        "queues": [_row(name, depth, ages.get(name)) for name, depth in depths.items()],
    }
    return Finding("queues", not missing and not idle, "; ".join(said), facts)


def _depth(depths: Depths, queue: str) -> QueueDepth:
    return depths.get(queue) or _NO_QUEUE


def _row(name: str, depth: QueueDepth | None, age_s: float | None) -> dict[str, Any]:
    ready, consumers = (None, None) if depth is None else (depth.ready, depth.consumers)
    oldest_s = None if age_s is None else Decimal(f"{age_s:.1f}")
    return {"queue": str(name), "ready": ready, "consumers": consumers, "oldest_s": oldest_s}


def _bound(ages: dict[str, float | None], daemon: Finding) -> None:
    """Note what an answer shows: all that waited in its queue before the question was taken."""
    queue = daemon.facts.get("queue")
    if queue is not None and ages.get(queue) is None:
        ages[queue] = float(daemon.facts["round_trip_ms"]) / 1000


def _bound_by_asking(
    ages: dict[str, float | None],
    client: Client,
    depths: Depths,
    token: str | None,
    timeout_s: float,
) -> None:
    """Ask through the other consumed queues of which no age is known, up to one without answer."""
    with suppress(Failure):
        for queue in Queue:
            depth = depths[queue]
            if depth and depth.consumers and ages.get(queue) is None:
                started_s = time.monotonic()
                client.ask(Request(queue, "health_check", token=token), timeout_s)
                ages[queue] = time.monotonic() - started_s


def _not_asked(client: Client, taken: Iterable[str]) -> Finding:
    """Return what a user who only reads can know: that the queues are consumed."""
    user = client.connection.user
    summary = f"consumes {', '.join(taken)}; not asked: user {user} may not publish"
    return Finding("daemon", is_well=True, summary=summary)


def _ask_daemon(client: Client, depths: Depths, token: str | None, timeout_s: float) -> Finding:
    """Ask through the queue in which the question waits least."""
    taken = {
        queue: depth.ready for queue in Queue if (depth := depths[queue]) and depth.consumers > 0
    }
    if not taken:
        return Finding("daemon", is_well=False, summary="no daemon is connected to the broker")
    queue = min(taken, key=lambda queue: taken[queue])
    request = Request(queue, "health_check", token=token)
    started_s = time.monotonic()
    try:
        answer = client.ask(request, timeout_s)
    except NoAnswer:
        waits = "it is waiting for the database or processing earlier messages"
        summary = f"no answer in {timeout_s:g} s: {waits}"
        return Finding("daemon", is_well=False, summary=summary)
    except Failure as failure:
        if getattr(failure.__cause__, "code", None) == ACCESS_REFUSED:
            return _not_asked(client, taken)
        return Finding("daemon", is_well=False, summary=str(failure))
    elapsed_ms = (time.monotonic() - started_s) * 1000
    facts = {"version": answer["version"], "round_trip_ms": Decimal(f"{elapsed_ms:.1f}")}
    facts |= {"queue": str(queue)}
    return Finding(
        "daemon",
        is_well=answer["status"] == "ok" and answer["database"] == "ok",
        summary=f"orderd {answer['version']} answered in {elapsed_ms:.1f} ms",
        facts=facts | {"database": answer["database"]},
    )
