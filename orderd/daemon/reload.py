"""SIGHUP: the configuration is read again, and what can change at run time does."""

from collections.abc import Callable
from typing import Final

from orderd.amqp.faults import BrokerFault, TopologyMismatch
from orderd.config.authorization import AUTHORIZATION, NONE, described, ignored
from orderd.config.broker_tls import unencrypted_brokers
from orderd.config.load import ConfigError
from orderd.config.notify_checks import doubts
from orderd.config.reference import shown
from orderd.config.reload import Reload, reload_settings
from orderd.config.settings import SECRET, Settings, has_mark
from orderd.daemon.app import App, policy_of
from orderd.db.options import unchecked_hosts
from orderd.logs import journal
from orderd.logs.logger import LogEvent, configure, emit

_STEPS: Final = "retry_delays"


def reload(app: App, load: Callable[[Settings], Settings]) -> bool:
    """Take over what *load* brings; a configuration that is wrong changes nothing.

    Return False where new retry steps wait for the broker: reload again when it is back.
    """
    with app.status.reloading():
        try:
            fresh = load(app.settings)
            app.work.examine(fresh)
        except ConfigError as error:
            emit(LogEvent.CONFIG_REJECTED, f"reload rejected, the previous settings stay: {error}")
            app.status.reloaded(str(error))
            return True
        app.status.reloaded()
        outcome = reload_settings(app.settings, fresh)
        try:
            _declare_steps(app, outcome)
        except TopologyMismatch as fault:
            emit(LogEvent.CONFIG_REJECTED, f"the previous {_STEPS} stay: {fault}")
            app.status.reloaded(f"the previous {_STEPS} stay: {fault}")
            _take_over(app, outcome.without(app.settings, _STEPS))
        except BrokerFault:
            waiting = f"{_STEPS} takes effect when the broker is back"
            _take_over(app, outcome.without(app.settings, _STEPS), waiting)
            return False
        else:
            _take_over(app, outcome)
        return True


def doubt(settings: Settings) -> None:
    """Log settings that are allowed but not recommended."""
    if unused := ignored(settings):
        emit(LogEvent.CONFIG_WARNING, f"authorization is {described(settings)}; ignored: {unused}")
    if settings.prefetch_count < 2 * settings.batch_max:
        emit(
            LogEvent.CONFIG_WARNING,
            f"prefetch {settings.prefetch_count} is less than twice batch_max "
            f"{settings.batch_max}: batches will not reach batch_max",
        )
    dsn = settings.database_url.get_secret_value()
    in_clear = (*unencrypted_brokers(settings), *unchecked_hosts(dsn))
    for doubtful in (*doubts(settings.notify), *in_clear):
        emit(LogEvent.CONFIG_WARNING, doubtful)
    if settings.log_format == "journal" and (fault := journal.fault()):
        emit(LogEvent.CONFIG_WARNING, f"lines go to stderr as JSON: no journal at {fault}")


def _declare_steps(app: App, outcome: Reload) -> None:
    """Declare the queues of new retry steps, before any message could be sent to one."""
    if _STEPS in outcome.changed:
        app.consumer.declaration.everything(outcome.settings.retry_delays)


def _take_over(app: App, outcome: Reload, *remarks: str) -> None:
    before, settings = app.settings, outcome.settings
    app.settings = settings
    configure(settings.log_level, settings.log_format, settings.log_priority_prefix)
    app.status.expect_watchdog(settings.watchdog)
    app.policy.replace(policy_of(settings))
    others = app.work.take_over(settings)
    changes = [
        f"{key}: {_change(before, settings, key)}"
        for key in outcome.changed
        if key != AUTHORIZATION
    ]
    changes += _authorization_change(before, settings)
    needs_restart = [f"{key} needs a restart" for key in outcome.needs_restart]
    told = "; ".join([*changes, *others, *needs_restart, *remarks])
    emit(LogEvent.CONFIG_RELOADED, told or "no setting has changed")
    if outcome.changed:
        doubt(settings)
    # Last, because it talks to the broker; a lost connection is handled by the loop.
    app.consumer.change_prefetch(settings.prefetch_count)


def _authorization_change(before: Settings, after: Settings) -> list[str]:
    if before.authorization_mode == after.authorization_mode:
        return []
    if after.authorization_mode == NONE:
        emit(
            LogEvent.CONFIG_WARNING,
            "the configuration file turns authorization off: every command is allowed",
        )
    return [f"{AUTHORIZATION}: {described(before)} → {described(after)}"]


def _change(before: Settings, after: Settings, key: str) -> str:
    if has_mark(key, SECRET):
        return "changed"
    return f"{shown(getattr(before, key))} → {shown(getattr(after, key))}"
