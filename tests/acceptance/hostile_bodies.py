"""Bodies that are meant to cost time, memory or the stack: name, body, and the code it is told."""

LIMIT = 1 << 20


def _data(content: bytes, action: bytes = b"create") -> bytes:
    return b'{"action":"' + action + b'","data":' + content + b"}"


def _price(number: bytes) -> bytes:
    return _data(b'{"name":"lamp","stock_quantity":1,"price":' + number + b"}")


def _stock(number: bytes) -> bytes:
    return _data(b'{"name":"lamp","price":1,"stock_quantity":' + number + b"}")


def _keys(count: int) -> bytes:
    return b",".join(b'"%d":0' % number for number in range(count))


def _filled(opening: bytes, piece: bytes, closing: bytes) -> bytes:
    """Return a body of just the size that is allowed, or a little less."""
    count = (LIMIT - len(opening) - len(closing)) // len(piece)
    return opening + piece * count + closing


MARK = b"\xef\xbb\xbf"
COMMAND = _price(b"1")
BODIES: dict[str, tuple[bytes, str]] = {
    "a byte order mark": (MARK + COMMAND, "malformed"),
    "a byte order mark alone": (MARK, "malformed"),
    "UTF-16": (COMMAND.decode().encode("utf-16-le"), "malformed"),
    "UTF-32": (COMMAND.decode().encode("utf-32-be"), "malformed"),
    "Latin-1": (COMMAND.replace(b"lamp", b"l\xe4mp"), "malformed"),
    "a cut character": (COMMAND.replace(b"lamp", b"l\xe2\x82"), "malformed"),
    "100,000 lists deep": (b"[" * 100_000, "malformed"),
    "100,000 lists deep and closed": (b"[" * 100_000 + b"]" * 100_000, "malformed"),
    "100,000 objects deep": (b'{"a":' * 100_000, "malformed"),
    "data 100,000 deep": (_data(b"[" * 100_000 + b"]" * 100_000), "malformed"),
    "33 levels": (_data(b"[" * 32 + b"]" * 32), "malformed"),
    "32 levels": (_data(b"[" * 31 + b"]" * 31), "invalid_data"),
    "a price of 1e400": (_price(b"1e400"), "invalid_data"),
    "a price of 1e-400": (_price(b"1e-400"), "invalid_data"),
    "a price of 10^5 digits": (_price(b"9" * 100_000), "malformed"),
    "a price of 10^5 places": (_price(b"0." + b"1" * 100_000), "invalid_data"),
    "a price with an exponent of 10^5 digits": (_price(b"1e" + b"9" * 100_000), "malformed"),
    "a price with an exponent of 18 digits": (_price(b"1e" + b"9" * 18), "invalid_data"),
    "a price of 10^5 digits as a text": (_price(b'"' + b"9" * 100_000 + b'"'), "invalid_data"),
    "a stock of 1e400": (_stock(b"1e400"), "invalid_data"),
    "a stock of 10^5 digits": (_stock(b"9" * 100_000), "malformed"),
    "a stock of 4,000 digits": (_stock(b"9" * 4_000), "invalid_data"),
    "a stock of 2^63": (_stock(b"%d" % 2**63), "invalid_data"),
    "NaN": (_price(b"NaN"), "malformed"),
    "-Infinity": (_stock(b"-Infinity"), "malformed"),
    "a key repeated among 90,000": (
        b"{" + _keys(90_000) + b',"action":"create","action":"create"}',
        "malformed",
    ),
    "90,000 unknown fields": (_data(b"{" + _keys(90_000) + b"}"), "invalid_data"),
    "as many lists as fit": (_filled(b'{"data":[', b"[],", b"[]]}"), "malformed"),
    "as many openings as fit": (_filled(b"", b"[", b""), "malformed"),
    "as many quotes as fit": (_filled(b'{"action":"', b'\\"', b""), "malformed"),
    "as many NULs as fit": (_filled(b"", b"\0", b""), "malformed"),
    "as many escaped NULs as fit": (_filled(b'{"action":"', b"\\u0000", b'"}'), "unknown_action"),
    "as many blanks as fit": (_filled(b"", b" ", b""), "malformed"),
    "an id as long as fits": (_filled(b'{"action":"list","id":"', b"i", b'"}'), "malformed"),
    "a name as long as fits": (
        _filled(b'{"action":"create","data":{"price":1,"stock_quantity":1,"name":"', b"n", b'"}}'),
        "invalid_data",
    ),
    "a token as long as fits": (
        _filled(b'{"action":"explode","auth":"', b"t", b'"}'),
        "unknown_action",
    ),
    "an unknown field as long as fits": (
        _filled(b'{"action":"create","data":{"', b"f", b'":1}}'),
        "invalid_data",
    ),
    "one byte too many": (b" " * (LIMIT + 1 - len(COMMAND)) + COMMAND, "too_large"),
    "10 MiB": (b" " * (10 * LIMIT - len(COMMAND)) + COMMAND, "too_large"),
}
