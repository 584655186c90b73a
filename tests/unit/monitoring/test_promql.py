"""What an expression names is found, and what nothing exposes is told."""

import pytest

from tests.unit.monitoring.known import faults
from tests.unit.monitoring.promql import Matcher, Selector, names


def test_metrics_labels_and_values_are_found() -> None:
    found = names(
        'histogram_quantile(0.99, sum by (queue, le) (rate(a_bucket{queue!~"x|y", b="c\\"d"}[5m])))'
        " and on (instance) b offset 1h unless time() - sum(c) > 1e3"
    )

    assert found.grouping == {"queue", "le", "instance"}
    assert found.selectors == [
        Selector("a_bucket", [Matcher("queue", "!~", "x|y"), Matcher("b", "=", 'c"d')]),
        Selector("b"),
        Selector("c"),
    ]


@pytest.mark.parametrize(
    "expression",
    [
        'sum by (queue) (rate(orderd_messages_total{outcome="applied"}[5m]))',
        "max(orderd_outbox_rows)",
        "orderd_batch_messages_sum / orderd_batch_messages_count",
        'orderd_queue_messages{queue=~".+[.]dlq", daemon="shop1", instance="shop1:9645"}',
        'up{job="orderd"} == 0',
    ],
)
def test_what_orderd_exposes_is_no_fault(expression: str) -> None:
    assert faults(expression) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(orderd_message_total[5m])", "no metric orderd_message_total"),
        ("orderd_batch_messages", "no metric orderd_batch_messages"),
        ("process_open_fds", "no metric process_open_fds"),
        ('orderd_retries_total{action="create"}', "orderd_retries_total has no label action"),
        ("sum by (code) (orderd_batches_total)", "grouped by code"),
        ("sum by (le) (orderd_batch_messages_count)", "grouped by le"),
        ("a and on (queue) b", "grouped by queue"),
        ('orderd_state{state=~"running|working"}', "nothing is selected by orderd_state"),
        ('orderd_dead_letters_total{code="expired"}', "nothing is selected by"),
        ('orderd_queue_messages{queue=~".+[.]dead"}', "nothing is selected by"),
    ],
)
def test_what_nothing_exposes_is_told(expression: str, fault: str) -> None:
    assert faults(expression)[0].startswith(fault)
