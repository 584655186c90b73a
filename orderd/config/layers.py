"""Settings made of layers, of which the first that gives a value counts, and their origins."""

from collections.abc import Collection, Sequence
from contextvars import ContextVar
from typing import Any, Self

from pydantic import PrivateAttr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from orderd.config.sources import Layer, Origins

# Set only while from_layers runs: pydantic-settings offers no other way to hand sources in.
_LAYERS: ContextVar[tuple[Layer, ...]] = ContextVar("layers", default=())


class LayeredSettings(BaseSettings):
    """Immutable settings that know where each value came from."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
        reset = _LAYERS.set(tuple(layers))
        try:
            settings = cls()
        finally:
            _LAYERS.reset(reset)
        settings._origins.update(merged_origins(layers))
        return settings

    def taking(self, fresh: Self, keys: Collection[str]) -> Self:
        """Return these settings with the values of the keys, and their origins, as in `fresh`."""
        settings = self.model_copy(update={key: getattr(fresh, key) for key in keys})
        kept = {path: origin for path, origin in self._origins.items() if path[0] not in keys}
        taken = {path: origin for path, origin in fresh._origins.items() if path[0] in keys}
        settings._origins = kept | taken  # noqa: SLF001 (its own class)
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (read by orderd, to name origins)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the layers that `from_layers` was given; pydantic-settings merges them in depth."""
        layers = (_LayerSource(settings_cls, layer) for layer in _LAYERS.get())
        return (init_settings, *layers)


def merged_origins(layers: Sequence[Layer]) -> Origins:
    """Return where each path stands, in the first of the layers that has it."""
    origins: Origins = {}
    for layer in reversed(layers):
        origins |= layer.origins
    return origins


class _LayerSource(PydanticBaseSettingsSource):
    """Hands one layer to pydantic-settings."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._values = layer.values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values
