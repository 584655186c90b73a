"""Letting go of work: the drain after a stop signal, and what comes before every close."""

from contextlib import suppress

from orderd.amqp.faults import BrokerFault
from orderd.daemon.app import App
from orderd.db.faults import DatabaseOutage, SchemaFault, TransactionConflict
from orderd.runtime.crash_points import reach


def drain(app: App) -> None:
    """Finish the current batches and return the rest, within the configured time."""
    app.announcer.draining(app.signals.stop_signal, app.settings.shutdown_timeout)
    reach("drain_started")
    if not app.is_broker_connected:
        return
    inbox = app.consumer.inbox
    try:
        app.keepalive()
        app.consumer.cancel()
        while inbox and app.database.is_connected and not app.publisher.blocked:
            app.pipeline.run_batch(app.settings.batch_max)
            app.overlap.raise_fault()
            app.keepalive()
        app.settler.finish()
        app.direct_replies.finish(app.keepalive)
        if left := len(inbox) + len(inbox.worn) + app.settler.held:
            app.announcer.gave_back(left)
        app.work.end()
        app.forget_ended()
    except (DatabaseOutage, TransactionConflict, BrokerFault) as fault:
        app.announcer.drain_cut_short(fault)


def let_go(app: App) -> None:
    """Leave the unacked messages to the broker; this is no crash and must not count as one."""
    with suppress(DatabaseOutage, TransactionConflict, SchemaFault):
        app.quarantine.withdraw()
    app.settler.ack_at_last()
    app.disconnect_broker()


def end(app: App) -> None:
    """Close everything; never raises."""
    app.keepalive.close()
    _forgive(app)
    if app.database.is_connected:
        with suppress(DatabaseOutage, TransactionConflict, SchemaFault):
            app.fleet_entry.end()
    let_go(app)
    app.close()


def _forgive(app: App) -> None:
    """Keep a stop from counting as a crash where the database cannot be told so."""
    try:
        app.quarantine.withdraw()
    except (DatabaseOutage, TransactionConflict, SchemaFault):
        if app.publisher.is_ready:
            deliveries = app.settler.without_unconfirmed(app.quarantine.take_in_hand())
            with suppress(BrokerFault):
                app.replacement.forgive(deliveries)
