"""What is read from messages of notifications, and that a wrong one is told by its field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.notify.notice import Notice
from orderd.protocol.envelope import Invalid
from orderd.protocol.names import InvalidCode, NoticeQueue
from orderd.protocol.notifications import TYPES, Audience
from tests.unit.notify.notices import BODY_BYTES_MAX, EVENT, ORDER, PLAIN, notice, read

ADMIN = NoticeQueue.ADMIN
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def with_payload(**changes: Any) -> dict[str, Any]:
    return {**PLAIN, "payload": {**PLAIN["payload"], **changes}}


def refusal(content: object, queue: str = NoticeQueue.USER) -> Invalid:
    found = read(content, queue)
    assert isinstance(found, Invalid)
    return found


def test_an_event_of_an_order_is_for_its_user() -> None:
    found = notice(EVENT)

    assert (found.audience, found.user_id) == (Audience.USERS, 1)
    assert (found.type, found.action) == ("order.shipped", "order.shipped")
    assert found.event_id == found.sender_id == EVENT["id"]
    assert found.data == json.loads(json.dumps(ORDER), parse_float=type(found.data["total_amount"]))


def test_an_event_goes_on_as_it_came() -> None:
    event = json.loads(notice(EVENT).cloud_event())

    assert event == EVENT


def test_a_notification_of_another_service_becomes_an_event() -> None:
    event = json.loads(notice({**PLAIN, "correlation_id": "c-1"}).cloud_event())

    assert event == {
        "specversion": "1.0",
        "id": "n-1",
        "source": "accounts",
        "type": "user.password_changed",
        "correlationid": "c-1",
        "datacontenttype": "application/json",
        "data": PLAIN["payload"],
    }


def test_for_administrators_no_user_is_needed() -> None:
    found = notice(with_payload(user_id=None), ADMIN)

    assert (found.audience, found.user_id) == (Audience.ADMINS, None)
    assert notice(PLAIN, ADMIN).user_id is None


@pytest.mark.parametrize("audience", Audience)
def test_the_action_is_a_known_type_or_none_that_a_message_chose(audience: Audience) -> None:
    queue = NoticeQueue.USER if audience is Audience.USERS else ADMIN
    known = {**EVENT, "type": str(TYPES[audience][0])}

    assert notice(known, queue).action == TYPES[audience][0]
    assert notice({**EVENT, "type": "smuggled"}, queue).action == "other"
    assert notice(PLAIN, queue).action == "notification"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**PLAIN, "type": 7}, "type must be a string; got 7"),
        ({**PLAIN, "type": "a\nb"}, "type must not contain characters that cannot be printed"),
        ({**PLAIN, "colour": "red"}, "colour is not a field of this message"),
        ({"type": "user.x", "source": "s"}, "payload is missing"),
        (with_payload(message=""), "payload.message must not be empty"),
        (with_payload(user_id=0), "payload.user_id must be at least 1; got 0"),
        (with_payload(user_id="1"), "payload.user_id must be an integer; got '1'"),
        (with_payload(notification_type="loud"), "payload.notification_type must be 'info'"),
        (with_payload(user_id=None), "payload.user_id is missing"),
        ({**EVENT, "specversion": "0.3"}, "specversion must be '1.0'; got '0.3'"),
        ({**EVENT, "id": ""}, "id must not be empty"),
        ({**EVENT, "data": []}, "data must be"),
        ({**EVENT, "data": {**ORDER, "user_id": "1"}}, "data.user_id must be an integer"),
        ({**EVENT, "data": {"id": 1}}, "data.user_id is missing"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_wrong_one_is_told_by_its_field(content: object, message: str) -> None:
    found = refusal(content)

    assert found.code is InvalidCode.INVALID_DATA
    assert found.message.startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    assert refusal(body).code is InvalidCode.MALFORMED


def test_a_body_that_is_too_large_is_not_read() -> None:
    assert refusal(b"[" * (BODY_BYTES_MAX + 1)).code is InvalidCode.TOO_LARGE


def test_the_property_is_the_id_where_the_body_has_none() -> None:
    without = {name: value for name, value in PLAIN.items() if name != "id"}

    found = read(without, message_id="m-1")
    unnamed = read(without)

    assert isinstance(found, Notice)
    assert isinstance(unnamed, Notice)
    assert (found.event_id, found.place) == ("m-1", "")
    assert (unnamed.event_id, unnamed.sender_id) == ("", None)


@given(content=JSON, queue=st.sampled_from(NoticeQueue))
def test_nothing_that_can_be_sent_raises(content: object, queue: str) -> None:
    assert isinstance(read(content, queue), Notice | Invalid)


@given(changes=st.dictionaries(st.sampled_from([*EVENT, *PLAIN]), JSON), base=st.booleans())
def test_nothing_in_a_field_raises(changes: dict[str, object], *, base: bool) -> None:
    content = {**(EVENT if base else PLAIN), **changes}

    found = read(content)

    assert isinstance(found, Notice | Invalid)
    if isinstance(found, Notice):
        assert json.loads(found.cloud_event())["id"] == found.event_id
