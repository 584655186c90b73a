"""Properties and ids that a producer forges, and what becomes of a command that has them."""

from typing import Any, Final

MOMENT: Final = 2**62
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "attempts used up": {"orderd-attempt": 99},
    "attempts below zero": {"orderd-attempt": -(2**62)},
    "attempts as text": {"orderd-attempt": "9" * 200},
    "a dead letter": {
        "orderd-failed-at": "2020-01-01T00:00:00Z",
        "orderd-code": "poison",
        "orderd-reason": "forged",
        "orderd-queue": "user",
        "orderd-error": "forged",
    },
    "another user": {"orderd-user-id": "admin"},
    "a replay": {"orderd-replayed": 3, "orderd-edited-by": "root"},
    "a place in the line": {"orderd-place": "somebody-else"},
    "renewals": {"orderd-renewals": 10**6, "orderd-clean-stops": 10**6},
    "a lifetime": {"orderd-expires-at": MOMENT, "orderd-expiration": "1"},
    "a cut body": {"orderd-original-bytes": 1, "orderd-original-sha256": "0" * 64},
    "a history": {
        "x-death": [{"count": 10**6, "queue": "product", "reason": "expired", "exchange": ""}],
        "x-first-death-queue": "product",
        "x-last-death-reason": "maxlen",
    },
    "deliveries": {"x-delivery-count": 10**6, "x-acquired-count": 10**6},
    "attributes of an event": {
        "ce-type": "order.delivered",
        "cloudEvents:type": "order.delivered",
        "cloudEvents_source": "forged",
        "actor": "admin",
    },
    "a trace that is none": {"traceparent": "\r\nforged: 1", "tracestate": "x" * 5_000},
    "a huge table": {f"h{number}": "x" * 100 for number in range(900)},
    "a deep table": {"h": {"h": {"h": {"h": {"h": [[[[[[1]]]]]]}}}}},
}
PROPERTIES: Final[dict[str, dict[str, Any]]] = {
    "the highest priority": {"priority": 255},
    "a compressed body that is none": {"content_encoding": "gzip"},
    "another type of content": {"content_type": "text/html; charset=utf-16"},
    "orderd as the sender": {"app_id": "orderd", "type": "order.created"},
    "control characters": {"correlation_id": 'c\r\n{"event":"daemon.failed"}\x1b[31m'},
    "a time to come": {"timestamp": 2**62},
    "a cluster": {"cluster_id": "\x00"},
}
# Of these, the broker tells the producer at once, and no queue ever has the message.
REFUSED_BY_THE_BROKER: Final[dict[str, dict[str, Any]]] = {
    "another user": {"user_id": "admin"},
    "an expiration that is no number": {"expiration": "soon"},
    "a negative expiration": {"expiration": "-1"},
}
