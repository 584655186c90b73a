"""SVG by hand: elements, axes and colours that can be read on a light and on a dark page."""

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

Scale = Callable[[float], float]

# The picture follows the reader's system, since a page cannot style an image.
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.faint { fill: #59636e }
.end { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.whisker { stroke: #1f2328; stroke-width: 1.5 }
.a { fill: #0969da } .b { fill: #8c959f }
polyline { fill: none; stroke-width: 2 }
polyline.a { fill: none; stroke: #0969da } polyline.b { fill: none; stroke: #8c959f }
.paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.faint { fill: #9198a1 }
.grid { stroke: #3d444d }
.whisker { stroke: #f0f6fc }
.a { fill: #4493f8 } .b { fill: #656c76 }
polyline.a { stroke: #4493f8 } polyline.b { stroke: #656c76 }
.paper { fill: #0d1117 }
}
"""


def picture(width: int, height: int, title: str, elements: Sequence[str]) -> str:
    """Return a whole file; *title* is also what a screen reader says."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
            text(16, 24, title, "title"),
            *elements,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return words whose baseline begins there, or ends there (`end`), or is around (`middle`)."""
    return f'<text {_attributes(x=x, y=y)} class="{kind}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<line {_attributes(x1=x1, y1=y1, x2=x2, y2=y2)} class="{kind}"/>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a filled bar."""
    return f'<rect {_attributes(x=x, y=y, width=width, height=height)} rx="2" class="{kind}"/>'


def dot(x: float, y: float, kind: str) -> str:
    """Return a point."""
    return f'<circle {_attributes(cx=x, cy=y)} r="3.5" class="{kind}"/>'


def polyline(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return the line through some points."""
    said = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return f'<polyline points="{said}" class="{kind}"/>'


def scale(low: float, high: float, start: float, end: float, *, logarithmic: bool) -> Scale:
    """Return where a value is drawn: *low* at *start*, *high* at *end*."""
    turn = math.log10 if logarithmic else float
    first, last = turn(low), turn(high)
    width = (last - first) or 1.0
    return lambda value: start + (turn(value) - first) / width * (end - start)


def ticks(greatest: float, count_max: int = 5) -> list[float]:
    """Return round values from 0 to *greatest* or a little above, at most so many besides 0."""
    if greatest <= 0:
        return [0.0, 1.0]
    rough = greatest / count_max
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(greatest / step - 1e-9) + 1)]


def short(value: float) -> str:
    """Return a number as an axis shows it: 200, 1.5k, 5M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _attributes(**places: float) -> str:
    return " ".join(f'{name}="{_number(place)}"' for name, place in places.items())


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
