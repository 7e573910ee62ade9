"""How previews, an expansion, a report and an import grow with the people, and with old texts.

    python -m benchmarks.growth [--people N …] [--months N …] [--rounds N] [--charts FOLDER]

Each size has a PostgreSQL of its own, one after the other. First fresh ones with more and more
people; then the middle size beside more and more months, in each of which everybody was sent a
text. Measured is the processor time of the program and PostgreSQL, as in `benchmarks.revisions`,
which other programs on the machine change little; the first time fills caches and does not count.

Printed is the least, the middle and the most of all rounds, and for each measure the exponent: the
slope of the straight line that fits the middles best, both scales logarithmic. With --charts the
middles are drawn, for docs/performance.md.
"""

# a benchmark prints

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.chart import draw, exponent
from benchmarks.revisions.__main__ import MEASURES, ROOT, Revision
from benchmarks.revisions.worker import AT_ONCE

OF_EACH = tuple(one for one in MEASURES if one != "hand-off")  # which has a size of its own


class Size(NamedTuple):
    """What is measured. months: in which everybody was sent a text."""

    people: int
    months: int = 0


Middles = dict[Size, dict[str, float]]
"""The seconds that each measure takes, in the middle of all rounds."""


def measure(sizes: Sequence[Size], rounds: int) -> Middles:
    """Measure sizes one after the other, and print a line for each measure."""
    found: Middles = {}
    for size in sizes:
        print(f"{size.people:,} people, {size.people * size.months:,} old texts", flush=True)
        worker = Revision(ROOT, size.people, "--aged", str(size.months))
        try:
            found[size] = {one: _middle(worker, one, rounds) for one in OF_EACH}
        finally:
            worker.end()
    return found


def _middle(worker: Revision, name: str, rounds: int) -> float:
    worker.take(name)
    taken = sorted(worker.take(name) / AT_ONCE.get(name, 1) for _ in range(rounds))
    middle = median(taken)
    print(f"  {name:<28} {taken[0]:9.4f} {middle:9.4f} {taken[-1]:9.4f} s", flush=True)
    return middle


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--months", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--charts", type=Path, help="a folder")
    asked = parser.parse_args()
    fresh = [Size(people) for people in sorted(asked.people)]
    middle = fresh[len(fresh) // 2]
    aged = [middle._replace(months=months) for months in sorted(asked.months)]
    found = measure([*fresh, *aged], asked.rounds)
    grown = {name: [(float(size.people), found[size][name]) for size in fresh] for name in OF_EACH}
    for name, points in grown.items():
        beside = (found[size][name] / found[middle][name] for size in aged)
        told = "".join(f"  {ratio:.2f} ×" for ratio in beside)
        print(f"{name:<28} exponent {exponent(points):.2f}; beside old texts{told}")
    if asked.charts is not None:
        title = "Seconds of processor by the people of a department"
        told = "people; behind each measure its exponent"
        chart = draw(title, told, grown)
        (asked.charts / "growth.svg").write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    main()
