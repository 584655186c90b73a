"""Mails as they are written: whatever others wrote into them, the headers are ours."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderd.notify.channels.mail import mail_of, sender_of
from orderd.notify.message import Message
from orderd.notify.samples import USER, sample
from orderd.notify.templates import EVENT, Templates, context_of
from orderd.notify.texts import block, safe_id, subject

NOW = datetime(2026, 11, 22, 3, 14, 47, tzinfo=UTC)
SHOP = sender_of("Shop <shop@example.com>")
TEMPLATES = Templates.load(None)
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
    *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
]
TEXTS = st.text(max_size=400) | st.text("=?utf8q_Büß \r\n\t:,<>@\"'", max_size=200)


def mail(subject_: str = "", text: str = "", message_id: str = "id") -> EmailMessage:
    message = Message(message_id, "user.notice", "ada@example.com", subject_, text, "{}")
    content = mail_of(message, SHOP, NOW).content
    assert content.endswith(b"\r\n")
    assert b"\n." not in content.replace(b"\n..", b"")
    undotted = re.sub(rb"(?m)^\.\.", b".", content)
    return message_from_bytes(undotted.replace(b"\r\n", b"\n"), policy=policy.default)


@given(TEXTS)
@example("=?utf-8?q?a=0D=0ABcc:_x?=")
@example("a\r\nBcc: eve@example.com\r\n\r\nbody")
@example("ü" * 400)
@example("x" * 400)
@example("a, b; c <d@e.f>")
@example("ß =? ?= x")
def test_a_subject_comes_back_as_it_was_and_is_one_header(text: str) -> None:
    got = mail(subject_=text)

    assert got["Subject"] == subject(text)
    assert got.keys() == HEADERS
    assert got.defects == []


@given(TEXTS, TEXTS)
@example("\r\n\r\n.\r\nMAIL FROM:<eve@example.com>", "\r\n.\r\n")
def test_a_text_comes_back_as_it_was(text: str, message_id: str) -> None:
    got = mail(text=text, message_id=message_id)

    content = str(got.get_content()).replace("\r\n", "\n")
    assert content == f"{block(text).rstrip()}\n"
    assert got["Message-ID"] == f"<{safe_id(message_id)}@example.com>"
    assert got.keys() == HEADERS


@given(TEXTS, TEXTS)
@example("a\r\nBcc: eve@example.com\r\n\r\nbody", "Eve\nSubject: b")
def test_names_and_messages_of_others_add_no_header(text: str, name: str) -> None:
    note, sold_out = sample("user.note"), sample("product.out_of_stock")
    note["payload"] = {**note["payload"], "message": text}
    sold_out["data"] = {**sold_out["data"], "name": text}
    user = {**USER, "full_name": name}

    for event, general in ((note, "user"), (sold_out, EVENT)):
        told = TEMPLATES.render(event["type"], context_of(event, user), general)
        got = mail(told.subject, told.text)

        assert got.keys() == HEADERS
        assert got["Subject"] == told.subject
        assert len(got["Subject"].splitlines()) <= 1
        assert str(got.get_content()).replace("\r\n", "\n") == told.text


def test_lines_are_folded_and_seven_bits() -> None:
    message = Message("id", "t", "ada@example.com", "Größe " * 40, "ü" * 5_000, "{}")

    lines = mail_of(message, SHOP, NOW).content.split(b"\r\n")

    assert max(map(len, lines)) <= 78
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("mailbox", "shown"),
    [
        ("shop@example.com", "shop@example.com"),
        ("Bücher & Söhne <shop@bücher.example>", "Bücher & Söhne <shop@xn--bcher-kva.example>"),
        ('"Doe, Jane" <shop@example.com>', '"Doe, Jane" <shop@example.com>'),
    ],
)
def test_a_sender_is_shown_as_it_is_set(mailbox: str, shown: str) -> None:
    message = Message("id", "t", "ada@example.com", "a", "b", "{}")

    content = mail_of(message, sender_of(mailbox), NOW).content

    assert message_from_bytes(content, policy=policy.default)["From"] == shown


@given(st.text(max_size=100))
def test_an_id_is_safe_in_headers_and_tells_ids_apart(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._+=/-]{1,64}", safe_id(text))
    assert safe_id(text) == safe_id(text)
    assert safe_id(text) != safe_id(f"{text}x")
