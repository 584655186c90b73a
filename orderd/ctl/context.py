"""What a command works with besides its own arguments."""

import argparse
import os
from functools import cached_property
from typing import TYPE_CHECKING, Final

from orderd.ctl.exits import Misconfigured
from orderd.ctl.screen import Screen
from orderd.ops.faults import ConfigError

if TYPE_CHECKING:
    from orderd.ops.settings import Settings

TOKEN_VARIABLE: Final = "ORDERD_TOKEN"  # noqa: S105 (where it stands, not what it is)


class Context:
    """The screen to print to, and the settings, which are loaded when they are first asked for."""

    def __init__(self, options: argparse.Namespace, screen: Screen) -> None:
        self._options = options
        self.screen = screen

    @cached_property
    def settings(self) -> "Settings":
        """The settings, as the daemon would have them here; raises Misconfigured."""
        try:
            return self.load_settings()
        except ConfigError as error:
            problems = [f"configuration: {problem}" for problem in error.problems]
            raise Misconfigured("\n".join(problems)) from error

    def load_settings(self) -> "Settings":
        """Return the settings, or raise ConfigError with everything that is wrong with them."""
        # What needs no settings need not wait for pydantic.
        from orderd.ops.config import load  # noqa: PLC0415

        # The token is whose turn it is to ask, and no setting of any daemon.
        environ = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        return load(self._options.config, environ=environ)
