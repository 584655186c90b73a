"""Reasons of one cause are the same without their values, and those of two causes are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.ctl.dlq.reasons import CHARACTERS_MAX, without_values
from orderd.protocol.envelope import ANYBODY, Invalid, decode
from orderd.protocol.explain import shown
from orderd.protocol.strict_json import dumps
from orderd.shop.registry import SHOP

texts = st.text(max_size=150)
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=2)
# What a value can be in a reason of the daemon's: as `shown` writes it, and ids and moments bare.
shown_values = (texts | numbers | st.booleans() | st.none()).map(shown)
bare_values = (
    st.integers(min_value=0).map(str)
    | st.uuids().map(str)
    | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
    | st.from_regex(r"[a-z]{1,9}-[0-9]{1,9}", fullmatch=True)
)
TEMPLATES_SHOWN = (
    "data.price must be at least 0; got {}",
    "data.price must be at least 0; got {}; data.name must be a string; got {}",
    "body must be a JSON object; got {}",
    "version must be v1 or v2; got {}",
)
TEMPLATES_BARE = (
    "missing_reference: Product {} does not exist yet",
    "unexpected: ValueError: order {} has {} lines",
    "transient: deadlock detected (SQLSTATE 40P01): row {}",
    "an earlier command for the same row is pending: a command without id, deferred since {}",
    "body has {} bytes; at most {} are allowed",
    "the daemon died in each of {} tries",
)


@given(st.sampled_from(TEMPLATES_SHOWN), shown_values, shown_values)
def test_what_was_got_makes_no_difference(template: str, one: str, other: str) -> None:
    assert without_values(template.format(one, other)) == without_values(
        template.format(other, one)
    )


@given(st.sampled_from(TEMPLATES_BARE), bare_values, bare_values)
def test_ids_numbers_and_moments_make_no_difference(template: str, one: str, other: str) -> None:
    assert without_values(template.format(one, other)) == without_values(
        template.format(other, one)
    )


@given(st.lists(texts, min_size=1, max_size=3))
def test_quoted_values_make_no_difference(values: list[str]) -> None:
    for value in values:
        told = f"unexpected: KeyError: {value[:60]!a}"
        assert without_values(told) == "unexpected: KeyError: ?"


@given(st.sampled_from(TEMPLATES_SHOWN + TEMPLATES_BARE), st.data())
def test_two_causes_are_told_apart(template: str, data: st.DataObject) -> None:
    other = data.draw(
        st.sampled_from([each for each in TEMPLATES_SHOWN + TEMPLATES_BARE if each != template])
    )

    assert without_values(template.format(1, 2)) != without_values(other.format(1, 2))


@given(st.text(max_size=1200))
def test_any_text_becomes_one_short_line(reason: str) -> None:
    bare = without_values(reason)

    assert len(bare) <= CHARACTERS_MAX
    assert len(bare.splitlines()) <= 1


@given(st.lists(st.text("ab';\" .@7\\x", max_size=150), min_size=2, max_size=2))
def test_what_the_daemon_says_of_two_wrong_values_is_one_cause(values: list[str]) -> None:
    def reason(price: str) -> str:
        content = {"name": "lamp", "price": f"x{price}", "stock_quantity": 1}
        body = dumps({"action": "create", "data": content}).encode()
        decoded = decode(
            "product", body, None, 0, 1 << 20, models=SHOP.models, permit=lambda _claim: ANYBODY
        )
        assert isinstance(decoded, Invalid)
        return decoded.message

    one, other = (without_values(reason(value)) for value in values)
    assert one == other


@pytest.mark.parametrize(
    ("reason", "bare"),
    [
        (
            'relation "orders_2024" does not exist (SQLSTATE 42P01)',
            'relation "orders_2024" does not exist (SQLSTATE 42P01)',
        ),
        (
            "unknown action 'explode' for queue product (v1); known: create, update",
            "unknown action ? for queue product (v1); known: create, update",
        ),
        ("data['odd key'] is not a field of this action", "data[?] is not a field of this action"),
        (
            "data.items[3].quantity must be an integer; got 'x'",
            "data.items[?].quantity must be an integer; got ?",
        ),
        (
            f"unknown action {shown('a' * 500)} for queue order (v1)",
            "unknown action ? for queue order (v1)",
        ),
        ("E-mail ada@example.com is taken", "E-mail ? is taken"),
        ("rows 1, 2 and 30 are locked", "rows ? are locked"),
        ("the row's owner isn't known", "the row's owner isn't known"),
        ("two\n lines  of text", "two lines of text"),
    ],
)
def test_words_stay_and_values_go(reason: str, bare: str) -> None:
    assert without_values(reason) == bare
