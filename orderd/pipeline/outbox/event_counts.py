"""How many events RabbitMQ has confirmed and refused."""

from collections import Counter
from collections.abc import Iterable


class EventCounts:
    """Counters by type of event; every type is there from the start, at 0."""

    def __init__(self, types: Iterable[str]) -> None:
        """Begin with all *types* at 0."""
        self.published = Counter(dict.fromkeys(types, 0))
        self.refused = Counter(dict.fromkeys(self.published, 0))
