"""Parts of a plan as bodies and answers: its hours, its safety, its further texts."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from service.api.http.schema import Body, Instant, Int, Line, Out, Text
from service.campaigns.core.safety import DEFAULT_WAIT_MINUTES, Safety
from service.campaigns.core.texts import MOST_DAYS, MOST_TEXTS
from service.messages.template import MAX_VARIABLES
from service.words.phrase import phrase

MAX_WAIT_MINUTES = 72 * 60


class PeriodBody(Body):
    """From when to when a campaign may send; outside of it nothing fires and nothing leaves."""

    start: Instant | None = None
    end: Instant | None = None


class CanaryBody(Body):
    """Who goes first, before the rest: so many people, or a share of all."""

    first: Annotated[Int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    wait_minutes: Annotated[Int, Field(ge=1, le=MAX_WAIT_MINUTES)] = Field(
        default=DEFAULT_WAIT_MINUTES, description="How long their receipts are waited for."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "CanaryBody":
        if (self.first is None) == (self.share is None):
            raise ValueError(
                phrase("give either first, a number of people, or share, a part of all")
            )
        return self


SafetyShare = Annotated[float, Field(gt=0, le=1)]


class SafetyBody(Body):
    """When a run of the campaign is paused by itself; what is left out is as the installation
    has it.
    """

    canary: CanaryBody | None = None
    failed_share: SafetyShare | None = None
    filtered_share: SafetyShare | None = Field(default=None, description="Refused for the content.")
    opted_out_share: SafetyShare | None = None
    silence_minutes: Annotated[Int, Field(ge=1, le=MAX_WAIT_MINUTES)] | None = Field(
        default=None, description="No receipt at all for so long."
    )

    def safety(self) -> Safety:
        """What the rules know."""
        canary = self.canary
        own = self.model_dump(exclude={"canary"})
        if canary is None:
            return Safety(**own)
        return Safety(canary.first, canary.share, canary.wait_minutes, **own)


class PeriodOut(Out):
    """From when to when the campaign may send."""

    start: Instant | None
    end: Instant | None


def safety_out(safety: Safety) -> SafetyBody:
    """What a campaign sets for itself, as it is given."""
    set_here = {name: v for name, v in asdict(safety).items() if not name.startswith("canary")}
    canary = None
    if safety.canary_first is not None or safety.canary_share is not None:
        canary = CanaryBody(
            first=safety.canary_first,
            share=safety.canary_share,
            wait_minutes=safety.canary_wait_minutes,
        )
    return SafetyBody(canary=canary, **set_here)


_VALUES = (
    'What fills variables of the text for all who get it, such as {"群名": "三幢群"}: 群名, and'
    " what the text says the kind of. It is part of what is approved. 周期, 起数, 金额 and 类型 are"
    " figures on cases, which are not typed: see `figures_from`."
)
FiguresFrom = Annotated[
    Line | None,
    Field(
        description="The week of an issued bulletin, as 2027-W03: what the text says of cases is"
        " taken from what was released of it, and is not in `values`. Of the police and the county."
    ),
]
GivenValues = Annotated[
    dict[Line, Annotated[Text, Field(max_length=200)]],
    Field(max_length=MAX_VARIABLES, description=_VALUES),
]


class MoreTextBody(Body):
    """A text after the first: so many days after the fire to the same people, or in turn."""

    template_id: UUID
    after_days: Annotated[Int, Field(ge=1, le=MOST_DAYS)] | None = Field(
        default=None,
        description="With all of them: a sequence, each text to those whom the fire meant. With"
        " none, in a recurring schedule: each fire sends the text after the last one sent.",
    )

    values: GivenValues = Field(default={})
    figures_from: FiguresFrom = None


MoreTexts = Annotated[list[MoreTextBody], Field(max_length=MOST_TEXTS - 1)]


class MoreTextOut(Out):
    """A text after the first."""

    template_id: UUID
    template_version_id: UUID
    after_days: int | None
    text: str
    values: dict[str, str]
    figures_from: str | None
