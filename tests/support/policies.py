"""The policy that tests decode, decide and settle by."""

from orderd.pipeline.policy import Policy
from tests.support.commands import BODY_BYTES_MAX

RETRY_DELAYS_S = (5.0, 30.0, 300.0)


def policy() -> Policy:
    """Return a policy of one's own; it may be changed."""
    return Policy(
        body_bytes_max=BODY_BYTES_MAX,
        reply_bytes_max=1 << 20,
        retry_delays_s=RETRY_DELAYS_S,
        lock_patience_s=86_400,
        poison_after=3,
        trip_after=0,
        events_source="/orderd/test",
        grants=None,
    )
