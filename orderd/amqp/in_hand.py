"""How much is in hand of the queues, and of which it is too much."""

from collections.abc import Iterable

from orderd.amqp.intake import Intake


def is_any_cautious(intakes: Iterable[Intake]) -> bool:
    """Return whether less than the prefetch is taken from any queue."""
    return any(intake.is_cautious for intake in intakes)


def is_any_paused(intakes: Iterable[Intake]) -> bool:
    """Return whether nothing is taken from some queue until it is resumed."""
    return any(intake.is_paused for intake in intakes)


def bytes_in_hand(intakes: Iterable[Intake]) -> int:
    """Return how many bytes of bodies are in hand."""
    return sum(intake.unacked.body_bytes for intake in intakes)


def too_heavy(intakes: Iterable[Intake], bytes_max: int) -> list[str]:
    """Return the queues with more than *bytes_max* in hand of which fewer can be taken."""
    return [
        intake.queue
        for intake in intakes
        if intake.is_taken and not intake.is_cautious and intake.unacked.body_bytes > bytes_max
    ]
