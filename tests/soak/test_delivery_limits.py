"""Daemons end again and again while the database answers nobody, on quorum queues."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.acceptance.deliveries import (
    ENDS,
    MAKERS,
    assert_all_applied_once,
    end_again_and_again,
    nobody_is_answered,
    send_commands,
    settled,
)
from tests.conftest import StartDaemonOn
from tests.soak.chaos_run import times
from tests.soak.conftest import FIGURES
from tests.soak.figures import Figures
from tests.support.versions import Broker

pytestmark = pytest.mark.soak

COMMANDS = 300
# More than the 20 deliveries that RabbitMQ 4 allows where nobody says otherwise.
ENDINGS = {"kills": 24, "restarts": 23}


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Iterator[Figures]:
    """A row of the table of figures."""
    one = Figures("")
    yield one
    pytestconfig.stash.setdefault(FIGURES, []).append(one)


@pytest.mark.parametrize("made_by", MAKERS)
@pytest.mark.parametrize("how", ENDS)
def test_endings_on_quorum_queues_cost_nothing(
    broker: Broker,
    database_url: str,
    daemon_on: StartDaemonOn,
    figures: Figures,
    *,
    how: str,
    made_by: str,
) -> None:
    figures.fault = f"{how}, quorum queues of {made_by}, RabbitMQ {broker.version}"
    shop = MAKERS[made_by](broker, database_url, daemon_on)
    start = partial(daemon_on, broker.url, shutdown_timeout=1)
    ids = send_commands(shop, COMMANDS)
    figures.requests = len(ids)

    with nobody_is_answered(database_url):
        end_again_and_again(shop, start, times(ENDINGS[how]), ENDS[how])
    figures.kills = times(ENDINGS[how]) if how == "kills" else 0
    figures.outages = 1

    outcomes = settled(shop, start, ids)
    figures.lost, figures.is_audited = len(set(ids) - outcomes.keys()), True
    assert_all_applied_once(shop, outcomes, ids)
    shop.close()
