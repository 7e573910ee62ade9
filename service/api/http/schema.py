"""The types that all bodies, queries and answers are made of.

Input knows no unknown fields and no NUL characters; whole numbers may be written 5 or 5.0, but not
"5" or true; instants have an offset, and neither they nor days are numbers.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    SkipValidation,
    StringConstraints,
)

from service.words.phrase import phrase, translated

ItemT = TypeVar("ItemT")
Moment = TypeVar("Moment", bound=date)
MAX_INT = 2**31 - 1
_YEARS = (2000, 2200)
ZONE, LANGUAGE = "zone", "language"
ENGLISH = "en"


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class QueryString(BaseModel):
    """A request's query string."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """A part of an answer; read from our own objects by attribute.

    BY_THE_CLOCK: members that are worked out anew whenever somebody looks, and are no change.
    """

    BY_THE_CLOCK: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(from_attributes=True, validate_by_name=True, validate_by_alias=True)


class PlainOut(Out):
    """A sentence for people."""

    zh: str
    en: str


def plain_of(sentence: str) -> PlainOut:
    """A phrase in both languages."""
    return PlainOut(zh=translated(sentence, "zh"), en=translated(sentence, "en"))


class Page(Out, Generic[ItemT]):
    """A part of a list; `next_cursor` leads to the next one and is null at the end."""

    items: list[ItemT]
    next_cursor: str | None = Field(description="Give this as `cursor` to go on; null at the end.")


def _whole(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError(phrase("write a whole number, without quotes"))  # noqa: TRY004  # for Pydantic
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError(phrase("the character NUL is not allowed"))
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(phrase("write one line, without control characters"))
    return text


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_BEGIN_OF_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d")


def _written_day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError(phrase("write a day like 2027-01-31"))


def _in_our_years(day: Moment) -> Moment:
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise ValueError(
            phrase("the year must be between {first} and {last}", first=_YEARS[0], last=_YEARS[1])
        )
    return day


def _written_instant(value: object) -> object:
    """Pydantic would take a number, too: seconds since 1970, or milliseconds, as it guesses."""
    if isinstance(value, datetime) or (isinstance(value, str) and _BEGIN_OF_INSTANT.match(value)):
        return value
    raise ValueError(phrase("write an instant like 2027-01-31T09:30:00+08:00"))


def _in_utc(instant: datetime) -> datetime:
    return _in_our_years(instant).astimezone(UTC)


def as_json(answer: BaseModel, zone: ZoneInfo, language: str = ENGLISH) -> bytes:
    """What an answer says, as JSON: the one place where answers are written.

    zone: the county's, with whose offset instants are written. language: the reader's, of its
    sentences; all else is the same in each.
    """
    context = {ZONE: zone, LANGUAGE: language}
    return answer.model_dump_json(by_alias=True, context=context).encode()


def _said(sentence: str, info: SerializationInfo) -> str:
    return translated(sentence, info.context[LANGUAGE] if info.context else ENGLISH)


Int = Annotated[int, BeforeValidator(_whole), Field(le=MAX_INT)]
"""A whole number as JSON Schema means it: 5.0 is one, "5" and true are not."""

TranslatedText = Annotated[
    str, SkipValidation, PlainSerializer(_said, return_type=str, when_used="json")
]
"""A sentence for a person in an answer: a `Phrase` stays one in the model, so that a page says it
in the reader's language; in JSON it is in the language that the request asks for.
"""

LONGEST_TEXT = 2_000
"""Characters that any text may have which is not said to be longer."""

AnyText = Annotated[str, AfterValidator(_without_nul)]
"""A text of any number of lines, for fields that say themselves how long it may be."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_without_nul)]
"""A text of any number of lines, at most 2,000 characters: four times what a message may have."""

OptionalLine = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_one_line)
]
"""One line of text, perhaps empty."""

Line = Annotated[OptionalLine, StringConstraints(min_length=1)]
"""One line of text."""


def _shown_instant(instant: datetime, info: SerializationInfo) -> datetime:
    """With the offset of the zone in which the answer is written; in UTC where there is none."""
    return instant.astimezone(info.context[ZONE]) if info.context else instant


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_instant),
    AfterValidator(_in_utc),
    PlainSerializer(_shown_instant, return_type=datetime, when_used="json"),
]
"""An instant with its offset, kept in UTC and answered with the county's offset: see `as_json`."""

Day = Annotated[date, BeforeValidator(_written_day)]
"""A day as RFC 3339 writes it, and nothing else that could be read as one."""
AreaName = Annotated[
    str | None,
    Field(description="Its name, after that of its town; null: no such area (any more)."),
]
"""The name of the area of whose code it stands beside."""

SpanDay = Annotated[Day, AfterValidator(_in_our_years)]
"""An end of a span of days to look at: there are weeks around it."""
