"""Which deliveries of a channel are neither acked nor requeued, and how to settle them cheaply."""

from collections.abc import Iterable


class Unacked:
    """The open deliveries of one channel, in the order of delivery: their tags, and the broker's.

    `received` counts all that were ever added; `body_bytes` are those of the open ones' bodies.
    """

    def __init__(self) -> None:
        # Both kinds of tags count up, so the order of insertion is also the numerical one.
        self._tags: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self.received = 0
        self.body_bytes = 0

    def __len__(self) -> int:
        """Return how many deliveries are open."""
        return len(self._tags)

    def __contains__(self, tag: int) -> bool:
        """Return whether the delivery with that *tag* is open."""
        return tag in self._tags

    def newer_than(self, tag: int) -> int:
        """Return how many of the open deliveries came after *tag*."""
        return sum(one > tag for one in self._tags)

    def add(self, tag: int, brokers_tag: int, body_bytes: int = 0) -> None:
        """Note a delivery, the newest one."""
        self._tags[tag] = brokers_tag
        self._sizes[tag] = body_bytes
        self.body_bytes += body_bytes
        self.received += 1

    def clear(self) -> None:
        """Forget all: the channel is gone."""
        self._tags.clear()
        self._sizes.clear()
        self.body_bytes = 0

    def settle(self, tags: Iterable[int]) -> list[tuple[int, bool]]:
        """Forget *tags*, and return what to send for them: the broker's, with `multiple` or not.

        The oldest ones go in a single step, any others one by one; unknown ones are left out.
        """
        known = sorted(self._tags.keys() & set(tags))
        oldest = 0
        for tag, open_tag in zip(known, self._tags, strict=False):
            if tag != open_tag:
                break
            oldest += 1
        numbers = [self._tags.pop(tag) for tag in known]
        self.body_bytes -= sum(self._sizes.pop(tag) for tag in known)
        steps = [(numbers[oldest - 1], oldest > 1)] if oldest else []
        return [*steps, *((number, False) for number in numbers[oldest:])]
