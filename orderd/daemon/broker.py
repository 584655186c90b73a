"""Where a daemon finds RabbitMQ."""

import os
from typing import Final

from orderd import __version__
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.config.broker_tls import broker_tls
from orderd.config.settings import Settings

# An alarm of the broker may last; the loop waits for its end in slices and holds what it has.
BLOCKED_TIMEOUT_S: Final = 86_400


def broker_endpoint(settings: Settings, program: str) -> BrokerEndpoint:
    """Return where RabbitMQ is, and the name this process of *program* has on its connections.

    Raises ConfigError where the settings of TLS cannot work, ValueError for a URL that cannot.
    """
    return BrokerEndpoint(
        urls=tuple(url.get_secret_value() for url in settings.rabbitmq_url),
        connection_name=f"{program} {__version__} {settings.instance_name} {os.getpid()}",
        tls=broker_tls(settings),
        heartbeat_s=int(settings.heartbeat),
        blocked_timeout_s=BLOCKED_TIMEOUT_S,
    )
