"""Texts of notifications: defaults, the operator's own, and what neither can do."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.notify.samples import USER, sample, sample_digest
from orderd.notify.templates import (
    DIGEST,
    EVENT,
    SHIPPED,
    Rendered,
    TemplateFault,
    Templates,
    context_of,
)
from orderd.protocol.notifications import TYPES
from orderd.runtime.config_errors import ConfigError

NOWHERE = Path("/nonexistent")
DEFAULTS = Templates.load(NOWHERE)
KNOWN = [each for types in TYPES.values() for each in types]
ANY_TEXT = st.text(max_size=300)


def unseen(text: str) -> set[str]:
    """Return the characters that control or format something, joiners aside."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {each for each in text if unicodedata.category(each) in kinds} - {"\u200c", "\u200d"}


def rendered(event_type: str, templates: Templates = DEFAULTS, **data: Any) -> Rendered:
    event = sample(event_type)
    key = "payload" if "payload" in event else "data"
    event[key] = {**event[key], **data}
    general = EVENT if key == "data" else event_type.partition(".")[0]
    return templates.render(event_type, context_of(event, USER), general)


def own(directory: Path, source: str, name: str = "order.shipped") -> Templates:
    (directory / f"{name}.txt").write_text(source)
    return Templates.load(directory)


def faults_of(directory: Path, source: str | bytes, name: str = "order.shipped") -> str:
    content = source.encode() if isinstance(source, str) else source
    (directory / f"{name}.txt").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Templates.load(directory, "file orderd.toml")
    (problem,) = caught.value.problems
    assert (problem.key, problem.origin) == ("notify.templates", "file orderd.toml")
    return problem.reason.removeprefix(f"{directory}/")


@pytest.mark.parametrize("event_type", [*KNOWN, "user.welcome", "admin.backup.failed"])
def test_every_type_has_a_default(event_type: str) -> None:
    got = rendered(event_type)

    assert got.subject.isprintable()
    assert got.subject
    assert got.text.strip()


def test_a_mail_about_an_order_has_items_and_money_with_two_decimals() -> None:
    got = rendered("order.created", total_amount=1299.9)

    assert got.subject == "We have received your order 1"
    assert got.text == (
        "Dear Ada Lovelace,\n\n"
        "Thank you for your order. Its number is 1, and these are its items:\n\n"
        "  1 \xd7 product no. 1 at 1299.99 each\n"
        "  2 \xd7 product no. 2 at 79.99 each\n\n"
        "Total: 1299.90\n\n"
        "We will write to you again when we prepare and when we ship it.\n"
    )


def test_a_user_without_a_full_name_is_greeted_by_username_and_no_user_just_so() -> None:
    event = sample("order.delivered")

    by_username = DEFAULTS.render("order.delivered", context_of(event, {**USER, "full_name": None}))
    by_nothing = DEFAULTS.render("order.delivered", context_of(event))

    assert by_username.text.startswith("Dear ada,\n")
    assert by_nothing.text.startswith("Hello,\n")


def test_a_pause_that_ends_by_itself_says_when() -> None:
    got = rendered("system.queue_paused", until="2026-11-22T04:00:00Z")

    assert "paused by ada at 22 November 2026, 03:14 UTC.\n" in got.text
    assert "Until:  22 November 2026, 04:00 UTC\n" in got.text


def test_a_digest_has_the_number_and_the_subjects() -> None:
    many = [{"time": "2026-11-22T03:14:47Z", "subject": f"no {n}"} for n in range(60)]

    got = DEFAULTS.render(DIGEST, {**sample_digest(), "count": 60, "messages": many[:50]})

    assert got.subject == "60 notifications of type product.out_of_stock"
    assert "  22 November 2026, 03:14 UTC  no 49\n  and 10 more\n" in got.text


def test_own_templates_take_precedence_type_by_type(tmp_path: Path) -> None:
    templates = own(tmp_path, "Subject: Off it goes: {{ data.id }}\nHi {{ user.username }}!\n")

    assert rendered("order.shipped", templates) == Rendered("Off it goes: 1", "Hi ada!\n")
    assert rendered("order.delivered", templates) == rendered("order.delivered")


