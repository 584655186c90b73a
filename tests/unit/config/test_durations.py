import pytest

from orderd.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("0.25", 0.25),
        ("500ms", 0.5),
        ("5s", 5.0),
        (" 2 min ", 120.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        ("90d", 7_776_000.0),
    ],
)
def test_a_duration_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "5 m", "1w", "1e3", "5s5s", "nan", "\u0665s", "1h30min"]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="500ms, 5s, 2min, 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["0s", "1ms", "500ms", "1500ms", "5s", "90s", "5min", "1h", "24h", "2d", "90d"]
)
def test_a_formatted_duration_reads_back_the_same(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
