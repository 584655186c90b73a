"""What is wrong with settings, from pydantic's errors: key, reason, source, never a secret."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orderd.config.jwt import JwtSettings
from orderd.config.layers import merged_origins, merged_values
from orderd.config.notify import MODELS, NotifySettings, channel_keys
from orderd.config.settings import SECRET, Settings, has_mark
from orderd.config.sources import KeyPath, Layer
from orderd.config.tokens import Token
from orderd.logs.redaction import redact
from orderd.runtime.config_errors import Problem

_VALUE_CHARS_MAX: Final = 200
_CHANNELS: Final = ("notify", "channel")
# Values that may be shown although they stand in a table with secrets.
_TEMPLATES: Final = ("notify", "templates")
_URL: Final = "url"

Location = Sequence[int | str]


def problems_of(error: ValidationError, layers: Sequence[Layer]) -> list[Problem]:
    """Return each wrong value with its source in the *layers*."""
    origins, values = merged_origins(layers), merged_values(layers)
    found = []
    for details in _proper(error):
        path = tuple(str(step) for step in details["loc"])
        ends = range(len(path), 0, -1)
        origin = next((origins[path[:end]] for end in ends if path[:end] in origins), "")
        found.append(_problem(details, origin, values))
    return found


def _proper(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors, without those that a list is too short for want of its wrong items."""
    every = error.errors(include_url=False)
    parents = {details["loc"][:end] for details in every for end in range(len(details["loc"]))}
    return [one for one in every if one["type"] != "too_short" or one["loc"] not in parents]


def _problem(details: ErrorDetails, origin: str, values: Mapping[str, Any]) -> Problem:
    location = details["loc"]
    key = _key(_named(location, values))
    if details["type"] == "extra_forbidden":
        # What stands under an unknown name may well be a misspelt password.
        return Problem(key, f"unknown setting{_hint(location)}", origin)
    reason = details["msg"].removeprefix("Value error, ")
    # What is missing has the table around it as its value, with all that is secret.
    is_hidden = isinstance(details["input"], Mapping) or not _is_open(location)
    return Problem(key, reason, origin, None if is_hidden else _shown(details["input"]))


def _named(location: Location, values: Mapping[str, Any]) -> Location:
    """Return the location with the name of a channel, where it has one, in place of its number."""
    if tuple(location[:2]) != _CHANNELS or len(location) < len(_CHANNELS) + 1:
        return location
    # Behind the number stands the kind, which is no step of the path.
    channels, position, rest = values[_CHANNELS[0]][_CHANNELS[1]], location[2], location[4:]
    given = channels[position] if isinstance(position, int) else {}
    names = (given.get(key) for key in ("name", "kind"))
    name = next((each for each in names if isinstance(each, str) and each), position)
    is_wrong_itself = tuple(rest) == ("name",)
    return (*_CHANNELS, position if is_wrong_itself else name, *rest)


def _key(location: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)[1:]


def _is_open(location: Location) -> bool:
    """Return whether the value at the location may be shown."""
    if tuple(location[:2]) == _CHANNELS:
        return len(location) > len(_CHANNELS) + 2 and location[4] != _URL
    return location == _TEMPLATES or not has_mark(str(location[0]), SECRET)


def _hint(location: Location) -> str:
    path: KeyPath = tuple(map(str, location))
    if len(path) > 1 and path[-1] in Settings.model_fields:
        # A line that was appended to the file.
        return f"; {path[-1]} has to stand before the first [table] of its file"
    # Loaded only for the sake of an error.
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(path[-1].replace("-", "_"), _names(path), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _names(path: KeyPath) -> Collection[str]:
    """Return the names that may stand where the last one of *path* stands."""
    if len(path) == 1:
        return tuple(Settings.model_fields)
    if path[:2] == _CHANNELS and len(path) > len(_CHANNELS) + 1:
        return channel_keys(MODELS[path[3]])
    if path[0] == "jwt":
        return tuple(JwtSettings.model_fields)
    return tuple((NotifySettings if path[0] == _CHANNELS[0] else Token).model_fields)


def _shown(value: object) -> str:
    text = redact(repr(value))
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"
