"""What a reload may change at run time."""

from orderd.config.settings import RELOADABLE, Settings, has_mark
from orderd.protocol.values import value


@value
class Reload:
    """The settings to go on with, and the keys that changed and that need a restart to change."""

    settings: Settings
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]

    def without(self, current: Settings, key: str) -> "Reload":
        """Return the same, but with *key* as it is in the *current* settings."""
        changed = tuple(other for other in self.changed if other != key)
        return Reload(self.settings.taking(current, {key}), changed, self.needs_restart)


def reload_settings(current: Settings, fresh: Settings) -> Reload:
    """Return the current settings with what may change at run time taken from the fresh ones."""
    differing = [
        key for key in Settings.model_fields if getattr(current, key) != getattr(fresh, key)
    ]
    changed = tuple(key for key in differing if has_mark(key, RELOADABLE))
    needs_restart = tuple(key for key in differing if not has_mark(key, RELOADABLE))
    return Reload(current.taking(fresh, changed), changed, needs_restart)
