"""The limits of texts, lists and choices, at their edges."""

import pytest

from orderd.protocol.envelope import Command
from tests.unit.protocol.fields import (
    BIGINT_MAX,
    NO_INTEGERS,
    ORDER,
    PRODUCT,
    USER,
    decoded,
    raw,
    refused,
    taken,
)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("x", "x"),
        (" \t x y \n", "x y"),
        ("x" * 200, "x" * 200),
        ("  " + "x" * 200 + "  ", "x" * 200),
        ("☃" * 200, "☃" * 200),
        ("\x01a\x7f", "\x01a\x7f"),
        ("a\u200b", "a\u200b"),
        ("क\u200cष", "क\u200cष"),
        ("a\nb", "a\nb"),
        ("Robert'); DROP TABLE products;--", "Robert'); DROP TABLE products;--"),
    ],
)
def test_names_are_trimmed_and_reach_to_200_characters(name: str, kept: str) -> None:
    assert taken("product", "create", PRODUCT | {"name": name}, "name") == kept


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", " \t\n", "x" * 201, "☃" * 201, "a\x00b", "\x00", "\ud800", "a\udfffb"),
        *(1, True, None, [], ["x"], {}, raw("1.5")),
    ],
)
def test_other_names_are_invalid(name: object) -> None:
    assert refused("product", "create", PRODUCT | {"name": name}).startswith("data.name ")


@pytest.mark.parametrize(
    "name",
    [
        *("\u200b", "\ufeff", "\x01\x7f", "\x1b", "\x85\u00ad", "\u200b \u2060", "\u202e" * 200),
        *("\u200d", "\u200c\u200d", "\u3000\u200b", "\U000e0041"),
    ],
)
@pytest.mark.parametrize(
    ("queue", "data", "field"),
    [("product", PRODUCT, "name"), ("user", USER, "username"), ("user", USER, "full_name")],
)
def test_a_name_has_something_to_see(
    queue: str, data: dict[str, object], field: str, name: str
) -> None:
    reason = refused(queue, "create", data | {field: name})

    assert reason.startswith(f"data.{field} must have a visible character")


@pytest.mark.parametrize(
    ("username", "named"),
    [
        ("ada\u200b", "U+200B"),
        ("\ufeffada", "U+FEFF"),
        ("a\u00adda", "U+00AD"),
        ("ada\x07", "U+0007"),
        ("a\tda", "U+0009"),
        ("ad\u202ea", "U+202E"),
        ("ada\U000e0041", "U+E0041"),
    ],
)
def test_a_username_has_nothing_that_cannot_be_seen(username: str, named: str) -> None:
    reason = refused("user", "create", USER | {"username": username})

    assert reason.startswith(f"data.username must not contain the invisible {named}; got ")


@pytest.mark.parametrize(
    "username", ["Ada", "ünï ☃", "क\u200cष", "\U0001f469\u200d\U0001f4bb", "a b"]
)
def test_other_usernames_are_kept(username: str) -> None:
    assert taken("user", "create", USER | {"username": username}, "username") == username


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize(
    "email",
    ["ada\u200b@x.org", "\ufeffada@x.org", "a\u00adda@x.org", "ada@x\u200b.org", "a\x07@x.org"],
)
def test_an_email_has_nothing_that_cannot_be_seen(action: str, email: str) -> None:
    data = {"id": 1} if action == "update" else USER

    assert refused("user", action, data | {"email": email}).startswith("data.email ")


@pytest.mark.parametrize(
    ("email", "kept"),
    [
        ("a@x.org", "a@x.org"),
        (" a@x.org ", "a@x.org"),
        ("Ann.B+tag@X.ORG", "Ann.B+tag@x.org"),
        ("Ann <a@x.org>", "a@x.org"),
        ("ü@bücher.example.org", "ü@bücher.example.org"),
    ],
)
def test_an_email_is_kept_as_pydantic_normalises_it(email: str, kept: str) -> None:
    assert taken("user", "create", USER | {"email": email}, "email") == kept


@pytest.mark.parametrize(
    "email",
    [
        *("", " ", "x", "@x.org", "a@", "a@x", "a b@x.org", "a@x..org", "a@@x.org"),
        *("a\x00@x.org", "a@x.org\x00", "\ud800@x.org", "a@" + "x" * 250),
        *(f"{'a' * 60}@{'x' * 60}.{'y' * 60}.{'z' * 20}.org", 1, True, None, [], {}),
    ],
)
def test_other_emails_are_invalid(email: object) -> None:
    assert refused("user", "create", USER | {"email": email}).startswith("data.email ")


@pytest.mark.parametrize("active", [0, 1, "true", "", None, [], raw("1.0")])
def test_only_true_and_false_are_truth_values(active: object) -> None:
    reason = refused("user", "create", USER | {"is_active": active})

    assert reason.startswith("data.is_active ")


@pytest.mark.parametrize(("count", "is_valid"), [(0, False), (1, True), (100, True), (101, False)])
@pytest.mark.parametrize("action", ["create", "update"])
def test_an_order_has_1_to_100_items(action: str, count: int, *, is_valid: bool) -> None:
    items = [{"product_id": 1, "quantity": 1}] * count
    whose = {"user_id": 1} if action == "create" else {"order_id": 1}

    result = decoded("order", action, whose | {"items": items})

    assert isinstance(result, Command) is is_valid


@pytest.mark.parametrize("items", [None, {}, "x", 1, [None], [1], ["x"], [[]], [{}]])
def test_items_are_a_list_of_objects(items: object) -> None:
    assert refused("order", "create", ORDER | {"items": items}).startswith("data.items")


@pytest.mark.parametrize("limit", [1, 500])
def test_a_page_has_1_to_500_rows(limit: int) -> None:
    assert taken("product", "list", {"limit": limit}, "limit") == limit
    assert taken("product", "list", {}, "limit") == 50


@pytest.mark.parametrize("limit", [0, -1, 501, *NO_INTEGERS])
def test_other_pages_are_invalid(limit: object) -> None:
    assert refused("product", "list", {"limit": limit}).startswith("data.limit ")


@pytest.mark.parametrize("after", [0, 1, BIGINT_MAX])
def test_a_page_may_begin_after_any_id(after: int) -> None:
    assert taken("order", "list", {"after": after}, "after") == after


@pytest.mark.parametrize("after", [-1, BIGINT_MAX + 1, *NO_INTEGERS[:5]])
def test_a_page_does_not_begin_anywhere_else(after: object) -> None:
    assert refused("order", "list", {"after": after}).startswith("data.after ")


@pytest.mark.parametrize("status", ["", "Pending", " pending", "lost", 1, True, [], None])
def test_a_status_is_one_of_five(status: object) -> None:
    reason = refused("order", "update_status", {"order_id": 1, "status": status})

    assert reason.startswith("data.status must be 'pending', 'processing', ")


@pytest.mark.parametrize("priority", ["low", "normal", "high"])
def test_an_order_of_v2_has_a_priority(priority: str) -> None:
    assert taken("order", "create", ORDER | {"priority": priority}, "priority") == priority
    assert taken("order", "create", ORDER, "priority") == "normal"


@pytest.mark.parametrize("priority", ["", "urgent", "HIGH", 1, None])
def test_other_priorities_are_invalid(priority: object) -> None:
    reason = refused("order", "create", ORDER | {"priority": priority})

    assert reason.startswith("data.priority ")
