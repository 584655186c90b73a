"""`orderctl dlq groups`: what many dead letters have in common."""

from datetime import UTC, datetime

from orderd.ctl.dlq.groups import GROUPS_MAX
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import CAUSES, Broker, Cause, bury_many, letter_of


def moment(number: int) -> str:
    told = datetime.fromtimestamp(1_700_000_000 + number, UTC)
    return told.isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_a_virtual_host_without_the_queues_is_not_said_to_be_empty(orderctl: Orderctl) -> None:
    done = orderctl("dlq", "list", "--json")

    assert (done.code, done.document["items"]) == (0, [])
    assert done.err == "no dead letter queues: orderd creates them when it first connects\n"


def test_three_causes_of_many_letters_are_three_lines(
    orderctl: Orderctl, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    bury_many(vhost_url, (letter_of(CAUSES[number % 6 // 2 % 3], number) for number in range(600)))

    for_people = orderctl("dlq", "groups")
    found = orderctl("dlq", "groups", "--json").document

    title, *lines = for_people.out.splitlines()
    assert title.split()[:3] == ["group", "count", "queue"]
    assert [line.split()[1] for line in lines] == ["200"] * 3
    assert (for_people.code, for_people.err) == (0, "")
    assert (found["looked_at"], found["others"]) == (600, 0)
    first = found["items"][0]
    assert {each["action"] for each in found["items"]} == {"create", "refund"}
    assert first | {"group": ""} == {
        "group": "",
        "queue": "product",
        "action": "create",
        "code": "retries_exhausted",
        "reason": "unexpected: DivisionByZero: row ? is odd",
        "count": 200,
        "first": moment(0),
        "last": moment(595),
        "sample_id": "letter-0",
        "replayed": 0,
    }
    broker.wait_for("product.dlq", 200)


def test_a_group_can_be_replayed_alone_and_keeps_its_id(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    for number in range(9):
        queue, body, headers = letter_of(CAUSES[number % 3], number)
        broker.bury(queue.removesuffix(".dlq"), body, headers=headers)
    groups = orderctl("dlq", "groups", "order", "--json").document["items"]

    done = orderctl("dlq", "replay", "--group", groups[0]["group"], "--json")

    assert (done.code, done.document["replayed"]) == (0, 3)
    left = orderctl("dlq", "groups", "order", "--json").document["items"]
    assert left == groups[1:]
    assert (broker.ready("order"), broker.ready("product"), broker.ready("order.dlq")) == (3, 0, 3)
    gone = orderctl("dlq", "replay", "--group", groups[0]["group"])
    assert (gone.code, gone.out) == (0, "0 replayed; 6 of 6 checked\n")
    assert gone.err == f"no dead letters of group {groups[0]['group']}\n"


def test_what_dies_again_is_known_to_have_been_replayed(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    daemon()
    for number in range(3):
        orderctl("publish", "order", "refund", "--id", f"r-{number}")
    broker.wait_for("order.dlq", 3)

    orderctl("dlq", "replay", "--id", "r-0", "--id", "r-1")
    broker.wait_for("order.dlq", 3)
    orderctl("dlq", "replay", "--id", "r-0")
    broker.wait_for("order.dlq", 3)

    [group] = orderctl("dlq", "groups", "--json").document["items"]
    assert (group["count"], group["replayed"]) == (3, 2)
    counts = {
        letter["request"]["id"]: letter["headers"].get("orderd-replayed")
        for letter in orderctl("dlq", "show", "--json").document["items"]
    }
    assert counts == {"r-0": 2, "r-1": 1, "r-2": None}


def test_more_causes_than_can_be_told_apart_are_counted_together(
    orderctl: Orderctl, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    causes = (Cause("user", f"a{n:x}", "unknown_action", "x") for n in range(GROUPS_MAX + 5))
    bury_many(vhost_url, (letter_of(cause, number) for number, cause in enumerate(causes)))

    done = orderctl("dlq", "groups", "user")

    assert len(done.out.splitlines()) == 1 + GROUPS_MAX
    assert done.err == f"5 more in other groups: only {GROUPS_MAX} are told apart\n"


def test_no_letters_are_no_groups(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()

    done = orderctl("dlq", "groups")

    assert (done.code, done.out, done.err) == (0, "", "no dead letters\n")
    assert orderctl("dlq", "groups", "--json").document["items"] == []


def test_what_is_no_group_is_wrong_usage(orderctl: Orderctl) -> None:
    done = orderctl("dlq", "replay", "--group", "order")

    assert done.code == 2
    assert "--group: must be a group of orderctl dlq groups" in done.err
