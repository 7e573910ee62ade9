"""Figures on cases in a plan's texts: the week of the bulletin that they are taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.api.cases import bulletins
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.errors import TocsinError
from service.messages.plan_values import in_text
from service.messages.template import planned
from service.messages.value_sources import POLICE_VARIABLES

FIRST = "figures_from"
MORE: Final = "more_figures."
"""Of a text after the first: its number follows."""
MOST_WEEKS = 20
_MORE_TEXTS = "more_texts."


def field_of(chosen_by: str) -> str:
    """The field with the week, of the text that this field chooses."""
    if chosen_by.startswith(_MORE_TEXTS):
        return MORE + chosen_by.removeprefix(_MORE_TEXTS)
    return FIRST


def is_field(name: str) -> bool:
    """Whether a field of the form has such a week."""
    return name == FIRST or name.startswith(MORE)


@dataclass(frozen=True, slots=True)
class WeekFigures:
    """The bulletins that may be chosen, and what each of those that are chosen gives texts."""

    weeks: list[tuple[str, str]] = field(default_factory=list)
    released: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, text: str, week: str) -> dict[str, str]:
        """What fills the figures of a text from the bulletin of a week."""
        known = self.released.get(week, {})
        return {
            name: in_text(text, name, known[name])
            for name in planned(text)
            if name in POLICE_VARIABLES and name in known
        }


async def read_figures(desk: Desk, values: Mapping[str, Any]) -> WeekFigures:
    """The latest bulletins, and the figures of those that the form has chosen."""
    issued = await desk.get(bulletins.list_bulletins, query=PageQuery(limit=MOST_WEEKS))
    weeks = [(line.week, f"{line.week} {line.number}") for line in issued.items]
    chosen = {str(value) for name, value in values.items() if is_field(name) and value}
    listed = {week for week, _ in weeks}
    weeks += [(week, week) for week in sorted(chosen - listed)]
    released: dict[str, Mapping[str, str]] = {}
    for week in sorted(chosen):
        try:
            released[week] = (await desk.get(bulletins.get_bulletin, week=week)).values
        except TocsinError:  # it is no week, or none was issued of it: the plan is refused for it
            continue
    return WeekFigures(weeks, released)
