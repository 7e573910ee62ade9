"""The rooms of the house, with their sizes and arrows: `make map`.

A room is a folder of `service/`; what it decides stands in the first line of its `__init__.py`. An
arrow leads to a room that it imports. docs/architecture.md has the same list without sizes.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp

from tests.architecture.tree import ROOT

HOUSE = "service"
BEGIN, END = "<!-- rooms: make map -->", "<!-- end of rooms -->"
PAGE = ROOT / "docs" / "architecture.md"


@dataclass(frozen=True)
class Room:
    """A folder: its dotted name, what it decides, its own modules and lines, where it leads."""

    name: str
    decides: str
    modules: int
    lines: int
    leads_to: tuple[str, ...]

    @property
    def depth(self) -> int:
        return self.name.count(".") - 1

    @property
    def entry(self) -> str:
        """Its line in the list of rooms."""
        arrows = f" → {', '.join(self.leads_to)}" if self.leads_to else ""
        return f"{'  ' * self.depth}- `{self.name.rpartition('.')[2]}/` {self.decides}{arrows}"


def rooms() -> Iterator[Room]:
    """All rooms from the top down, each followed by those inside it."""
    graph = grimp.build_graph(HOUSE, cache_dir=None)
    for init in sorted((ROOT / HOUSE).rglob("__init__.py")):
        name = ".".join(init.parent.relative_to(ROOT).parts)
        if name == HOUSE:
            continue
        own = [path for path in init.parent.glob("*.py") if path != init]
        lines = sum(len(path.read_text("utf-8").splitlines()) for path in own)
        yield Room(name, _decides(init), len(own), lines, tuple(_leads_to(graph, name)))


def listed() -> str:
    """The list of rooms as docs/architecture.md has it."""
    return "\n".join([BEGIN, "", *(room.entry for room in rooms()), "", END])


def _decides(init: Path) -> str:
    said = ast.get_docstring(ast.parse(init.read_text("utf-8"))) or ""
    return said.partition("\n\n")[0].replace("\n", " ")


def _leads_to(graph: grimp.ImportGraph, name: str) -> list[str]:
    """The rooms beside it that it imports."""
    parent = name.rpartition(".")[0]
    beside = graph.find_children(parent) - {name}
    return sorted(
        other.rpartition(".")[2]
        for other in beside
        if graph.find_children(other)
        and graph.direct_import_exists(importer=name, imported=other, as_packages=True)
    )


def write() -> None:
    """Bring the list in docs/architecture.md up to date."""
    page = PAGE.read_text("utf-8")
    begin, end = page.index(BEGIN), page.index(END) + len(END)
    PAGE.write_text(page[:begin] + listed() + page[end:], "utf-8")


def main() -> None:
    """Print the rooms with their sizes; `--write`: bring the page up to date."""
    if "--write" in sys.argv[1:]:
        write()
        return
    for room in rooms():
        print(f"{room.modules:4} modules {room.lines:6,} lines  {room.entry}")


if __name__ == "__main__":
    main()
