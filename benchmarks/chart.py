"""A chart as SVG whose scales are both logarithmic, for docs."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

COLOURS = ("#1f6f8b", "#c0392b", "#7d3c98", "#1e8449", "#b9770e", "#34495e")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 70, 40, 230, 50
LINE = 16

Lines = Mapping[str, Sequence[tuple[float, float]]]
"""By name: sizes in order, and the seconds that each takes."""


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that fits the logarithms best. 1: twice the size takes twice
    as long.
    """
    slope, _ = statistics.linear_regression(
        [math.log(size) for size, _ in points], [math.log(taken) for _, taken in points]
    )
    return slope


def draw(title: str, unit: str, lines: Lines) -> str:
    """The chart; each line ends with its name and exponent. unit: of the sizes."""
    frame = _Frame.of(lines)
    parts = [
        *frame.axes(sorted({size for points in lines.values() for size, _ in points})),
        *frame.lines(lines),
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 8}">{escape(unit)}</text>',
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    font = 'font-family="sans-serif" font-size="12"'
    return "\n".join([f"{head} {font}>", ground, *parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Frame:
    """The logarithms of the least and the largest size; the decades of seconds below and above."""

    sizes: tuple[float, float]
    decades: range

    @classmethod
    def of(cls, lines: Lines) -> "_Frame":
        points = [point for one in lines.values() for point in one]
        sizes = [math.log10(size) for size, _ in points]
        taken = [math.log10(seconds) for _, seconds in points]
        decades = range(math.floor(min(taken)), math.ceil(max(taken)) + 1)
        return cls((min(sizes), max(sizes)), decades)

    def x(self, size: float) -> float:
        share = (math.log10(size) - self.sizes[0]) / (self.sizes[1] - self.sizes[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, seconds: float) -> float:
        share = (math.log10(seconds) - self.decades[0]) / (self.decades[-1] - self.decades[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def axes(self, sizes: Sequence[float]) -> Iterator[str]:
        for decade in self.decades:
            y = self.y(10.0**decade)
            told = f"{10**decade:,} s" if decade >= 0 else f"{10.0 ** (decade + 3):g} ms"
            yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
        y = HEIGHT - BOTTOM + 20
        for size in sizes:
            yield f'<text x="{self.x(size):.1f}" y="{y}" text-anchor="middle">{size:,.0f}</text>'

    def lines(self, lines: Lines) -> Iterator[str]:
        free = 0.0  # names of lines that end beside each other stand below each other
        ends = sorted(lines, key=lambda name: -lines[name][-1][1])
        for name, colour in zip(ends, COLOURS, strict=False):
            points = [(self.x(size), self.y(seconds)) for size, seconds in lines[name]]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            for x, y in points:
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            free = max(free + LINE, points[-1][1] + 4)
            told = f"{escape(name)}: {exponent(lines[name]):.2f}"
            yield f'<text x="{WIDTH - RIGHT + 10}" y="{free:.1f}" fill="{colour}">{told}</text>'
