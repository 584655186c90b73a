"""What a command works with besides its own arguments."""

import argparse
import os
from functools import cached_property
from typing import TYPE_CHECKING, Final

from orderd.ctl.errors import Misconfigured

if TYPE_CHECKING:
    from orderd.config.settings import Settings
    from orderd.ctl.console import Console
    from orderd.protocol.tenants import Tenant

TOKEN_VARIABLE: Final = "ORDERD_TOKEN"  # noqa: S105 (where it stands, not what it is)


class Context:
    """The console to print to, and the settings; each is loaded when it is first asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    @cached_property
    def console(self) -> "Console":
        """Where results and remarks go."""
        # A probe of a daemon's health need not wait for it.
        from orderd.ctl.console import Console  # noqa: PLC0415

        return Console(is_json=self._options.json)

    @cached_property
    def settings(self) -> "Settings":
        """The settings, as the daemon would have them here; raises Misconfigured.

        On an installed system, root is a daemon's user from here on.
        """
        from orderd.ctl import installed  # noqa: PLC0415
        from orderd.runtime.config_errors import ConfigError  # noqa: PLC0415

        try:
            settings = self.load_settings()
        except ConfigError as error:
            problems = [f"configuration: {problem}" for problem in error.problems]
            raise Misconfigured("\n".join(problems)) from error
        installed.require_credentials(self._options.command, settings)
        settings = installed.with_files_held(self._acting, settings)
        installed.become_user(self._acting)
        return settings

    @property
    def tenant(self) -> "Tenant":
        """The daemon whose settings they are."""
        from orderd.protocol.tenants import ORDERD, TENANTS  # noqa: PLC0415

        program = getattr(self._options, "program", ORDERD.program)
        return next(each for each in TENANTS if each.program == program)

    @property
    def _acting(self) -> str:
        """The command whose account is used: settings of orderd-notify are its own."""
        from orderd.protocol.tenants import NOTIFY  # noqa: PLC0415

        return "notify" if self.tenant == NOTIFY else str(self._options.command)

    def load_settings(self) -> "Settings":
        """Return the settings, or raise ConfigError with everything that is wrong with them."""
        # What needs no settings need not wait for pydantic.
        from pathlib import Path  # noqa: PLC0415

        from orderd.config.load import load  # noqa: PLC0415
        from orderd.ctl import installed  # noqa: PLC0415

        file = self._options.config
        # The token is whose turn it is to ask, and no setting of any daemon.
        environ = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        environ = installed.environment(self._acting, environ)
        return load(
            None if file is None else Path(file),
            environ=environ,
            default_file=installed.default_file(self._options.command),
            tenant=self.tenant,
        )
