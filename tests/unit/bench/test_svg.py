from xml.etree import ElementTree as ET

import pytest

from bench import charts, svg
from bench.charts import Bar
from bench.ratios import Spread

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("greatest", "expected"),
    [
        (8_649, [0, 2_000, 4_000, 6_000, 8_000, 10_000]),
        (10_320, [0, 2_500, 5_000, 7_500, 10_000, 12_500]),
        (1_000, [0, 200, 400, 600, 800, 1_000]),
        (0.7, [0, 0.2, 0.4, 0.6, 0.8]),
        (0, [0, 1]),
    ],
)
def test_ticks_are_round_and_reach_the_greatest_value(
    greatest: float, expected: list[float]
) -> None:
    assert svg.ticks(greatest) == pytest.approx(expected)


def test_a_scale_leads_from_the_lowest_to_the_highest_value() -> None:
    linear = svg.scale(0, 10, 100, 200, logarithmic=False)
    logarithmic = svg.scale(1, 1_000, 0, 300, logarithmic=True)

    assert [linear(0), linear(5), linear(10)] == [100, 150, 200]
    assert [logarithmic(1), logarithmic(10), logarithmic(1_000)] == pytest.approx([0, 100, 300])
    assert svg.scale(4, 4, 0, 300, logarithmic=False)(4) == 0


def test_axes_show_short_numbers() -> None:
    shown = [svg.short(value) for value in (0, 0.5, 200, 1_500, 5_000_000)]
    assert shown == ["0", "0.5", "200", "1.5k", "5M"]


def test_bars_are_as_long_as_their_medians_and_orderd_stands_out() -> None:
    rows = [
        Bar("orderd <1>", Spread(4_000, 3_000, 5_000), is_emphasized=True),
        Bar("other", Spread(1_000, 900, 1_100), is_emphasized=False),
    ]

    picture = ET.fromstring(charts.bars("Orders a second", rows))  # noqa: S314 - ours

    long, short = picture.findall(f"{SVG}rect")[1:]
    assert float(long.get("width", 0)) == pytest.approx(4 * float(short.get("width", 0)))
    assert [each.get("class") for each in (long, short)] == ["a", "b"]
    words = [each.text for each in picture.iter(f"{SVG}text")]
    assert {"orderd <1>", "other", "4,000", "1,000"} <= set(words)


def test_a_curve_has_a_point_with_its_spread_for_each_case() -> None:
    lines = {
        "orderd": {1.0: Spread(200, 100, 300), 100.0: Spread(3_000, 2_500, 3_100)},
        "pgbench": {1.0: Spread(500, 500, 500)},
    }

    text = charts.curve("Batch size", "commands", lines, is_logarithmic=True)

    picture = ET.fromstring(text)  # noqa: S314 - ours
    assert len(picture.findall(f"{SVG}circle")) == 3
    whiskers = [each for each in picture.iter(f"{SVG}line") if each.get("class") == "whisker"]
    assert len(whiskers) == 3
    assert len(picture.findall(f"{SVG}polyline")) == 2
    assert {"orderd", "pgbench", "commands", "100"} <= {
        each.text for each in picture.iter(f"{SVG}text")
    }


def test_pictures_have_colours_for_dark_pages() -> None:
    picture = charts.bars("Orders a second", [])

    light, dark = picture.split("@media (prefers-color-scheme: dark)")
    for name in (".paper", ".a {", ".b {", ".grid", ".whisker"):
        assert name in light
        assert name in dark
