"""The kill switch: a queue whose commands fail one after the other is paused, and nothing is lost.

A bad deploy of whatever the rules depend on, a trigger for example, makes every command of an
action fail. Without the switch each would use up its attempts and become a dead letter. A queue
whose messages need a server that is away is paused at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import key_of
from orderd.pipeline.results import Result
from orderd.protocol.names import DeferralCode
from orderd.protocol.values import value
from orderd.shop.outcomes import (
    Applied,
    Deferred,
    Done,
    Refused,
    Undeliverable,
    Unreachable,
    Waiting,
)

REASON_CHARS_MAX: Final = 300

# What shows that an action works, whatever its rules made of the message.
_WORKED: Final = Applied | Refused | Done | Undeliverable

_Action = tuple[str, str]


@value
class Trip:
    """Why *queue* is to be paused: so many different messages with *action* failed in a row.

    For a server that is away, *action* is the name that `channel_action` makes.
    """

    queue: str
    action: str
    reason: str


class KillSwitch:
    """Counts failures in a row by queue and action, and spares messages of a queue that tripped.

    `tripped` has the action by which each queue tripped, as long as that is in force. `trips` are
    those that are not on record yet. `tried` and `succeeded` are the queues whose trial, while
    they are in `trials`, came to a command of that action, and to one that did not fail.
    """

    def __init__(self, policy: Policy) -> None:
        """Trip as *policy* says."""
        self._policy = policy
        self._failed: dict[_Action, set[str]] = {}
        self.tripped: dict[str, str] = {}
        self.trips: list[Trip] = []
        self.trials: set[str] = set()
        self.tried: set[str] = set()
        self.succeeded: set[str] = set()

    def judge(self, results: Sequence[Result]) -> Sequence[Result]:
        """Return *results*, in which commands that failed cost no attempt where a queue tripped."""
        if not self.tripped and not self._failed and not any(map(_is_of_concern, results)):
            return results
        return [self._judged(result) for result in results]

    def obey(self, tripped: Mapping[str, str]) -> None:
        """Take over which queues have tripped, with the action, by the record of all daemons.

        Of a queue that goes on, failures are counted from 0.
        """
        for queue in self.tripped.keys() - tripped.keys():
            self.forget(queue)
        self.tripped = dict(tripped)

    def forget(self, queue: str) -> None:
        """Begin at 0 with *queue*."""
        self.tripped.pop(queue, None)
        self._failed = {key: seen for key, seen in self._failed.items() if key[0] != queue}
        for those in (self.trials, self.tried, self.succeeded):
            those.discard(queue)

    def _judged(self, result: Result) -> Result:
        if result.command is None:
            return result
        queue, action = str(result.delivery.queue), result.command.action
        self._note_trial(queue, action, result)
        outcome = result.outcome
        if isinstance(outcome, Unreachable):
            return self._away(queue, outcome, result)
        if isinstance(outcome, _WORKED):
            self._failed.pop((queue, action), None)
        if not (isinstance(outcome, Deferred) and _has_failed(result)):
            return result
        if queue in self.tripped:
            # As a command that waits for its turn, it keeps its place and its attempts.
            text = f"the queue is paused; the command failed: {outcome.message}"
            return replace(result, outcome=Waiting(text, place=outcome.place))
        self._count(queue, action, result, outcome.message)
        return result

    def _away(self, queue: str, outcome: Unreachable, result: Result) -> Result:
        action = channel_action(outcome.channel)
        if queue not in self.tripped:
            self._trip(queue, action, f"tripped: {action}: {outcome.message}")
        waiting = Waiting(f"{action}: {outcome.message}", place=outcome.place)
        return replace(result, outcome=waiting)

    def _count(self, queue: str, action: str, result: Result, message: str) -> None:
        if not self._policy.trip_after:
            return
        seen = self._failed.setdefault((queue, action), set())
        # A message that is tried again and again is no row of failures.
        seen.add(key_of(result.delivery))
        if len(seen) >= self._policy.trip_after:
            reason = (
                f"tripped: {len(seen)} commands {action} failed in a row, the last with {message}"
            )
            self._trip(queue, action, reason)

    def _trip(self, queue: str, action: str, reason: str) -> None:
        self.trips.append(Trip(queue, action, reason[:REASON_CHARS_MAX]))
        self.tripped[queue] = action

    def _note_trial(self, queue: str, action: str, result: Result) -> None:
        if queue not in self.trials or self.tripped.get(queue) not in _shown(action, result):
            return
        self.tried.add(queue)
        if isinstance(result.outcome, _WORKED):
            self.succeeded.add(queue)


def channel_action(channel: str) -> str:
    """Return what a channel is called among the actions by which queues trip."""
    return f"channel {channel}"


def _shown(action: str, result: Result) -> set[str]:
    """Return of what *result* shows whether it works: the action, and channels that were used."""
    match result.outcome:
        case Done(reached):
            return {action, *map(channel_action, reached)}
        case Unreachable(channel):
            return {action, channel_action(channel)}
    return {action}


def _has_failed(result: Result) -> bool:
    outcome = result.outcome
    return isinstance(outcome, Deferred) and outcome.code is DeferralCode.UNEXPECTED


def _is_of_concern(result: Result) -> bool:
    return isinstance(result.outcome, Unreachable) or _has_failed(result)
