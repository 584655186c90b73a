"""A channel for questions that the broker may answer by closing it."""

from typing import Any

from orderd.amqp.connection import Channel, Connection


class ScratchChannel:
    """A channel that is reopened whenever the broker has closed it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: Channel | None = None

    def call(self, method: str, **arguments: Any) -> Any:
        """Do as `Channel.call`."""
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.open_channel()
        return self._channel.call(method, **arguments)

    def forget(self) -> None:
        """Use the channel no more: its connection is gone, perhaps without a word of that."""
        self._channel = None

    def close(self) -> None:
        """Close the channel, if there is one and it is open."""
        if self._channel is not None:
            self._channel.close()
