"""How much of each room the tests reach: what `make coverage` prints after its run.

The rooms are those of `make map`, each with its own modules alone. Processes that tests start are
not measured, so what only runs in those (the command line, the workers' entry) shows as unreached.
Nothing here is a threshold: the figures are read, they block nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

from tests.architecture.map import HOUSE, rooms
from tests.architecture.tree import PACKAGES, ROOT, modules

DATA = ROOT / ".coverage"


@dataclass(frozen=True)
class Reach:
    """A room's name with its depth in the house, its statements, and how many no test reaches."""

    name: str
    depth: int
    statements: int
    missed: int

    @property
    def share(self) -> str:
        """Reached statements among all, in per cent."""
        return f"{100 * (1 - self.missed / self.statements):.1f} %" if self.statements else ""

    def __str__(self) -> str:
        label = f"{'  ' * self.depth}{self.name}"
        return f"{self.statements:10,} {self.missed:9,} {self.share:>8}  {label}"


def reached(data: Path = DATA) -> Iterator[Reach]:
    """Each room in the order of the map, then the other packages, then all together."""
    measured = Coverage(data_file=str(data), config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    counts = {path: _counts(measured, path) for path in modules()}
    top = ROOT / HOUSE
    yield _reach(HOUSE, 0, counts, _own(top, counts))
    for room in rooms():
        folder = ROOT.joinpath(*room.name.split("."))
        yield _reach(f"{folder.name}/", room.depth + 1, counts, _own(folder, counts))
    for package in PACKAGES[1:]:
        within = [path for path in counts if ROOT / package in path.parents]
        yield _reach(Path(package).name, 0, counts, within)
    yield _reach("in all", 0, counts, counts)


Counts = dict[Path, tuple[int, int]]


def _counts(measured: Coverage, path: Path) -> tuple[int, int]:
    _, statements, _, missing, _ = measured.analysis2(str(path))
    return len(statements), len(missing)


def _own(folder: Path, counts: Counts) -> Sequence[Path]:
    """The modules of a room that are in no room inside it."""
    return [path for path in counts if path.parent == folder]


def _reach(name: str, depth: int, counts: Counts, paths: Iterable[Path]) -> Reach:
    found = [counts[path] for path in paths]
    return Reach(name, depth, sum(s for s, _ in found), sum(m for _, m in found))


def main() -> None:
    """Print the table."""
    print("statements unreached  reached  room")
    for reach in reached():
        print(reach)


if __name__ == "__main__":
    main()
