"""The setting of opaque tokens: who may send what."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orderd.config.types import Checksum, Listed, Lowered

_Permission = Annotated[
    str, Field(pattern=r"^(\*|(product|order|user)\.(\*|[a-z_]{1,64}))$", max_length=80)
]


class Token(BaseModel):
    """Who may send what: the SHA-256 of a bearer token and the commands that it allows."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    sha256: Annotated[str, Lowered, Checksum, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    allow: Annotated[tuple[_Permission, ...], Listed, Field(min_length=1, max_length=100)]
