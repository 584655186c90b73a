"""Metrics of several daemons as one text."""

from orderd.ctl.metric_texts import joined

FIRST = """\
# HELP a x
# TYPE a gauge
a{daemon="1"} 1.0
# HELP b x
# TYPE b counter
b{daemon="1"} 2.0
"""
SECOND = """\
# HELP a another version says it otherwise
# TYPE a gauge
a{daemon="2"} 3.0
# HELP c x
# TYPE c gauge
c{daemon="2"} 4.0
"""


def test_samples_of_a_metric_stand_together_behind_one_help() -> None:
    assert joined([FIRST, SECOND]).splitlines() == [
        "# HELP a x",
        "# TYPE a gauge",
        'a{daemon="1"} 1.0',
        'a{daemon="2"} 3.0',
        "# HELP b x",
        "# TYPE b counter",
        'b{daemon="1"} 2.0',
        "# HELP c x",
        "# TYPE c gauge",
        'c{daemon="2"} 4.0',
    ]


def test_one_text_stays_as_it_is() -> None:
    assert joined([FIRST]) == FIRST
    assert joined([]) == ""
