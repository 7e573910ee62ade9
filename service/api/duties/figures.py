"""The figures of a report as they are shown: what is known of a department's days, by section.

A report that was frozen by an earlier version of the program lacks the sections that it had not.
"""

from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.schema import Instant, Out
from service.messages.places.place_store import PlaceKind


class FiredRunOut(Out):
    """A run of a campaign, as it was counted then; null: not counted yet, or nobody knows."""

    run: UUID
    campaign: str
    message_class: str = Field(alias="class")
    text: str
    fired_at: Instant
    target: int | None
    settled: bool
    parts: dict[str, int] = Field(
        default_factory=dict, description="What the carriers took, by the name of the channel."
    )
    counted_at: Instant | None
    on_file: int | None
    reached: int | None
    denominator: int | None
    coverage_pct: Decimal | None = Field(description="Reached of those who there should be.")
    of_target_pct: Decimal | None


class GapOut(Out):
    """An area where people are missing: on file and not reached, or without a phone."""

    area: str
    name: str | None
    denominator: int | None
    on_file: int
    reached: int
    missing: int
    no_phone: int | None


class CoveredOut(Out):
    """Whom the texts of a class and quarter have reached."""

    of: Literal["own", "area"] = Field(
        description="own: people on the department's lists; area: all who live in its area, by the"
        " texts of all departments."
    )
    message_class: str = Field(alias="class")
    quarter: str
    counted_at: Instant
    denominator: int | None
    on_file: int
    reached: int
    told: int
    open: int
    unknown: int
    failed: int
    stopped: int
    excluded: int
    no_phone: int | None
    coverage_pct: Decimal | None
    with_told_pct: Decimal | None
    gaps: list[GapOut] = Field(description="Of own people: the areas where most are missing.")


class VisitedOut(Out):
    """Where people of the department went, and what came of it."""

    people: dict[str, int] = Field(
        description="Visits to people whom texts had missed, by result, as `told` and `not_home`."
    )
    households: dict[str, int] = Field(description="Visits to households, by result.")
    spoken_to: int = Field(description="Heads that were told in households.")
    rounds_closed: int


class AnsweredOut(Out):
    """What came back from handsets."""

    answers: dict[str, int] = Field(description="Texts by the figure that they answer, 1 to 9.")
    opt_outs: int
    clues: int
    clues_acknowledged: int = Field(description="Clues that somebody has taken.")
    others: int


class RelayedOut(Out):
    """A relay of the department for the week, as it stood then."""

    relay: UUID
    week: str
    text: str = Field(description="What its template is called.")
    area: str | None = Field(description="null: all of the department's groups.")
    area_name: str | None
    due_at: Instant
    groups: int = Field(description="Active groups when the tree was frozen.")
    confirmed: int = Field(description="Groups whose owner was done by `due_at`.")
    confirmed_pct: Decimal | None


class PlacesOut(Out):
    """Places of a kind where the words of texts are put up."""

    kind: PlaceKind
    places: int
    put_up: int = Field(description="Of these, where words were put up in the period.")
    shown: int = Field(description="Of these, where words stood on its last day.")


class FigureSectionsOut(Out):
    """What is known of the period, by section. null: the report is older than the section."""

    campaigns: list[FiredRunOut]
    coverage: list[CoveredOut] | None = None
    visits: VisitedOut | None = None
    answers: AnsweredOut | None = None
    relays: list[RelayedOut] | None = None
    places: list[PlacesOut] | None = None


class DutyFiguresOut(Out):
    """The figures of a department's period, at an instant."""

    department: UUID
    period: str
    first: date
    last: date
    as_of: Instant
    sections: FigureSectionsOut
