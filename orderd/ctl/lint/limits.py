"""What of permissions, limits and a connection's frames contradicts orderd: pure, as lint_rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orderd.amqp.inspection import Needed
from orderd.ctl.lint.rules import Contradiction
from orderd.pipeline.dead_letters import HEADERS_BYTES_MAX
from orderd.protocol.names import Queue

# What a daemon opens, and an orderctl beside it.
_CONNECTIONS: Final = 4
_CHANNELS: Final = 6 + 2 * len(Queue)
# The headers, and room for the other properties and the frame's own bytes.
_FRAME_MIN_BYTES: Final = HEADERS_BYTES_MAX + 4096


def judge_permissions(
    granted: Mapping[str, str], user: str, wanted: Sequence[Needed]
) -> Iterator[Contradiction]:
    """Yield what *user* may not do; *granted* are regular expressions, which need not match all."""
    names = [each.name for each in wanted if not each.is_optional]
    exchanges = [each.name for each in wanted if each.is_exchange and not each.is_optional]
    queues = [name for name in names if name not in exchanges]
    needs = {"configure": names, "write": ["amq.default", *exchanges], "read": queues}
    for kind, resources in needs.items():
        pattern = granted.get(kind, "")
        refused = [name for name in resources if not _matches(pattern, name)]
        if refused:
            more = f" and {len(refused) - 1} more" if refused[1:] else ""
            yield Contradiction(
                f"user {user}",
                f"has no permission to {kind} {refused[0]}{more}",
                f"rabbitmqctl set_permissions: let the {kind} pattern match it",
            )


def judge_limits(
    limits: Mapping[str, Any], subject: str, wanted: Sequence[Needed]
) -> Iterator[Contradiction]:
    """Yield the limits of a virtual host or of a user that leave no room for one daemon."""
    queues = sum(not each.is_exchange and not each.is_optional for each in wanted)
    least = {"max-connections": _CONNECTIONS, "max-queues": queues, "max-channels": _CHANNELS}
    for key, needs in least.items():
        limit = limits.get(key)
        if isinstance(limit, int) and 0 <= limit < needs:
            problem = f"{key} {limit}: a daemon and an orderctl need {needs}"
            yield Contradiction(subject, problem, f"raise {key}, or set it to -1")


def judge_frames(frame_bytes_max: int) -> Iterator[Contradiction]:
    """Yield what is wrong with the frame size that a connection agreed on.

    The heartbeat needs no judging: the broker takes the client's, and the settings bound that.
    """
    if frame_bytes_max < _FRAME_MIN_BYTES:
        problem = f"frame_max {frame_bytes_max}: the headers of a dead letter do not fit"
        fix = f"set frame_max in rabbitmq.conf to at least {_FRAME_MIN_BYTES}, such as 131072"
        yield Contradiction("connection", problem, fix)


def _matches(pattern: str, name: str) -> bool:
    """Return whether RabbitMQ takes *pattern* to match; it takes an empty one to match nothing."""
    try:
        return bool(pattern and re.search(pattern, name))
    except re.error:
        # Written for Erlang, and not understood here: no ground to complain.
        return True