def test_one_template_of_a_kind_is_for_all_of_its_types(tmp_path: Path) -> None:
    own(tmp_path, "subject: No: {{ data.code }}\n{{ type }}", "refused")
    own(tmp_path, "subject: For you\n{{ data.message }}", "user")
    templates = own(tmp_path, "subject: Welcome\n{{ data.message }}", "user.welcome")

    assert rendered("product.refused", templates).text == "product.refused\n"
    assert rendered("user.refused", templates).text == "user.refused\n"
    assert rendered("user.notice", templates).subject == "For you"
    assert rendered("user.welcome", templates).subject == "Welcome"


@pytest.mark.parametrize("name", [".order.shipped.txt", "order.shipped.txt~", "README"])
def test_other_files_are_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{% broken")

    assert rendered("order.shipped", Templates.load(tmp_path)) == rendered("order.shipped")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("Hello", "order.shipped.txt:1: must begin with a line such as subject: Your order"),
        ("", "order.shipped.txt:1: must begin with a line such as subject: Your order"),
        ("subject: {{ data.idd }}\n", "order.shipped.txt:1: 'dict object' has no attribute 'idd'"),
        ("subject: a\n\n{{ dat.id }}", "order.shipped.txt:3: 'dat' is undefined"),
        ("subject: a\n\n\n{{ data.id", "order.shipped.txt:4: unexpected end of template"),
        ("subject: a\n{% if %}", "order.shipped.txt:2: Expected an expression, got"),
        ("subject: a\n\n{{ data.id|shout }}", "order.shipped.txt:3: No filter named 'shout'"),
        ("subject: a\n{{ data.status|money }}", "order.shipped.txt:2: 'shipped' is no amount"),
        ("subject: a\n{{ data.status|date }}", "order.shipped.txt:2: 'shipped' is no time"),
        ("subject: a\n{{ data }}", "order.shipped.txt:2: a table or list is no text"),
        ("subject: a\n{{ data.id / 0 }}", "order.shipped.txt:2: division by zero"),
        (b"subject: a\nGr\xfc\xdfe", "order.shipped.txt:2: is not UTF-8"),
        ("subject: a\n" + "x" * 70_000, "order.shipped.txt: is over 64 KiB"),
        ("subject: a\n" + "{{ ((" * 9_000, "order.shipped.txt:"),
    ],
)
def test_a_faulty_template_is_named_with_file_and_line(
    tmp_path: Path, source: str | bytes, fault: str
) -> None:
    assert faults_of(tmp_path, source).startswith(fault)


def test_all_faulty_templates_are_named(tmp_path: Path) -> None:
    for name in ("order.shipped", "order.created"):
        (tmp_path / f"{name}.txt").write_text("no subject")

    with pytest.raises(ConfigError) as caught:
        Templates.load(tmp_path)

    assert len(caught.value.problems) == 2


def test_a_template_of_no_type_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "subject: a\n", "order.shiped") == (
        "order.shiped.txt: notifications have no type order.shiped; did you mean order.shipped.txt?"
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (lambda file: file.symlink_to("nowhere"), "No such file or directory"),
        (os.mkfifo, "no end within"),
    ],
    ids=["directory", "dangling link", "pipe"],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path,
    make: Callable[[Path], object],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orderd.config.bounded_read._PATIENCE_S", 0.1)
    file = tmp_path / "order.shipped.txt"
    make(file)

    with pytest.raises(ConfigError, match=f"order.shipped.txt: cannot be read: {reason}"):
        Templates.load(tmp_path)


@pytest.mark.parametrize(
    "name", [b"order\n.txt", b"order.\xff.txt", b"order.\x1b[2J.txt", b"a b.txt"]
)
def test_a_name_with_odd_characters_is_refused_in_one_line(tmp_path: Path, name: bytes) -> None:
    file = tmp_path / os.fsdecode(name)
    file.write_text("subject: a\n")

    with pytest.raises(ConfigError, match="notifications have no type") as caught:
        Templates.load(tmp_path)

    assert str(caught.value).isprintable()


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "templates").write_text("")

    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        Templates.load(tmp_path / "templates")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ data.__class__.__mro__ }}",
        "{{ data.items.append(1) }}",
        "{{ data['__init__'] }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler }}",
        "{{ range(10) }}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{% set x = 1 %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'a' %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x' ~ 'y' }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 'x'|attr('__class__') }}",
        "{{ data|map(attribute='__class__')|list }}",
        (
            "{% for a in data.items %}{% for b in data.items %}{% for c in data.items %}"
            "{% endfor %}{% endfor %}{% endfor %}"
        ),
        "{% for a in data.items recursive %}{{ loop(data.items) }}{% endfor %}",
    ],
)
def test_a_template_neither_reaches_python_nor_runs_without_end(tmp_path: Path, text: str) -> None:
    assert faults_of(tmp_path, f"subject: a\n{text}").startswith("order.shipped.txt:2: ")


