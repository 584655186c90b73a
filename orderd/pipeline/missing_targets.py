"""Declares exchanges and queues again that were deleted."""

import time
from collections.abc import Iterable
from typing import Final

from orderd.amqp.consumer import Consumer
from orderd.amqp.faults import ChannelFault, TopologyMismatch
from orderd.amqp.publish_confirms import LOST, NACKED, UNANSWERED
from orderd.pipeline.report import Reporter

_DECLARE_EVERY_S: Final = 1.0


class MissingTargets:
    """Declares the topology again after messages were refused for want of their target."""

    def __init__(self, consumer: Consumer, reporter: Reporter) -> None:
        """Declare by *consumer*; tell *reporter* of what cannot be used as it is."""
        self._consumer = consumer
        self._reporter = reporter
        self._is_missing = False
        self._declare_at_s = 0.0

    def note(self, reasons: Iterable[str]) -> None:
        """Look at the *reasons* for which messages were refused: their target may be missing."""
        if any(why not in (NACKED, UNANSWERED, LOST) for why in reasons):
            self._is_missing = True

    def declare(self) -> None:
        """Declare everything, at most once a second; raises `BrokerFault`."""
        if self._is_missing and time.monotonic() >= self._declare_at_s:
            self._is_missing = False
            self._declare_at_s = time.monotonic() + _DECLARE_EVERY_S
            try:
                self._consumer.declaration.everything()
            except (TopologyMismatch, ChannelFault) as fault:
                self._reporter.topology_changed(fault)
