"""A person as a department keeps them, and what may be corrected of them by hand (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from service.audience.vocabulary.cells import text_form
from service.audience.vocabulary.names import LONGEST_HAN, read_name
from service.audience.vocabulary.texts import LONGEST_TAG, MOST_TAGS, read_text
from service.errors import Invalid
from service.words.phrase import phrase


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """What one row of one list says of a person, and where it came from.

    said: the fields that a person's page shows (`fields.SHOWN_FIELDS`), by their codes, in full.
    left_at: since when a newer list does not
    have it any more. last_day: to the end of which it counts, if the row says so. evidence: what
    shows the person's consent, where the list rests on it; evidence_of: whether that was said of
    the import or of the roster as a whole.
    """

    roster: str
    said: Mapping[str, Any]
    import_id: UUID | None
    file_name: str
    row: int | None
    imported_by: UUID | None
    imported_at: datetime | None
    left_at: datetime | None
    last_day: date | None
    evidence: str
    evidence_on: date | None
    evidence_by: str
    evidence_how: str | None
    evidence_form: str
    evidence_of: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person: one number within one department, with all roles of the lists they are on.

    listed: whether they are on any list; who is on none any more is not written to.
    tags: those of the department and those of the lists.
    version: raised by each correction. edited_at, edited_by: the last one.
    """

    id: UUID
    department_id: UUID
    phone: str
    name: str
    gender: str | None
    age_band: str | None
    area_code: str | None
    carrier: str | None
    roles: list[str]
    tags: list[str]
    listed: bool
    version: int
    created_at: datetime
    updated_at: datetime
    edited_at: datetime | None
    edited_by: UUID | None


def corrected_name(typed: str) -> str:
    """A name as it is stored; "" takes it away.

    Raises:
        Invalid: it is something else than a name.
    """
    name = read_name(typed)
    if typed.strip() and not name.value:
        raise _no_name()
    return name.value


def check_is_name(typed: str) -> None:
    """Refuse what an import of the same row would leave out, with a warning.

    Raises:
        Invalid: it is something else than a name.
    """
    if "name_refused" in read_name(typed).warnings:
        raise _no_name()


def _no_name() -> Invalid:
    problem = phrase(
        "this is no name: no numbers, links, accounts or requests, at most 20 characters, of which"
        " {longest_han} Chinese ones unless they write a name of another language",
        longest_han=LONGEST_HAN,
    )
    return Invalid(phrase("the name cannot be stored"), fields={"name": problem})


def read_tags(typed: Iterable[str]) -> list[str]:
    """Tags as they are stored, each once.

    Raises:
        Invalid: one is empty, too long or holds a personal number, or there are too many.
    """
    tags = []
    for number, tag in enumerate(typed):
        text = read_text(tag)
        if text.refused or not 0 < len(text_form(tag)) <= LONGEST_TAG:
            problem = phrase(
                "write a word of 1 to {longest_tag} characters without personal numbers",
                longest_tag=LONGEST_TAG,
            )
            raise Invalid(phrase("a tag cannot be stored"), fields={f"tags.{number}": problem})
        tags.append(text.value)
    distinct = list(dict.fromkeys(tags))
    if len(distinct) > MOST_TAGS:
        raise Invalid(
            phrase("too many tags"),
            fields={"tags": phrase("give at most {most_tags}", most_tags=MOST_TAGS)},
        )
    return distinct
