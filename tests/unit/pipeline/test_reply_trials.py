"""Which direct reply addresses are known, and how many connections unknown ones may cost."""

import base64

from orderd.amqp.reply_address import REPLY_TO, family_of
from orderd.pipeline.reply_trials import LOSSES_MAX, ReplyTrials


def address(process: int = 1, node: str = "reply@7", creation: int = 1) -> str:
    numbers = b"".join(number.to_bytes(4, "big") for number in (process, 0, creation))
    name = node.encode()
    encoded = b"\x83Xv" + len(name).to_bytes(2, "big") + name + numbers
    return f"{REPLY_TO}.{base64.b64encode(encoded).decode()}.key"


class Now:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


def test_an_address_of_a_known_node_is_known() -> None:
    trials = ReplyTrials()
    trials.learn(family_of(address(1)))

    assert trials.is_known(address(32_767))
    assert not trials.is_known(address(32_768))
    assert not trials.is_known(address(node="reply@8"))
    assert not trials.is_known(address(creation=2))
    assert not trials.is_known(f"{REPLY_TO}.none.key")


def test_what_was_survived_is_known_until_it_costs_a_connection() -> None:
    trials = ReplyTrials()
    trials.survived(address(1))
    assert trials.is_known(address(2))

    trials.lost(address(3))

    assert not trials.is_known(address(2))


def test_what_is_not_known_may_cost_few_connections_at_once_and_more_later() -> None:
    now = Now()
    trials = ReplyTrials(now)

    lost = 0
    while trials.may_try:
        trials.lost(address(node=f"reply@{lost}"))
        lost += 1

    assert lost == LOSSES_MAX
    now.s += 5
    assert not trials.may_try
    now.s += 6
    assert trials.may_try


def test_the_last_ones_used_stay_known() -> None:
    trials = ReplyTrials()
    trials.learn(family_of(address()))

    for number in range(1_000):
        trials.survived(address(node=f"reply@1{number}"))
        assert trials.is_known(address())

    assert not trials.is_known(address(node="reply@10"))
