"""Who has no token learns nothing but that."""

from hashlib import sha256

import pytest

from orderd.amqp.message import Delivery
from orderd.shop.authorize import Grant
from tests.integration.pipeline.shop import Shop
from tests.support.commands import delivery, request

GRANTS = {sha256(b"s3cret").hexdigest(): Grant("catalogue", ("product.*",))}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"action":"create"}', "unauthorized"),
        (b'{"action":"explode"}', "unauthorized"),
        (b'{"action":"create","version":"v9"}', "unauthorized"),
        (b'{"action":"create","data":{"colour":1}}', "unauthorized"),
        (b'{"action":"create","auth":"other","data":7}', "unauthorized"),
        (b'{"action":"create","auth":7}', "malformed"),
        (b'{"action":7}', "malformed"),
        (b'{"action":', "malformed"),
    ],
)
@pytest.mark.parametrize("queue", ["product", "order"])
def test_a_message_without_a_known_token_is_turned_away_first(
    shop: Shop, queue: str, body: bytes, code: str
) -> None:
    assert code_of(shop, delivery(queue, body)) == code


@pytest.mark.parametrize(
    ("queue", "body", "code"),
    [
        ("order", b'{"action":"explode","auth":"s3cret"}', "forbidden"),
        ("order", b'{"action":"list","auth":"s3cret","version":"v9"}', "forbidden"),
        ("order", b'{"action":"create","auth":"s3cret","data":7}', "forbidden"),
        ("product", b'{"action":"explode","auth":"s3cret"}', "unknown_action"),
        ("product", b'{"action":"list","auth":"s3cret","version":"v9"}', "unsupported_version"),
        ("product", b'{"action":"create","auth":"s3cret","data":7}', "invalid_data"),
        ("product", b'{"action":"list","auth":"s3cret"}', None),
    ],
)
def test_a_known_token_is_told_what_is_wrong_with_what_it_may_do(
    shop: Shop, queue: str, body: bytes, code: str | None
) -> None:
    assert code_of(shop, delivery(queue, body)) == code


def test_a_health_check_needs_no_token(shop: Shop) -> None:
    assert code_of(shop, request("order", "health_check")) is None


def code_of(shop: Shop, one: Delivery) -> str | None:
    shop.policy.grants = GRANTS
    (result,) = shop.process([one])
    assert result.response is not None
    return result.response.code
