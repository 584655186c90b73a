"""The main loop: batches while both servers are there, and waiting while one of them is away."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from orderd.amqp.faults import BrokerFault, TopologyMismatch
from orderd.config.settings import Settings
from orderd.daemon.app import App
from orderd.daemon.drain import drain, end, let_go
from orderd.daemon.keepalive import StopNow
from orderd.daemon.reload import reload
from orderd.db.faults import DatabaseOutage, SchemaFault, TablesChanged, TransactionConflict
from orderd.db.migrations import check_schema
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime.backoff import Backoff
from orderd.runtime.config_errors import ConfigError

# A signal that comes while the broker is awaited is seen this late.
TICK_S: Final = 0.25


class Daemon:
    """Runs *app* in one thread; every wait in it is bounded."""

    def __init__(self, app: App, load: Callable[[Settings], Settings]) -> None:
        """Run *app*, nothing of which is connected yet; *load* reads the settings again."""
        self._app = app
        self._load = load
        self._backoff = Backoff()
        self._is_reload_due = False
        # Connecting proves nothing then: only work that was done shows that a fault is over.
        self._is_doubtful = False

    def run(self) -> ExitCode:
        """Work until a signal asks to stop, or until something only an operator can mend."""
        app = self._app
        try:
            while not app.signals.stop_requested:
                self._turn_or_pause()
            drain(app)
        except StopNow:
            app.announcer.gave_up()
        except (SchemaFault, TopologyMismatch, ConfigError) as fault:
            return app.announcer.failed(fault, ExitCode.CONFIG)
        except (BrokerFault, DatabaseOutage) as fault:
            return app.announcer.failed(fault, ExitCode.UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - the last line: logged, not swallowed
            return app.announcer.failed(error, ExitCode.FAILED)
        finally:
            end(app)
        app.announcer.stopped()
        return ExitCode.DONE

    def _turn_or_pause(self) -> None:
        """Do one turn; an outage in it costs nothing but the time until it is over."""
        app = self._app
        is_connected = False
        try:
            self._connect()
            is_connected = True
            self._turn()
            self._resume()
        except TransactionConflict as fault:
            # Only of orderd's own records, never of a batch: the next turn tries again.
            app.announcer.housekeeping_delayed(fault)
        except SchemaFault as fault:
            # Somebody has changed what did work, and may change it back.
            is_mendable = is_connected or isinstance(fault, TablesChanged)
            if not (is_mendable and app.work.has_committed):
                raise
            self._is_doubtful = True
            app.database.close()
            self._pause("database", fault)
        except DatabaseOutage as fault:
            # A full disk still allows connections.
            self._is_doubtful = is_connected
            app.database.close()
            self._pause("database", fault)
        except BrokerFault as fault:
            self._lose_broker(was_connected=is_connected)
            self._pause("broker", fault)

    def _connect(self) -> None:
        """Connect what is not connected; the database first, for nothing works without it."""
        app = self._app
        if not app.database.is_connected:
            app.database.connect()
            missing = check_schema(app.database)
            app.announcer.database_connected(missing, app.database.switched_off)
        app.work.connected()
        if not app.is_broker_connected:
            # Nothing is to be taken from a queue that is paused.
            app.pauses.look()
            app.connect_broker()
            app.announcer.broker_connected(app.publisher.where, list(app.consumer.consumers))
        elif not app.publisher.blocked:
            app.consumer.look_around()
        app.watch_queues()
        app.quarantine.withdraw()
        if not self._is_doubtful:
            self._resume()

    def _turn(self) -> None:
        """Handle one batch of what has arrived, or wait for the next delivery."""
        app = self._app
        app.overlap.raise_fault()
        app.consumer.fill(app.settings.batch_max)
        self._renew_worn()
        if not app.consumer.inbox:
            self._idle()
        app.pauses.turn()
        app.fleet_entry.turn()
        if app.publisher.blocked:
            # Unacked messages are held, and no batch begins, until they can be settled.
            app.settler.ack_in_alarm()
            app.consumer.poll(TICK_S)
        elif app.consumer.inbox:
            app.pipeline.run_batch(app.settings.batch_max)
        app.settler.retry_held()
        app.work.turn()
        app.publisher.pump()
        app.direct_replies.turn()
        app.keepalive()
        self._reload_if_asked()

    def _idle(self) -> None:
        """Settle what is unconfirmed, then wait for the next delivery."""
        app = self._app
        app.settler.finish()
        app.consumer.assert_alive()
        app.forget_ended()
        # An ack reads too, so something may have arrived by now.
        if not app.consumer.inbox:
            wait_s = app.direct_replies.wait_s(TICK_S)
            app.consumer.poll(app.work.wait_s(wait_s))
        app.consumer.fill(app.settings.batch_max)

    def _renew_worn(self) -> None:
        """Replace what the broker might soon drop; a command keeps its place in line."""
        app = self._app
        if app.consumer.inbox.worn and not app.publisher.blocked:
            places = app.work.places(list(app.consumer.inbox.worn))
            app.replacement.renew(places)

    def _resume(self) -> None:
        self._is_doubtful = False
        self._backoff.reset()
        self._app.announcer.running()

    def _lose_broker(self, *, was_connected: bool) -> None:
        """Give up what is lost of the broker, and nothing else."""
        app = self._app
        app.overlap.forget_fault()
        # A connection that is dispensable must not take the place of one that is needed.
        app.direct_replies.close()
        if was_connected:
            self._backoff.note_lost(has_settled=app.consumer.has_settled)
        if app.consumer.is_ready and not app.publisher.is_ready:
            try:
                app.settler.publisher_lost()
            except BrokerFault:
                let_go(app)
            else:
                app.publisher.close()
        else:
            let_go(app)

    def _pause(self, dependency: str, fault: Exception) -> None:
        """Wait before the next attempt, in slices that keep connections and watchdog alive."""
        app = self._app
        app.announce_pause(dependency, fault)
        if not app.settings.wait_for_servers and not app.lifecycle.has_been_running:
            raise fault
        until_s = time.monotonic() + self._backoff.next()
        while not app.signals.stop_requested and time.monotonic() < until_s:
            try:
                self._wait_a_slice(until_s)
            except BrokerFault as loss:
                self._lose_broker(was_connected=False)
                app.announce_pause("broker", loss)

    def _wait_a_slice(self, until_s: float) -> None:
        app = self._app
        app.keepalive()
        app.announcer.remind()
        self._reload_if_asked()
        if app.database.is_connected and not self._is_doubtful:
            with suppress(DatabaseOutage, SchemaFault, TransactionConflict):
                app.fleet_entry.turn()
        if not app.consumer.is_ready:
            app.signals.wait(min(TICK_S, max(0.0, until_s - time.monotonic())))
        elif app.lifecycle.paused_s > app.settings.give_back_after and not self._is_doubtful:
            # Others may be able to do what this daemon cannot.
            app.announcer.gave_back(len(app.consumer.inbox))
            let_go(app)
        else:
            app.consumer.poll(TICK_S)
            if app.publisher.is_ready:
                app.replacement.renew({})
                # What is committed is settled without the database.
                app.settler.finish()
                app.settler.retry_held()

    def _reload_if_asked(self) -> None:
        app = self._app
        is_due = self._is_reload_due and app.is_broker_connected
        if app.signals.take_reload() or is_due:
            # If the broker is lost in it, it is done again.
            self._is_reload_due = True
            self._is_reload_due = not reload(app, self._load)
            if app.database.is_connected:
                # Without the database it is put on record when that is back.
                with suppress(DatabaseOutage, SchemaFault):
                    app.work.connected()
