"""SIGHUP: the configuration is read again, and what can change at run time does."""

from collections.abc import Callable

from orderd.batch.processor import Limits
from orderd.daemon.parts import Parts, grants_of
from orderd.ops.config import ConfigError
from orderd.ops.logs import Event, configure, emit
from orderd.ops.reference import shown
from orderd.ops.reload import reload_settings
from orderd.ops.settings import SECRET, Settings, has_mark


def reload(parts: Parts, load: Callable[[], Settings]) -> None:
    """Take over what *load* brings; a configuration that is wrong changes nothing."""
    parts.service.reloading()
    try:
        fresh = load()
    except ConfigError as error:
        emit(Event.CONFIG_REJECTED, f"the old settings stay: {error}")
    else:
        _take_over(parts, fresh)
    parts.service.ready()


def _take_over(parts: Parts, fresh: Settings) -> None:
    outcome = reload_settings(parts.settings, fresh)
    before, settings = parts.settings, outcome.settings
    parts.settings = settings
    configure(settings.log_level, settings.log_format, settings.log_priority_prefix)
    parts.processor.limits = Limits(settings.body_bytes_max, len(settings.retry_delays))
    parts.processor.grants = grants_of(settings)
    parts.processor.events_source = settings.events_source
    parts.settler.consequences.policy = parts.settle_policy()
    changes = [f"{key}: {_change(before, settings, key)}" for key in outcome.changed]
    needs_restart = [f"{key} needs a restart" for key in outcome.needs_restart]
    emit(Event.CONFIG_RELOADED, "; ".join(changes + needs_restart) or "nothing has changed")


def _change(before: Settings, after: Settings, key: str) -> str:
    if has_mark(key, SECRET):
        return "changed"
    return f"{shown(getattr(before, key))} → {shown(getattr(after, key))}"
