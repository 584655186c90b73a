"""Strategies for message properties that a broker takes from a client, however odd."""

from typing import Any

from hypothesis import strategies as st

from tests.support.raw_amqp import meaning, read_properties

# Beyond the year 9999 too: milliseconds where seconds belong are enough for that.
moments = st.integers(0, 2**64 - 1) | st.sampled_from([0, 253_402_300_800, 1_763_777_777_000])
names = st.binary(max_size=40) | st.sampled_from(
    [
        *(b"", b"\xff" * 255, b"x-death", b"x-delivery-count", b"orderd-attempt", b"orderd-error"),
        *(b"orderd-failed-at", b"orderd-user-id", b"orderd-expiration", b"orderd-unreadable"),
        b"orderd-received",
    ]
)


def _of(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(kind), values)


def _integers(kind: str, bits: int, *, signed: bool) -> st.SearchStrategy[tuple[str, Any]]:
    least, size = (-(1 << bits - 1) if signed else 0), 1 << bits
    edges = st.sampled_from([least, -1 if signed else 1, 0, least + size - 1])
    return _of(kind, edges | st.integers(least, least + size - 1))


scalars = st.one_of(
    _of("t", st.booleans()),
    *(_integers(kind, bits, signed=True) for kind, bits in zip("bsIlL", (8, 16, 32, 64, 64))),  # noqa: B905
    *(_integers(kind, bits, signed=False) for kind, bits in zip("Bui", (8, 16, 32))),  # noqa: B905
    _of("f", st.floats(allow_nan=False, allow_infinity=False, width=32)),
    _of("d", st.floats(allow_nan=False, allow_infinity=False)),
    _of("D", st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1))),
    _of("T", moments),
    _of("V", st.none()),
    _of("S", st.binary(max_size=40)),
    _of("S", st.text(max_size=40).map(lambda text: text.encode(errors="replace"))),
    _of("x", st.binary(max_size=40)),
)
values: st.SearchStrategy[tuple[str, Any]] = st.recursive(
    scalars,
    lambda inner: (
        _of("A", st.lists(inner, max_size=3)) | _of("F", st.dictionaries(names, inner, max_size=3))
    ),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=8)
short_texts = st.binary(max_size=255) | st.text(max_size=60).map(
    lambda text: text.encode(errors="replace")
)
_TEXTS = ("content_type", "content_encoding", "correlation_id", "message_id", "type", "app_id")
_OURS = ("attempt", "reason", "code", "failed-at", "queue", "error", "received")
_REPLACED = {f"orderd-{name}".encode() for name in _OURS}
# Of the sender, only RabbitMQ itself is believed.
_LEFT_OUT = (
    b"orderd-user-id",
    b"x-death",
    b"x-first-death-",
    b"x-last-death-",
    b"x-delivery-count",
)
properties = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(_TEXTS, short_texts),
        "headers": tables,
        "delivery_mode": st.sampled_from([1, 2]),
        "priority": st.integers(0, 255),
        "timestamp": moments,
        # The broker takes no other name than that of the connection's user, and drops what expires.
        "user_id": st.just(b"guest"),
        "expiration": st.integers(600_000, 2**32 - 1).map(lambda ms: str(ms).encode()),
    },
)


def of_the_copy(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a dead letter keeps of such properties: all but the documented exceptions."""
    kept = {name: meaning(_kind(name), value) for name, value in given.items()}
    headers = {
        name: value
        for name, value in kept.get("headers", {}).items()
        if name not in _REPLACED and not name.startswith(_LEFT_OUT)
    }
    for name in ("expiration", "user_id"):
        if name in kept:
            headers[f"orderd-{name.replace('_', '-')}".encode()] = kept.pop(name)
    return kept | {"headers": headers, "delivery_mode": 2}


def found_in_the_copy(encoded: bytes) -> dict[str, Any]:
    """Return the properties of a dead letter without the headers that orderd adds."""
    found = read_properties(encoded)
    ours = found["headers"].keys() & _REPLACED
    assert {b"orderd-reason", b"orderd-code", b"orderd-queue"} < ours
    headers = {name: found["headers"][name] for name in found["headers"].keys() - ours}
    return found | {"headers": headers}


def _kind(name: str) -> str:
    return {"headers": "F", "timestamp": "T"}.get(name, "S")
