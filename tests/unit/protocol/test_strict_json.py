import json
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.strict_json import NESTING_MAX, MalformedJson, dumps, loads

MALFORMED = {
    "nothing": b"",
    "white space": b" \n",
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a lone continuation byte": b'{"a":"\x80"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "a code point over the last": b'{"a":"\xf4\x90\x80\x80"}',
    "a cut character": b'{"a":"\xe2\x82',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "a repeated key": b'{"a":1,"a":1}',
    "a repeated key deep inside": b'{"a":[{"b":{"c":1,"d":2,"c":3}}]}',
    "a key repeated in other words": b'{"a":1,"\\u0061":2}',
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a trailing comma in an object": b'{"a":1,}',
    "a trailing comma in a list": b"[1,]",
    "a missing comma": b'{"a":1 "b":2}',
    "a missing value": b'{"a":}',
    "a comment": b'{"a":1} // so',
    "a second value": b'{"a":1}{"a":1}',
    "trailing garbage": b'{"a":1}x',
    "a trailing NUL": b'{"a":1}\x00',
    "an open object": b'{"a":1',
    "an open list": b"[1",
    "an open text": b'{"a":"b',
    "a bracket too many": b'{"a":1}}',
    "brackets crosswise": b'{"a":[1}]',
    "an unknown escape": b'{"a":"\\x41"}',
    "a cut escape": b'{"a":"\\u00"}',
    "a raw line end in a text": b'{"a":"b\nc"}',
    "a raw NUL in a text": b'{"a":"b\x00c"}',
    "a leading zero": b'{"a":01}',
    "a leading plus": b'{"a":+1}',
    "a leading point": b'{"a":.5}',
    "a trailing point": b'{"a":1.}',
    "an open exponent": b'{"a":1e}',
    "hexadecimal": b'{"a":0x10}',
    "an underscore": b'{"a":1_000}',
    "digits of another script": '{"a":\uff11}'.encode(),
    "Python's True": b'{"a":True}',
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "an exponent of 25 digits": b'{"a":1e' + b"9" * 25 + b"}",
    "a negative exponent of 25 digits": b'{"a":1e-' + b"9" * 25 + b"}",
}

texts = st.text(st.characters(exclude_categories=["Cs"]))
decimals = st.decimals(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | decimals | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_strict_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJson) as caught:
        loads(body)

    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" {} \r\n\t", {}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\u0000"', "\x00"),
        (b'"\\ud800"', "\ud800"),  # the fields refuse it, by name
        (b'{"":1}', {"": 1}),
        (b"-0", 0),
        (b"1E2", Decimal(100)),
        (b"1e999999", Decimal("1e999999")),
        (b'{"a":{"x":1},"b":{"x":1}}', {"a": {"x": 1}, "b": {"x": 1}}),
    ],
)
def test_strict_json_is_read(body: bytes, value: object) -> None:
    assert loads(body) == value


@pytest.mark.parametrize("text", ["0.1", "149.99", "1e-30", "12345678901234567890.123456789"])
def test_a_number_with_a_point_or_exponent_keeps_all_its_digits(text: str) -> None:
    number = loads(text.encode())

    assert isinstance(number, Decimal)
    assert number.as_tuple() == Decimal(text).as_tuple()


def test_2_times_149_99_is_exactly_299_98() -> None:
    assert str(2 * loads(b"149.99")) == "299.98"


def test_32_levels_are_read_and_33_are_not() -> None:
    loads(nested(NESTING_MAX))
    loads(nested(NESTING_MAX - 1, '{"a":', "}").replace(b":}", b":[]}"))

    assert NESTING_MAX == 32
    with pytest.raises(MalformedJson, match="nested deeper than 32 levels"):
        loads(nested(33))
    with pytest.raises(MalformedJson, match="nested deeper than 32 levels"):
        loads(b"[" * 20 + nested(13, '{"a":', "}").replace(b":}", b":1}") + b"]" * 20)


def test_many_lists_beside_each_other_are_not_deep() -> None:
    assert loads(b"[" + b",".join([b"[[]]"] * 500) + b"]") == [[[]]] * 500


@pytest.mark.parametrize("text", ["[" * 50, "{" * 50, '\\"' + "[" * 50, "\\\\", "[{" * 50 + "\\n"])
def test_brackets_in_texts_do_not_count(text: str) -> None:
    body = f'{{"a":"{text}","b":[{{}}]}}'.encode()

    assert loads(body) == json.loads(body)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_100_000_levels_are_refused_at_once(opening: str) -> None:
    started_s = time.process_time()
    with pytest.raises(MalformedJson, match="nested deeper"):
        loads((opening * 100_000).encode())

    assert time.process_time() - started_s < 1


@pytest.mark.parametrize("piece", [b'"', b'\\"', b'"[', b"\\", b'["\\'])
def test_a_mebibyte_of_open_texts_is_refused_at_once(piece: bytes) -> None:
    started_s = time.process_time()
    with pytest.raises(MalformedJson):
        loads((b"[" * 20 + b'"' + piece * 2**20)[: 2**20])

    assert time.process_time() - started_s < 2


def test_a_key_repeated_among_90_000_is_found_at_once() -> None:
    keys = b",".join(b'"%d":0' % number for number in range(90_000))
    started_s = time.process_time()
    with pytest.raises(MalformedJson, match="has the key 'last' twice"):
        loads(b"{" + keys + b',"last":1,"last":2}')

    assert time.process_time() - started_s < 2


@given(values)
def test_what_is_written_is_read_again_to_the_digit(value: object) -> None:
    assert digits(loads(dumps(value).encode())) == digits(value)


@given(values)
def test_what_is_written_is_json_on_one_line(value: object) -> None:
    text = dumps(value)

    json.loads(text)
    assert "\n" not in text


def digits(value: Any) -> Any:
    """Return *value* with each number as text, and as a decimal only where it is one in JSON."""
    match value:
        case Decimal():
            return f"{value:f}" if value == value.to_integral_value() else str(value)
        case dict():
            return {key: digits(member) for key, member in value.items()}
        case list():
            return [digits(member) for member in value]
        case bool() | None | str():
            return value
        case _:
            return str(value)


def test_a_binary_float_has_no_json_form() -> None:
    with pytest.raises(TypeError, match="float has no JSON form"):
        dumps({"price": 0.1})


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    with suppress(MalformedJson):
        loads(body)


@given(st.text(alphabet='{}[]",:\\0123456789eE+-.truefalsn \n', max_size=60))
def test_nothing_is_read_that_the_standard_reader_would_refuse(text: str) -> None:
    body = text.encode()
    try:
        value = loads(body)
    except MalformedJson:
        return
    assert value == json.loads(body, parse_float=Decimal)
