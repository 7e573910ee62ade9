"""Several texts of one campaign: a sequence to the same people, or texts in turn (pure).

In a sequence the first text goes out at the fire, and each further one so many days later to those
whom the fire meant. Texts in turn belong to a recurring plan: each fire sends the text after the
one that was sent last, and the first again after the last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.messages.lint.lint import Finding
from service.messages.plan_values import PlanValues
from service.words.phrase import phrase

MOST_TEXTS = 20
"""How many texts a campaign may have, the first one among them."""
MOST_DAYS = 366
"""How many days after the fire the last text of a sequence may follow."""

LintVerdict = tuple[tuple[str, str, int], ...]
"""What lint said of a text: rule, level and place of each finding."""


@dataclass(frozen=True, slots=True)
class MoreText:
    """A text of a plan after the first. after_days: how long after the fire; None: in turn.
    values: what the plan fills it with. figures_from: as in `Plan`.
    """

    template_id: UUID
    after_days: int | None = None
    values: PlanValues = ()
    figures_from: str | None = None


@dataclass(frozen=True, slots=True)
class Further:
    """A text after the first as it is stored: its latest version, or the one submitted.

    text: filled with the plan's values. verdict: what lint said of it at the submission.
    """

    template_id: UUID
    template_version_id: UUID
    text: str
    after_days: int | None
    verdict: list[Finding] | None
    values: PlanValues = ()
    figures_from: str | None = None


class BoundText(NamedTuple):
    """One text as an approval binds it."""

    template_version_id: UUID
    text: str
    after_days: int | None = None
    verdict: LintVerdict = ()


def is_sequence(texts: Sequence[MoreText]) -> bool:
    """Whether each further text goes to the people of the fire."""
    return bool(texts) and all(text.after_days is not None for text in texts)


def next_in_turn(last: int | None, count: int) -> int:
    """The number of the text, from 1 to `count`, that follows the one sent last; None: none was."""
    return 1 if last is None else last % count + 1


def step_instants(
    days: Sequence[int | None], fire_at: datetime, zone: ZoneInfo
) -> dict[int, datetime]:
    """When each further text follows a fire: the text's number and the instant, at the same time
    of day in the plan's zone. Texts in turn follow nothing.
    """
    local = fire_at.astimezone(zone)
    return {
        number: (local + timedelta(days=after)).astimezone(UTC)
        for number, after in enumerate(days, 2)
        if after is not None
    }


def text_problems(texts: Sequence[MoreText], kind: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the further texts of a plan whose schedule is of this kind, by field."""
    if not texts:
        return
    if len(texts) >= MOST_TEXTS:
        yield (
            "more_texts",
            phrase(
                "a campaign has at most {most_texts} texts, the first among them",
                most_texts=MOST_TEXTS,
            ),
        )
    days = [text.after_days for text in texts if text.after_days is not None]
    if days and len(days) < len(texts):
        yield (
            "more_texts",
            phrase("give after_days with each further text (a sequence) or with none"),
        )
    elif not days:
        if kind != "recurring":
            yield (
                "more_texts",
                phrase("texts take turns in a recurring schedule; else give after_days"),
            )
    elif kind == "recurring":
        yield "more_texts", phrase("a recurring schedule takes texts in turn: leave after_days out")
    elif any(later <= earlier for earlier, later in pairwise(days)):
        yield "more_texts", phrase("each text comes at least a day after the one before")
    elif not 1 <= days[0] <= days[-1] <= MOST_DAYS:
        yield "more_texts", phrase("after_days is from 1 to {most_days}", most_days=MOST_DAYS)
