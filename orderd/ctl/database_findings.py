"""Checks the database: connection, schema, locks, ledger and outbox."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orderd.ctl.database import database_of
from orderd.ctl.errors import Failure, Misconfigured
from orderd.ctl.findings import Finding, finding_of
from orderd.ctl.records import pause_text, read_pauses
from orderd.ctl.tables import counted
from orderd.db.connection import Database
from orderd.db.migrations import pending_migrations
from orderd.runtime.installation import migrate_command

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# The daemon normally sends events at once; an older event is probably stuck.
OUTBOX_AGE_MAX_S: Final = 60
# A short lock is nothing to act on.
LOCK_WAIT_MAX_S: Final = 60
# Of notifications, so long ago is of late.
NOTIFIED_S: Final = 86_400
# A waiting command may be retried this much later than it was due.
_LATE_S: Final = 60


class RefusedEvents(NamedTuple):
    """Counts of events that the broker refused, and of events set aside permanently."""

    events: int
    next_try_s: float
    set_aside: int
    because: str | None


class Told(NamedTuple):
    """Counts of notifications of late, what waits for digests, and why the last one failed."""

    sent: int
    failed: int
    waiting: int
    skipped: int
    collected: int
    because: str | None


def look_at_database(settings: "Settings") -> list[Finding]:
    """Return findings on database, schema, ledger and outbox; raises nothing."""
    findings: list[Finding] = []
    try:
        with database_of(settings) as database:
            # What was found before a failure stays.
            findings.extend(_look(database, settings))
    except Failure as failure:
        part = "schema" if isinstance(failure, Misconfigured) else "database"
        findings.append(finding_of(part, failure))
    return findings


def _look(database: Database, settings: "Settings") -> Iterator[Finding]:
    with database.transaction() as tx:
        name, version = tx.row("describe_server")
    switched_off = database.switched_off
    said = f", with {', '.join(switched_off)} off" if switched_off else ""
    summary = f"{name} on PostgreSQL {version}{said}"
    yield Finding("database", True, summary, facts={"switched_off": list(switched_off)})
    pending = [migration.name for migration in pending_migrations(database)]
    if pending:
        summary = f"lacks {', '.join(pending)}; run: {migrate_command()}"
        yield Finding("schema", is_well=False, summary=summary, facts={"pending": pending})
        return
    yield Finding("schema", is_well=True, summary="up to date", facts={"pending": pending})
    with database.transaction() as tx:
        requests, is_estimate = tx.row("measure_ledger")
        events, age_s = tx.row("count_outbox")
        refused = RefusedEvents(*tx.row("measure_refused_outbox"))
        (mode,) = tx.row("last_authorization")
        pauses = read_pauses(tx)
        waits = tx.row("measure_waits", seconds=_LATE_S + 2 * min(settings.retry_delays))
        told = tx.row("measure_notifications", seconds=NOTIFIED_S)
    yield _pauses(pauses)
    yield _authorization(mode, settings)
    yield _ledger(requests, is_estimate=is_estimate)
    yield _outbox(events, age_s, refused)
    yield _locks(*waits)
    yield notifications_finding(Told(*told))


def _pauses(pauses: Sequence[Mapping[str, Any]]) -> Finding:
    summary = "; ".join(map(pause_text, pauses)) or "no queue is paused"
    return Finding("pauses", not pauses, summary, {"queues_paused": pauses})


def _authorization(mode: str | None, settings: "Settings") -> Finding:
    """Return what the daemons have on record, beside what the settings here come to.

    Where orderctl does not have the daemon's settings, the two differ, and nothing is wrong.
    """
    # Loaded here, because the settings' models take longer than all the rest.
    from orderd.config.authorization import described  # noqa: PLC0415

    here = described(settings)
    if mode is None:
        summary = f"not recorded yet; according to the settings here: {here}"
    else:
        summary = f"{mode} since the last start or reload; according to the settings here: {here}"
    facts = {"mode": mode, "settings": settings.authorization_mode}
    return Finding("authorization", is_well=True, summary=summary, facts=facts)


def _ledger(requests: int, *, is_estimate: bool) -> Finding:
    about = "about " if is_estimate else ""
    facts = {"requests": requests, "is_estimate": is_estimate}
    return Finding(
        "ledger",
        is_well=True,
        summary=f"{about}{counted(requests, 'request')}",
        facts=facts,
    )


def _outbox(events: int, age_s: float, refused: RefusedEvents) -> Finding:
    said = [
        f"{counted(events, 'event')} to send"
        + (f", the oldest for {age_s:.1f} s" if events else "")
    ]
    if refused.events:
        said.append(f"{refused.events} refused, next try in {max(refused.next_try_s, 0):.0f} s")
    if refused.set_aside:
        said.append(f"{refused.set_aside} set aside, see: orderctl outbox list")
    if refused.because:
        said.append(f"last refused: {refused.because}")
    facts = {
        "events": events,
        "oldest_s": Decimal(f"{age_s:.1f}"),
        "refused": refused.events,
        "set_aside": refused.set_aside,
        "refused_because": refused.because,
    }
    is_well = age_s <= OUTBOX_AGE_MAX_S and not refused.set_aside
    return Finding("outbox", is_well, "; ".join(said), facts)


def _locks(commands: int, oldest_s: float, because: str | None) -> Finding:
    summary = "no command waits for a lock"
    if commands:
        verb = "waits" if commands == 1 else "wait"
        told = f"{counted(commands, 'command')} {verb}"
        summary = f"{told}, the first for {oldest_s:.0f} s: {because}"
    facts = {"commands": commands, "oldest_s": Decimal(f"{oldest_s:.1f}"), "because": because}
    return Finding("locks", oldest_s <= LOCK_WAIT_MAX_S, summary, facts)


def notifications_finding(told: Told) -> Finding:
    """Return what became of notifications; a failed one is for an operator, as a dead letter."""
    said = [f"in 24 h: {told.sent} sent, {told.failed} failed"]
    if told.waiting:
        said.append(f"{told.waiting} waiting for the next try")
    if told.collected:
        said.append(f"{told.collected} collected for digests")
    if told.because is not None:
        said.append(f"last failed: {told.because}, see: orderctl notify list --state failed")
    # Elsewhere there is no orderd-notify.
    is_used = any(told[:-1])
    facts = {**told._asdict(), "is_used": is_used}
    return Finding("notifications", is_well=True, summary="; ".join(said), facts=facts)
