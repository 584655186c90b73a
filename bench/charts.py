"""The pictures: rates of all systems as bars, and one small chart a curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import svg
from bench.ratios import Spread

BAR_HEIGHT = 18
ROW_HEIGHT = 30
LABELS_WIDTH = 330
WIDTH = 760
TOP = 44

CURVE_WIDTH = 380
CURVE_HEIGHT = 260
LEFT, RIGHT, BOTTOM = 56, 20, 52
LABEL_WIDTH = 24
KINDS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Bar:
    """One system; the emphasized ones are orderd."""

    label: str
    rate: Spread
    is_emphasized: bool


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars of medians, with a thin line from the least to the greatest."""
    height = TOP + ROW_HEIGHT * len(rows) + 36
    marks = svg.ticks(max((row.rate.greatest for row in rows), default=1))
    at = svg.scale(0, marks[-1], LABELS_WIDTH, WIDTH - 70, logarithmic=False)
    bottom = TOP + ROW_HEIGHT * len(rows)
    elements = []
    for mark in marks:
        elements.append(svg.line(at(mark), TOP - 6, at(mark), bottom, "grid"))
        elements.append(svg.text(at(mark), bottom + 18, svg.short(mark), "faint middle"))
    for number, row in enumerate(rows):
        elements += _bar(row, TOP + ROW_HEIGHT * number, at)
    return svg.picture(WIDTH, height, title, elements)


def curve(
    title: str,
    unit: str,
    lines: Mapping[str, Mapping[float, Spread]],
    *,
    is_logarithmic: bool,
) -> str:
    """Return orders a second over what is varied, each point with its spread."""
    xs = sorted({x for line in lines.values() for x in line})
    greatest = max(point.greatest for line in lines.values() for point in line.values())
    marks = svg.ticks(greatest)
    right, bottom = CURVE_WIDTH - RIGHT, CURVE_HEIGHT - BOTTOM
    across = svg.scale(xs[0], xs[-1], LEFT + 10, right - 10, logarithmic=is_logarithmic)
    up = svg.scale(0, marks[-1], bottom, TOP, logarithmic=False)
    elements = []
    for mark in marks:
        elements.append(svg.line(LEFT, up(mark), right, up(mark), "grid"))
        elements.append(svg.text(LEFT - 6, up(mark) + 4, svg.short(mark), "faint end"))
    elements += [
        svg.text(across(x), bottom + 18, svg.short(x), "faint middle")
        for x in _readable(xs, across)
    ]
    elements.append(svg.text((LEFT + right) / 2, bottom + 38, unit, "faint middle"))
    for kind, (name, points) in zip(KINDS, lines.items(), strict=False):
        elements += _line(points, across, up, kind)
        if len(lines) > 1:
            x = max(points)
            label = svg.text(across(x), up(points[x].median) - 10, name, "end")
            elements.append(label)
    return svg.picture(CURVE_WIDTH, CURVE_HEIGHT, f"{title}: orders/s", elements)


def _bar(row: Bar, top: float, at: svg.Scale) -> list[str]:
    middle = top + BAR_HEIGHT / 2
    rate = row.rate
    kind = "a" if row.is_emphasized else "b"
    return [
        svg.text(LABELS_WIDTH - 10, middle + 4, row.label, "end"),
        svg.bar(at(0), top, max(at(rate.median) - at(0), 1), BAR_HEIGHT, kind),
        svg.line(at(rate.least), middle, at(rate.greatest), middle, "whisker"),
        svg.text(at(rate.greatest) + 8, middle + 4, f"{rate.median:,.0f}"),
    ]


def _line(points: Mapping[float, Spread], across: svg.Scale, up: svg.Scale, kind: str) -> list[str]:
    elements = [svg.polyline([(across(x), up(points[x].median)) for x in sorted(points)], kind)]
    for x, point in sorted(points.items()):
        ends = (across(x), up(point.least), across(x), up(point.greatest))
        elements += [svg.line(*ends, "whisker"), svg.dot(across(x), up(point.median), kind)]
    return elements


def _readable(xs: Sequence[float], across: svg.Scale) -> list[float]:
    """Return the values whose labels do not touch, the last one among them."""
    kept: list[float] = []
    for x in reversed(xs):
        if not kept or across(kept[-1]) - across(x) >= LABEL_WIDTH:
            kept.append(x)
    return kept[::-1]
