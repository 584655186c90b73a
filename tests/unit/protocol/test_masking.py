"""Tokens are masked wherever they stand; the mark tells which one it was, and is of no use."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.protocol.masking import Masker, masked, masked_body, masked_trace, masked_value
from tests.support.web_tokens import claims, signed, token

JWT = token(kid="2026")
OPAQUE = "my-token"
DIGITS = {each: sha256(each.encode()).hexdigest()[:8] for each in (JWT, OPAQUE)}
MARKS = {
    JWT: f"<JWT kid=2026 sub=shop sha256={DIGITS[JWT]}>",
    OPAQUE: f"<token sha256={DIGITS[OPAQUE]}>",
}


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "auth {} is refused",
        "auth {}.",
        "Bearer {}",
        "https://h/?auth={}&x=1",
        "%22{}%22",
        '{{"note":"{}"}}',
        r"{{\"auth\":\"{}\"}}",
        "x\n{}\ny",
    ],
)
def test_a_jwt_is_masked_in_any_text(around: str) -> None:
    assert masked(around.format(JWT)) == around.format(MARKS[JWT])


@pytest.mark.parametrize(
    "header", [b'{"alg":"EdDSA"}', b'{ "alg":"EdDSA"}', b'{\n"alg":"EdDSA"}', b'{"x":"\xc3\xa4"}']
)
def test_a_jwt_is_known_by_its_header_however_that_is_written(header: bytes) -> None:
    one = signed(header, claims())

    assert one not in masked(f"got {one}")
    assert "sub=shop" in masked(f"got {one}")


@pytest.mark.parametrize("kept", [30, 60, 100, len(JWT) - 1])
def test_a_jwt_that_was_cut_is_masked(kept: int) -> None:
    header, payload, _ = JWT.split(".")

    shown = masked(f"got '{JWT[:kept]}...")

    assert payload[:10] not in shown
    assert header not in shown or kept < len(header)


def test_names_that_a_sender_gave_are_short_and_plain() -> None:
    one = token(claims(sub='x" <b>\n' + 100 * "y"), kid="../../etc\x1b[1m")

    shown = masked(one)

    assert shown.startswith("<JWT kid=../../etc?[1m sub=x???b??yyy".replace("[", "?"))
    assert len(shown) < 120


@pytest.mark.parametrize(
    "text",
    [
        "orderd.ctl.jwt_keys.KeyFile",
        "survey-example.com.au",
        "order 7: cannot go from shipped to pending",
        "authorization: tokens (1 token)",
        "auth is missing",
        "a.b.c",
        "1.5.0",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "body",
    [
        '{{"action":"list","auth":"{}"',
        '{{"action":"list","auth":"{}',
        '{{"auth": "{}", "action": oops}}',
        "{{'auth': '{}'}}",
        '{{"b":"{{\\"auth\\":\\"{}\\"}}"}}',
        "action=list&auth={}&x=1",
        "auth: {}\naction: list",
        '{{"auht":"{}",}}',
        '{{"Authorization":"Bearer {}",}}',
        '{{"access_token":"{}",}}',
        '{{"x-auth-token" : "{}",}}',
        "auth=Bearer {}",
    ],
)
@pytest.mark.parametrize("secret", [JWT, OPAQUE])
def test_a_body_that_is_no_json_has_its_tokens_masked_by_their_names(
    body: str, secret: str
) -> None:
    assert masked_body(body.format(secret)) == body.format(MARKS[secret])


@pytest.mark.parametrize("name", ["auth", "Auth", "auht", "auths", "authorization", "token", "jwt"])
@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer  {}"])
def test_members_that_hold_tokens_are_masked_at_any_depth(name: str, form: str) -> None:
    value = {"data": [{name: form.format(OPAQUE)}], "action": "list", name: [form.format(JWT)]}

    assert masked_value(value) == {
        "data": [{name: form.format(MARKS[OPAQUE])}],
        "action": "list",
        name: [form.format(MARKS[JWT])],
    }


def test_json_within_json_is_looked_into() -> None:
    inner = json.dumps({"auth": OPAQUE})

    assert masked_value({"note": inner}) == {"note": json.dumps({"auth": MARKS[OPAQUE]})}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "latin-1"])
def test_bytes_are_masked_where_tokens_are_in_them(encoding: str) -> None:
    body = json.dumps({"auth": OPAQUE, "note": "ä"}, ensure_ascii=False)

    shown = masked_value({"base64": body.encode(encoding)})["base64"]

    assert OPAQUE.encode() not in shown.replace(b"\0", b"")
    assert MARKS[OPAQUE].encode() in shown
    assert masked_value(b"\xff\x00\xfe") == b"\xff\x00\xfe"


@pytest.mark.parametrize(
    "value", [None, True, 7, 1.5, {"auth": None}, {"auth": 5}, {"action": "list"}, {"name": "key"}]
)
def test_what_is_no_token_stays_as_it_is(value: Any) -> None:
    assert masked_value(value) == value


def test_a_traceback_has_only_quoted_members_masked() -> None:
    trace = f"token=options.token\n  {{'auth': '{OPAQUE}'}}"

    assert masked_trace(trace) == f"token=options.token\n  {{'auth': '{MARKS[OPAQUE]}'}}"


def test_two_tokens_never_have_the_same_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderd.protocol.masking._DIGITS", 0)
    masker = Masker()

    shown = masker.value({"auth": "one", "token": "two"})

    assert shown["auth"] != shown["token"]
    assert masker.restored(json.dumps(shown), str) == '{"auth": "one", "token": "two"}'


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="eyJhbGciOi.-_{}\"': \\=authBeartokn\n"),
    st.sampled_from([JWT, OPAQUE, f'"auth":"{OPAQUE}"', f"auth={JWT}", f"Bearer {OPAQUE}"]),
)


@given(st.lists(TEXTS, max_size=6).map("".join))
def test_a_mark_comes_back_to_the_letter(text: str) -> None:
    masker = Masker()

    shown = masker.body(text)

    assert JWT not in shown
    assert masker.restored(shown, str) == text


@given(st.lists(TEXTS, max_size=6).map("".join))
def test_what_is_masked_once_is_masked(text: str) -> None:
    once = masked_value({"auth": text, "note": text})

    assert masked_value(once) == once


LONG = 200_000


@pytest.mark.parametrize(
    "piece",
    [
        *("ey", "eyJ.", "eyJhbGci.", ".", "a-", "auth", "auth ", "auth=", '"auth":', '"\\', "\\"),
        *("Bearer ", "auth:" + 50 * " ", "auth" + 50 * "\\", "'", '"a":', "e.y"),
    ],
)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    # Quadratic, each of these would take minutes.
    masked_body(piece * (LONG // len(piece)))
    masked_trace(piece * (LONG // len(piece)))
