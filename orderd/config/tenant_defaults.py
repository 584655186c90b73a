"""Settings in which `orderd-notify` differs from `orderd`, though both read the same files."""

import os
from collections.abc import Mapping
from typing import Any, Final

from orderd.config.settings import Settings
from orderd.config.sources import Layer
from orderd.protocol.tenants import NOTIFY, Tenant
from orderd.runtime.health_file import path_to_write
from orderd.runtime.paths import NOTIFY_RUNTIME_DIRECTORY

# A notification takes as long as a mail server takes to accept it.
NOTIFY_BATCH_MAX: Final = 10


def of_tenant(tenant: Tenant, environ: Mapping[str, str]) -> Layer:
    """Return the defaults of *tenant* that are not those of `Settings`."""
    layer = Layer()
    if tenant == NOTIFY:
        values: dict[str, Any] = {
            "batch_max": NOTIFY_BATCH_MAX,
            # On the same host orderd has the host's name, and metrics are told apart by it.
            "instance_name": f"{os.uname().nodename[:57]}-notify",
            "health_file": path_to_write(environ, NOTIFY_RUNTIME_DIRECTORY),
        }
        for name, value in values.items():
            layer.put((name,), value, f"default of {tenant.program}")
    return layer


def bounded(settings: Settings, tenant: Tenant) -> Settings:
    """Return *settings* with no larger batches than suit *tenant*.

    What is delivered is finished before a pause or a reload is obeyed, mail by mail.
    """
    if tenant != NOTIFY:
        return settings
    batch_max = min(settings.batch_max, NOTIFY_BATCH_MAX)
    prefetch = min(settings.prefetch, 2 * batch_max)
    return settings.model_copy(update={"batch_max": batch_max, "prefetch": prefetch})
