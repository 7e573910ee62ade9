"""The dashboard as one picture (SVG), of what Prometheus had: for whoever wants to look at it.

It is no Grafana: lines, their names and the largest value, each panel in its place.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from tests.watch.files import dashboard
from tests.watch.prometheus import Prometheus

COLUMN, LINE = 64, 36
"""The size of a place of the grid, which has 24 columns."""
COLOURS = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
MOST_NAMES = 6

Points = list[tuple[float, float]]


def draw(prometheus: Prometheus, began: datetime) -> str:
    """The picture of what was scraped since an instant."""
    ended = datetime.now(UTC)
    shapes, bottom = [], 0
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        bottom = max(bottom, (place["y"] + place["h"]) * LINE)
        if panel["type"] == "row":
            left, top = place["x"] * COLUMN + 8, place["y"] * LINE + 25
            shapes.append(_text(left, top, panel["title"], 17))
        else:
            shapes.append(_panel(panel, _series(prometheus, panel, began, ended)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * COLUMN}" height="{bottom}"'
        ' font-family="sans-serif"><rect width="100%" height="100%" fill="#f3f4f6"/>'
        f"{''.join(shapes)}</svg>\n"
    )


def _series(
    prometheus: Prometheus, panel: dict[str, Any], began: datetime, ended: datetime
) -> list[tuple[str, Points]]:
    """Every line of a panel under its name."""
    found = []
    for target in panel["targets"]:
        data = prometheus.get(
            "query_range", query=target["expr"], start=began.isoformat(), end=ended.isoformat(),
            step="2",
        )  # fmt: skip
        for one in data["result"]:
            points = [(float(at), float(value)) for at, value in one["values"]]
            name = target["legendFormat"]
            for label, value in one["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            found.append((name, [point for point in points if math.isfinite(point[1])]))
    return found


def _panel(panel: dict[str, Any], series: Sequence[tuple[str, Points]]) -> str:
    place = panel["gridPos"]
    left, top = place["x"] * COLUMN + 4, place["y"] * LINE + 4
    width, height = place["w"] * COLUMN - 8, place["h"] * LINE - 8
    parts = [
        (
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="white"'
            ' stroke="#d1d5db"/>'
        ),
        _text(left + 8, top + 18, panel["title"], 13),
    ]
    every = [point for _, points in series for point in points]
    if not every:
        return "".join([*parts, _text(left + 8, top + 50, "—", 13)])
    first, last = min(at for at, _ in every), max(at for at, _ in every)
    low, high = min(0.0, *(v for _, v in every)), max(value for _, value in every)
    parts.append(_text(left + 8, top + 34, f"{low:.3g} … {high:.3g}", 11))
    across, up = (width - 16) / ((last - first) or 1.0), (height - 80) / ((high - low) or 1.0)
    for number, (name, points) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        drawn = " ".join(
            f"{left + 8 + (at - first) * across:.1f},{top + height - 36 - (v - low) * up:.1f}"
            for at, v in points
        )
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}"/>')
        if number < MOST_NAMES:
            column, line = number % 3, number // 3
            at = left + 8 + column * (width - 16) / 3, top + height - 20 + line * 13
            parts.append(_text(*at, name[:26], 10, colour))
    return "".join(parts)


def _text(left: float, top: float, text: str, size: int, colour: str = "#111827") -> str:
    return (
        f'<text x="{left:.0f}" y="{top:.0f}" font-size="{size}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
