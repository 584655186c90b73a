"""Settings made of layers, of which the first that gives a value counts, and their origins."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from orderd.config.sources import Layer, Origins


class LayeredSettings(BaseModel):
    """Immutable settings that know where each value came from."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        # Its validator is built with the settings'.
        defer_build=True,
    )

    _origins: Origins = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Origins:
        """Where each value that is no default came from."""
        return self._origins

    @classmethod
    def from_layers(cls, layers: Sequence[Layer]) -> Self:
        """Return the settings that the layers give, the first one counting most.

        Raises pydantic's ValidationError with every wrong value.
        """
        settings = cls.model_validate(merged_values(layers))
        settings._origins.update(merged_origins(layers))  # noqa: SLF001 (its own class)
        return settings

    def taking(self, fresh: Self, keys: Collection[str]) -> Self:
        """Return these settings with the values of the keys, and their origins, as in `fresh`."""
        settings = self.model_copy(update={key: getattr(fresh, key) for key in keys})
        kept = {path: origin for path, origin in self._origins.items() if path[0] not in keys}
        taken = {path: origin for path, origin in fresh._origins.items() if path[0] in keys}
        settings._origins = kept | taken  # noqa: SLF001 (its own class)
        return settings


def merged_values(layers: Sequence[Layer]) -> Mapping[str, Any]:
    """Return what the layers give as one table, the first one counting most."""
    values: Mapping[str, Any] = {}
    for layer in layers:
        values = _merged(layer.values, values)
    return values


def merged_origins(layers: Sequence[Layer]) -> Origins:
    """Return where each path stands, in the first of the layers that has it."""
    origins: Origins = {}
    for layer in reversed(layers):
        origins |= layer.origins
    return origins


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables as one: *above* counts, except that tables in both are merged."""
    return {
        **below,
        **{
            key: _merged(below[key], value)
            if isinstance(value, dict) and isinstance(below.get(key), dict)
            else value
            for key, value in above.items()
        },
    }
