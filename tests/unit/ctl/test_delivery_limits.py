"""Which delivery limit is in force, as RabbitMQ 3.10.8, 4.0.5 and 4.3.6 were seen to have it."""

from dataclasses import replace

import pytest

from orderd.amqp.inspection import needed
from orderd.ctl.lint.delivery_limits import Version, delivery_limit
from orderd.ctl.lint.queue_facts import QueueFacts
from orderd.ctl.lint.rules import judge_delivery_limit

WANTED = {each.name: each for each in needed([5.0])}


def queue(
    argument: int | None = None, policy: int | None = None, exchange: str | None = None
) -> QueueFacts:
    arguments = {} if argument is None else {"x-delivery-limit": argument}
    definition: dict[str, int | str] = {} if policy is None else {"delivery-limit": policy}
    if exchange is not None:
        definition["dead-letter-exchange"] = exchange
    return QueueFacts(
        "order",
        "quorum",
        is_durable=True,
        messages=0,
        arguments=arguments,
        definition=definition,
        policy="p" if definition else None,
    )


@pytest.mark.parametrize(
    ("version", "argument", "policy", "limit"),
    [
        ((3, 10), None, None, None),
        ((3, 10), -1, None, 0),
        ((3, 10), 5, None, 5),
        ((3, 10), 5, 8, 5),
        ((3, 10), 8, 5, 5),
        ((3, 10), None, 25, 25),
        ((4, 0), None, None, 20),
        ((4, 0), -1, None, None),
        ((4, 0), None, -1, None),
        ((4, 0), None, 25, 25),
        ((4, 0), 5, -1, 5),
        ((4, 0), -1, 4, 4),
        ((4, 1), None, -1, 20),
        ((4, 2), None, -1, 20),
        ((4, 2), None, 100, 100),
        ((4, 3), None, None, 20),
        ((4, 3), None, -1, None),
        ((4, 3), 8, 5, 5),
    ],
)
def test_the_limit_in_force_depends_on_the_version(
    version: Version, argument: int | None, policy: int | None, limit: int | None
) -> None:
    assert delivery_limit(queue(argument, policy), version).value == limit


@pytest.mark.parametrize(
    ("version", "argument", "policy", "source"),
    [
        ((4, 0), None, None, "default of RabbitMQ 4.0"),
        ((4, 0), 30, 50, "argument x-delivery-limit: delivery-limit 30"),
        ((4, 3), None, 50, "policy p: delivery-limit 50"),
        ((4, 3), None, -1, "policy p: delivery-limit -1"),
        (
            (4, 1),
            None,
            -1,
            "default of RabbitMQ 4.1; policy p: delivery-limit -1 has no effect there",
        ),
        (
            (3, 13),
            -1,
            None,
            "argument x-delivery-limit: delivery-limit -1, which means 0 on RabbitMQ 3.13",
        ),
    ],
)
def test_it_is_told_where_the_limit_comes_from(
    version: Version, argument: int | None, policy: int | None, source: str
) -> None:
    assert delivery_limit(queue(argument, policy), version).source == source


def test_only_quorum_queues_have_a_limit() -> None:
    assert delivery_limit(replace(queue(5), type="classic"), (4, 0)).value is None


def contradictions(name: str, facts: QueueFacts, version: Version) -> list[tuple[str, str]]:
    limit = delivery_limit(facts, version)
    found = judge_delivery_limit(WANTED[name], facts, limit)
    return [(one.problem, one.fix) for one in found]


@pytest.mark.parametrize("name", ["order", "order.dlq", "order.retry.5s"])
@pytest.mark.parametrize("version", [(3, 10), (4, 0), (4, 2), (4, 3)])
def test_a_limit_that_orderd_can_work_with_is_no_contradiction(name: str, version: Version) -> None:
    for policy in (None, 6, 20, 1000):
        assert contradictions(name, queue(policy=policy), version) == []


def test_a_limit_that_is_too_low_is_one_with_a_fix_that_works_on_every_version() -> None:
    [(problem, fix)] = contradictions("order", queue(policy=5), (4, 0))
    assert problem == (
        "policy p: delivery-limit 5: orderd renews a message after 3 deliveries, and past the "
        "limit the broker drops the message"
    )
    assert fix.startswith("raise it to 20 or more; or take delivery-limit out of it")
    # A policy cannot raise an argument, and arguments on a command queue break other producers.
    [(_, fix)] = contradictions("order", queue(5), (4, 0))
    assert fix == "when it is empty, delete the queue and run: orderctl topology apply"


def test_a_dead_letter_exchange_takes_what_would_be_dropped() -> None:
    facts = queue(policy=3, exchange="dlx")

    [(problem, _)] = contradictions("order.dlq", facts, (4, 3))

    assert problem.endswith("the broker moves it to the dead letter exchange")
