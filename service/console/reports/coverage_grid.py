"""The grid of a coverage page: a tile for each village, coloured by fixed steps (pure).

The steps are the same for every county and day, so that a colour says how much is reached and not
who is last: by rank, ten towns at 79 to 81 % would look like night and day.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from service.api.reports.coverage import AreaFiguresOut
from service.console.language import Language
from service.words.phrase import Phrase, phrase

STEPS = (80, 85, 90, 95)
"""From so many per cent on a tile has the next darker colour."""
FEW = 30
"""Of fewer people a share is a matter of chance, and has no colour."""
COVERAGE = "coverage"
MEASURES: Mapping[str, Phrase] = {
    COVERAGE: phrase("Coverage"),
    "target": phrase("Share reached of those written to"),
    "phone": phrase("Share with a phone on file"),
    "willing": phrase("Share not opted out"),
}
"""What the tiles may show. Of each more is better, so that a dark tile is always a good one."""
_OPTED_OUT = "opted_out"


class TileShare(NamedTuple):
    """So many of so many people; whole: None if nobody knows it."""

    part: int
    whole: int | None

    @property
    def percent(self) -> int | None:
        """In whole per cent, rounded down, so that the number never exceeds its colour's step;
        None: of nothing, or of nobody knows how many.
        """
        return 100 * self.part // self.whole if self.whole else None

    @property
    def step(self) -> int | None:
        """The colour, 1 to 5 from the lightest; None: too few people, or nobody knows."""
        if self.percent is None or (self.whole or 0) < FEW:
            return None
        return 1 + sum(self.percent >= least for least in STEPS)


class Tile(NamedTuple):
    """One area: where its row is, what a screen reader says of it, and its share.

    unknown: nobody of the area is on file.
    """

    href: str
    name: str
    share: TileShare
    unknown: bool


class TileGroup(NamedTuple):
    """The tiles of a town, or of all that is shown; name and share are None of the latter."""

    name: str | None
    share: TileShare | None
    tiles: Sequence[Tile]


def share_of(row: AreaFiguresOut, measure: str) -> TileShare:
    """What an area's tile shows."""
    match measure:
        case "target":
            return TileShare(row.reached, row.target)
        case "phone":
            people = row.denominator
            return TileShare(0 if people is None else min(row.on_file, people), people)
        case "willing":
            return TileShare(row.on_file - row.reasons.get(_OPTED_OUT, 0), row.on_file)
        case _:
            return TileShare(row.reached, row.denominator)


def from_the_lowest(rows: Iterable[AreaFiguresOut], measure: str) -> list[AreaFiguresOut]:
    """Rows in the order in which somebody looks at them: the lowest share first, those without any
    last.
    """

    def key(row: AreaFiguresOut) -> tuple[bool, float]:
        part, whole = share_of(row, measure)
        return (not whole, part / whole if whole else 0)

    return sorted(rows, key=key)


def tile(row: AreaFiguresOut, measure: str, href: str, language: Language) -> Tile:
    """The tile of an area."""
    share = share_of(row, measure)
    title = phrase(
        "{area}: {measure} {share}, {part} of {whole} people",
        area=row.name or row.area,
        measure=MEASURES[measure],
        share=language.share(share.part, share.whole or 0),
        part=language.number(share.part),
        whole=language.number(share.whole),
    )
    return Tile(href, language.say(title), share, not row.on_file)
