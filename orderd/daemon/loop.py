"""The main loop: take what has arrived, commit it, settle it; pause while a server is away."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from orderd.amqp.faults import BrokerFault, DeliveriesLost, TopologyMismatch
from orderd.amqp.message import Delivery
from orderd.config.settings import Settings
from orderd.daemon.app import App
from orderd.daemon.arrivals import Arrivals
from orderd.daemon.authorization_record import AuthorizationRecord
from orderd.daemon.keepalive import KeepAlive, StopNow
from orderd.daemon.lifecycle import State
from orderd.daemon.reload import reload
from orderd.db.faults import DatabaseOutage, SchemaFault, TablesChanged, TransactionConflict
from orderd.db.migrations import check_schema
from orderd.pipeline.commit import BatchContext, Withheld
from orderd.pipeline.quarantine import Rejected
from orderd.pipeline.results import Result
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import Queue
from orderd.runtime.backoff import Backoff
from orderd.runtime.config_errors import ConfigError
from orderd.runtime.crash_points import reach

# A signal that comes while the broker is waited for is seen this late.
TICK_S: Final = 0.25
# One batch's confirms come in while the next one is in its transaction.
ON_THE_WAY_MAX: Final = 1
SWEEPS_PER_GRACE: Final = 5


class Daemon:
    """Owns all connections and does everything, in one thread; every wait in it is bounded."""

    def __init__(self, app: App, load: Callable[[Settings], Settings]) -> None:
        """Run with *app*, nothing of which is connected yet.

        *load* reads the settings anew, given those in force.
        """
        self._app = app
        self._load = load
        self._state = State(app)
        self._protection = AuthorizationRecord(app.database)
        self._backoff = Backoff()
        self._next_sweep_s = 0.0
        self._is_reload_due = False
        self._is_doubtful = False
        self._keepalive = KeepAlive(app, self._state)
        self._arrivals = Arrivals(app.consumer, lambda: app.settings.retry_delays)
        self._unsettled: dict[int, Delivery] = {}
        self._context = BatchContext(self._arriving, self._keepalive.take, self._assert_ours)

    def run(self) -> ExitCode:
        """Work until a signal asks to stop, or until something only an operator can mend."""
        try:
            while not self._app.signals.stop_requested:
                self._turn_or_pause()
            self._drain()
        except StopNow:
            self._state.gave_up()
        except (SchemaFault, TopologyMismatch, ConfigError) as fault:
            return self._state.failed(fault, ExitCode.CONFIG)
        except (BrokerFault, DatabaseOutage) as fault:
            return self._state.failed(fault, ExitCode.UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - the last line: said, not swallowed
            return self._state.failed(error, ExitCode.FAILED)
        finally:
            self._end()
        self._state.stopped()
        return ExitCode.DONE

    def _end(self) -> None:
        """Close everything."""
        self._keepalive.end()
        self._forgive()
        self._let_go()
        self._app.close()

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
            # Only the loop's own records get here, never a batch: the next tick tries again.
            self._state.housekeeping_delayed(fault)
        except SchemaFault as fault:
            # What has worked was changed by somebody, who may change it back.
            is_mendable = is_connected or isinstance(fault, TablesChanged)
            if not (is_mendable and app.committer.has_committed):
                raise
            self._is_doubtful = True
            app.database.close()
            self._pause("database", fault)
        except DatabaseOutage as fault:
            # A full disk lets everybody connect: that it is over is told by work that is done.
            self._is_doubtful = is_connected
            app.database.close()
            self._pause("database", fault)
        except BrokerFault as fault:
            self._lose_broker(was_connected=is_connected)
            self._pause("broker", fault)

    def _lose_broker(self, *, was_connected: bool) -> None:
        """Give up what is lost of the broker, and nothing else."""
        app = self._app
        # What can be done without is not to take away the connection that is needed.
        app.direct_replies.close()
        if was_connected:
            self._backoff.note_lost(has_settled=app.consumer.has_settled)
        if app.consumer.is_ready and not app.publisher.is_ready:
            try:
                app.settler.publisher_lost()
            except BrokerFault:
                self._let_go()
            else:
                app.publisher.close()
        else:
            self._let_go()

    def _connect(self) -> None:
        """Connect what is not connected, and take what others have left.

        The database first, for nothing can be done without.
        """
        app = self._app
        if not app.database.is_connected:
            app.database.connect()
            missing = check_schema(app.database)
            self._state.database_connected(missing)
        self._protection.remember(app.settings)
        if not app.is_broker_connected:
            app.connect_broker(self._keepalive.take, self._keepalive.keep_alive)
            self._state.broker_connected()
            self._next_sweep_s = 0.0
        else:
            if not app.publisher.blocked:
                app.consumer.look_around()
            self._state.note_consumers()
        app.quarantine.withdraw()
        if not self._is_doubtful:
            self._resume()

    def _resume(self) -> None:
        self._is_doubtful = False
        self._backoff.reset()
        self._state.running()

    def _turn(self) -> None:
        """Handle one batch of what is there, or wait for the next delivery."""
        app = self._app
        app.consumer.fill(app.settings.batch_max)
        self._renew()
        if not app.consumer.inbox:
            app.settler.finish(self._keepalive.take)
            app.quarantine.forget_settled()
            app.deferrals.forget_ended()
            # An ack reads too, so something may have come by now.
            if not app.consumer.inbox:
                app.consumer.poll(self._idle_wait_s())
            app.consumer.fill(app.settings.batch_max)
        if app.publisher.blocked:
            # What is in hand is held, and nothing begun, until it can be settled.
            app.settler.ack_in_alarm()
            app.consumer.poll(TICK_S)
        elif app.consumer.inbox:
            self._process_batch()
        app.settler.retry_held()
        app.sweeper.delete_confirmed(app.settings.outbox_grace)
        app.sweeper.mark()
        if not app.publisher.blocked and time.monotonic() >= self._next_sweep_s:
            self._sweep_outbox()
        app.publisher.pump()
        app.direct_replies.turn()
        self._keepalive.take()
        self._reload_if_asked()

    def _idle_wait_s(self) -> float:
        """Return how long the loop may wait for the next delivery."""
        wait_s = self._app.direct_replies.wait_s(TICK_S)
        return self._app.sweeper.wait_s(wait_s, self._app.settings.outbox_grace)

    def _renew(self) -> None:
        """Renew what the broker might soon drop; it keeps its place, though it goes to the end."""
        app = self._app
        if app.consumer.worn and not app.publisher.blocked:
            places = app.committer.keep_places(app.consumer.worn)
            app.settler.renew(self._keepalive.take, places)

    def _process_batch(self) -> None:
        app = self._app
        inbox = app.consumer.inbox
        batch = [inbox.popleft() for _ in range(min(len(inbox), app.settings.batch_max))]
        self._unsettled = unsettled = {delivery.tag: delivery for delivery in batch}
        started_s = committed_s = time.monotonic()
        commands = 0
        try:
            for group in app.quarantine.groups(batch, app.settings.poison_after):
                self._keepalive.take()
                for results in self._results_of(group):
                    committed_s = time.monotonic()
                    commands += sum(result.command is not None for result in results)
                    app.settler.begin(results)
                    for result in results:
                        del unsettled[result.delivery.tag]
                    app.status.stats.count(results)
                    app.settler.finish(self._keepalive.take, leave=ON_THE_WAY_MAX)
        except (Withheld, DeliveriesLost):
            self._put_back(unsettled.values())
        except (BrokerFault, DatabaseOutage, TransactionConflict, SchemaFault):
            # Tried again as soon as the server is back, those that are still ours.
            self._put_back(unsettled.values())
            raise
        if commands:
            self._state.batch_committed(commands, committed_s - started_s)

    def _put_back(self, deliveries: Collection[Delivery]) -> None:
        consumer = self._app.consumer
        ours = [delivery for delivery in deliveries if consumer.holds(delivery)]
        consumer.inbox.extendleft(reversed(ours))

    def _results_of(self, group: list[Delivery] | Rejected) -> Iterable[list[Result]]:
        if isinstance(group, Rejected):
            return [group.results]
        return self._app.committer.process(group, self._context)

    def _sweep_outbox(self) -> None:
        """Publish what a crash, of this daemon or another, left behind."""
        app = self._app
        # What is on its way from here must not be taken for left behind.
        app.settler.finish(self._keepalive.take)
        grace_s = app.settings.outbox_grace
        self._state.outbox_recovered(app.sweeper.sweep(grace_s, self._keepalive.take))
        app.quarantine.forget_settled()
        app.deferrals.forget_ended()
        self._next_sweep_s = time.monotonic() + max(TICK_S, grace_s / SWEEPS_PER_GRACE)

    def _pause(self, dependency: str, fault: Exception) -> None:
        """Wait before the next attempt, in slices that keep connections and watchdog alive."""
        app = self._app
        self._state.paused(dependency, fault)
        if not app.settings.wait_for_servers and not self._state.has_been_running:
            raise fault
        until_s = time.monotonic() + self._backoff.next()
        while not app.signals.stop_requested and time.monotonic() < until_s:
            try:
                self._wait_a_slice(until_s)
            except BrokerFault as loss:
                self._lose_broker(was_connected=False)
                self._state.paused("broker", loss)

    def _wait_a_slice(self, until_s: float) -> None:
        app = self._app
        self._keepalive.take()
        self._state.remind()
        self._reload_if_asked()
        if not app.consumer.is_ready:
            app.signals.wait(min(TICK_S, max(0.0, until_s - time.monotonic())))
        elif self._state.paused_for_s > app.settings.give_back_after and not self._is_doubtful:
            # Others may be able to do what this daemon cannot.
            self._state.gave_back(len(app.consumer.inbox))
            self._let_go()
        else:
            app.consumer.poll(TICK_S)
            if app.publisher.is_ready:
                app.settler.renew(self._keepalive.take, {})
                # What is committed needs no database to be settled.
                app.settler.finish(self._keepalive.take)
                app.settler.retry_held()

    def _reload_if_asked(self) -> None:
        app = self._app
        is_due = self._is_reload_due and app.is_broker_connected
        if app.signals.take_reload() or is_due:
            # Where the broker is lost in it, it is done again.
            self._is_reload_due = True
            self._is_reload_due = not reload(app, self._load)
            self._record_authorization()

    def _record_authorization(self) -> None:
        """Put on record at once what a reload brought; without the database, once it is back."""
        if self._app.database.is_connected:
            with suppress(DatabaseOutage, SchemaFault):
                self._protection.remember(self._app.settings)

    def _drain(self) -> None:
        """Finish what is in hand and give back the rest, within the configured time."""
        app = self._app
        timeout_s = app.settings.shutdown_timeout
        self._state.draining(timeout_s)
        reach("drain_started")
        if not app.is_broker_connected:
            return
        try:
            self._keepalive.take()
            app.consumer.cancel()
            while app.consumer.inbox and app.database.is_connected and not app.publisher.blocked:
                self._process_batch()
                self._keepalive.take()
            app.settler.finish(self._keepalive.take)
            app.direct_replies.finish(self._keepalive.take)
            inbox, worn = app.consumer.inbox, app.consumer.worn
            if left := len(inbox) + len(worn) + app.settler.held:
                self._state.gave_back(left)
            app.sweeper.delete_confirmed(0.0)
            app.quarantine.forget_settled()
            app.deferrals.forget_ended()
        except (DatabaseOutage, TransactionConflict, BrokerFault) as fault:
            self._state.drain_cut_short(fault)

    def _let_go(self) -> None:
        """Leave to the broker what is in hand; that was no crash, and is not to count as one."""
        with suppress(DatabaseOutage, TransactionConflict, SchemaFault):
            self._app.quarantine.withdraw()
        self._app.settler.ack_at_last()
        self._app.disconnect_broker()

    def _forgive(self) -> None:
        """Keep a stop from counting as a crash, where the database cannot be told so."""
        app = self._app
        try:
            app.quarantine.withdraw()
        except (DatabaseOutage, TransactionConflict, SchemaFault):
            if app.publisher.is_ready:
                with suppress(BrokerFault):
                    app.settler.forgive(app.quarantine.take_in_hand(), self._keepalive.take)

    def _assert_ours(self) -> None:
        """Look, before COMMIT, whether the deliveries in hand are ours and can be settled."""
        app = self._app
        app.consumer.assert_held(self._unsettled.values())
        app.publisher.pump()
        if app.publisher.blocked:
            raise Withheld

    def _arriving(self, tried: Sequence[Delivery]) -> frozenset[Queue]:
        """Return the queues that may still bring what an order among *tried* refers to."""
        app = self._app
        tags = {delivery.tag for delivery in tried}

        def in_hand() -> Iterator[Delivery]:
            yield from (one for tag, one in self._unsettled.items() if tag not in tags)
            yield from chain(app.consumer.inbox, app.consumer.worn, app.settler.retried)

        return self._arrivals.queues(in_hand)