def test_what_a_template_may_do(tmp_path: Path) -> None:
    templates = own(
        tmp_path,
        "subject: {{ data.id + 1 }} {{ 'a' + 'b' }} {{ (data.total_amount * 2)|round(2) }}\n"
        "{% for item in data.items if item.quantity > 1 %}"
        "{{ loop.index }}/{{ loop.length }} {{ item.quantity }}{{ ',' if not loop.last }}"
        "{% else %}none{% endfor %} {{ data.items[0].id }} {{ data['status']|upper }}"
        " {{ data.none is defined }} {{ data.none|default('-') }} {{ data.id in (1, 2) }}",
    )

    got = rendered("order.shipped", templates)

    assert got.subject == "2 ab 2919.94"
    assert got.text == "1/1 2 1 SHIPPED no - yes\n"


def test_an_event_that_lacks_what_a_template_names_is_a_fault_of_the_template(
    tmp_path: Path,
) -> None:
    templates = own(tmp_path, "subject: a\n\n{{ data.priority }}")
    event = sample("order.shipped")
    event["data"] = {"id": 1}

    with pytest.raises(TemplateFault, match=r"order\.shipped\.txt:3: .* has no attribute"):
        templates.render("order.shipped", context_of(event))


def test_an_event_of_an_unknown_type_has_the_general_text() -> None:
    event = {**sample("order.shipped"), "type": "coupon.created", "subject": "coupon/3"}

    got = DEFAULTS.render("coupon.created", context_of(event))

    assert got.subject == "coupon.created: coupon/3"
    assert got.text.startswith("orderd reported an event of type coupon.created.\n")


@pytest.mark.parametrize(
    "event_type", [each for each in KNOWN if each.partition(".")[0] != "order"]
)
def test_an_event_without_time_subject_and_correlation_id_has_a_text(event_type: str) -> None:
    event = {**sample(event_type), "time": None, "subject": None}

    assert "None" not in DEFAULTS.render(event_type, context_of(event)).text


def test_a_message_of_blanks_has_its_type_as_its_subject() -> None:
    assert rendered("user.notice", message=" \n ").subject == "user.notice"


def test_texts_are_cut_where_they_are_too_long() -> None:
    long = rendered("user.notice", message="ü" * 1_000_000)
    many = rendered("order.shipped", items=[{"quantity": 1, "product_id": n} for n in range(999)])

    assert len(long.subject) <= 200
    assert len(long.text) < 20_000
    assert many.text.endswith("  and 899 more\n")


def test_an_output_without_end_is_cut(tmp_path: Path) -> None:
    source = "subject: a\n{% for i in data.items %}{{ data.note|default('') }}{% endfor %}"
    templates = own(tmp_path, source)

    got = rendered("order.shipped", templates, items=[1] * 1_000, note="ü" * 10_000)

    assert len(got.text.encode()) <= (1 << 16) + 1
    assert set(got.text) == {"ü", "\n"}


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_of_others_leaves_its_line_of_the_subject(
    message: str, name: str, source: str
) -> None:
    event = sample("admin.notice")
    event["payload"]["message"] = message
    event["source"] = source
    user = {**USER, "full_name": name}

    for_admins = DEFAULTS.render("admin.notice", context_of(event, user), "admin")
    for_users = DEFAULTS.render("user.notice", context_of(event, user), "user")

    for got in (for_admins, for_users):
        assert not unseen(got.subject)
        assert "=?" not in got.subject
        assert not unseen(got.text) - {"\n", "\t"}
    greeting = for_users.text.split("\n")[0]
    assert greeting.startswith(("Dear ", "Hello,"))


@given(ANY_TEXT)
def test_what_looks_like_a_template_in_a_text_of_others_is_text(text: str) -> None:
    hostile = f"{{{{ 7 * 6 }}}}{{% if %}}{text}"

    got = rendered("admin.notice", message=hostile)

    assert got.text.startswith("{{ 7 * 6 }}{% if %}")


def test_the_templates_are_all_in_the_package() -> None:
    names = {file.stem for file in SHIPPED.iterdir()}

    assert {"digest", "refused", "user", "admin", "event"} < names
    assert set(KNOWN) - names == {each for each in KNOWN if each.endswith(".refused")}
