"""What a promoted or restored database lacks, by what is remembered outside of it (pure).

Nothing is missing in it if it has all beats, and of each connection all marks, that were ever told.
Then it is the database that it was, whichever timeline it is on now. Otherwise texts may have left
that it still has as queued, and only a person may let it go on.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from service.campaigns.stops.stop_store import Generation, MissingTexts
from service.campaigns.stops.witness import Announced, ConnectionKey
from service.words.phrase import Phrase, phrase


class GapVerdict(StrEnum):
    """What follows of a look at the database."""

    SAME = "same"  # it is where it was, and has all that was told
    ACCEPT = "accept"  # it is on a new timeline, and nothing is missing
    HOLD = "hold"  # something is missing, or nobody knows
    WAIT = "wait"  # on a new timeline, and Redis does not answer: nothing leaves meanwhile


class GapFinding(NamedTuple):
    """A verdict and why. missing: by connection; None: nobody knows."""

    verdict: GapVerdict
    why: Phrase | str = ""
    missing: list[MissingTexts] | None = None


class Witnessed(NamedTuple):
    """What is remembered outside of the database.

    beat: the last beat that any witness remembers. whole: whether Redis remembers a beat, so that
    it was not emptied since. announced: what Redis was told of marks; None: it does not answer.
    """

    beat: int
    whole: bool
    announced: Announced | None


def judge(
    known: Generation, present: str, marks: Mapping[ConnectionKey, int], seen: Witnessed
) -> GapFinding:
    """What follows. known: what the database knows of itself; present: the cluster and timeline in
    which it is; marks: what its connections have marked in it.
    """
    missing = _missing(marks, seen.announced)
    texts = sum(each.texts for each in missing or ())
    lost = _lost(known, present, missing, seen)
    if lost is not None:
        knows = missing if known.cluster == present or texts or seen.whole else None
        return GapFinding(GapVerdict.HOLD, lost, knows)
    if known.cluster == present:
        return GapFinding(GapVerdict.SAME)
    if seen.announced is None:
        return GapFinding(GapVerdict.WAIT)
    told = seen.announced.counts
    if not seen.whole or any(count and key not in told for key, count in marks.items()):
        why = phrase(
            "the database is on another timeline, and nobody knows what is missing in it, since"
            " Redis was emptied"
        )
        return GapFinding(GapVerdict.HOLD, why)
    return GapFinding(GapVerdict.ACCEPT, missing=[])


def _lost(
    known: Generation, present: str, missing: list[MissingTexts] | None, seen: Witnessed
) -> Phrase | None:
    """Why something is missing for certain, or must be taken for it; the first that holds."""
    texts, beats = sum(each.texts for each in missing or ()), seen.beat - known.beat
    elsewhere = system_of(known.cluster) != system_of(present)
    older = seen.announced is not None and is_newer(seen.announced.cluster, present)
    reasons = (
        (
            elsewhere and texts > 0,
            phrase(
                "the database was restored into another cluster, and {texts} texts that were"
                " handed off are missing in it",
                texts=texts,
            ),
        ),
        (elsewhere, phrase("the database was restored: it is in another cluster")),
        (older, phrase("the database is an older one: it goes on in another place since")),
        (
            texts > 0,
            phrase(
                "the database was restored: {texts} texts that were handed off are missing in it",
                texts=texts,
            ),
        ),
        (
            beats > 0,
            phrase("the database was restored: {beats} beats are missing in it", beats=beats),
        ),
    )
    return next((why for holds, why in reasons if holds), None)


def _missing(
    marks: Mapping[ConnectionKey, int], announced: Announced | None
) -> list[MissingTexts] | None:
    if announced is None:
        return None
    return [
        MissingTexts(*key, told - marks.get(key, 0))
        for key, told in sorted(announced.counts.items())
        if told > marks.get(key, 0)
    ]


def system_of(cluster: str) -> str:
    """The cluster without its timeline."""
    return cluster.rpartition("/")[0]


def is_newer(accepted: str | None, present: str) -> bool:
    """Whether a database was accepted in another cluster, or on a later timeline of this one."""
    if accepted is None or accepted == present:
        return False
    return system_of(accepted) != system_of(present) or accepted > present
