"""How old a letter is: by the database's clock, whatever the one of the operator's machine says."""

import subprocess

import pytest

from tests.integration.ctl.letters import Broker
from tests.support.clocks import on_a_wrong_clock
from tools.daemon import clean_environment

DAY_S = 86_400


@pytest.mark.parametrize("off_s", [DAY_S, -DAY_S, 0])
def test_a_new_letter_is_not_discarded_for_its_age(
    database_url: str, vhost_url: str, broker: Broker, off_s: int
) -> None:
    broker.declare()
    broker.bury("user", b"new")
    broker.bury("user", b"old", age_s=DAY_S)

    done = subprocess.run(
        [
            *on_a_wrong_clock("orderd.ctl", off_s),
            *("dlq", "discard", "user", "--older-than", "12h", "--yes"),
        ],
        env=clean_environment()
        | {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [letter.body for letter in broker.take_all("user.dlq")] == [b"new"]


def test_an_age_cannot_be_told_without_the_database(vhost_url: str, broker: Broker) -> None:
    broker.declare()
    broker.bury("user", b"new")
    env = {
        "ORDERD_DATABASE_URL": "postgresql://u@127.0.0.1:1/x",
        "ORDERD_RABBITMQ_URL": vhost_url,
    }
    argv = (*on_a_wrong_clock("orderd.ctl", 0), "dlq", "list", "user")

    by_age = subprocess.run(
        [*argv, "--newer-than", "1h"],
        env=clean_environment() | env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    listed = subprocess.run(
        argv, env=clean_environment() | env, capture_output=True, timeout=60, check=False
    )

    assert (by_age.returncode, listed.returncode) == (69, 0)
