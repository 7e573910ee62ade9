"""New numbers learned at the door over HTTP: listed, confirmed, dropped."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from pydantic import Field

from service.accounts.people.model import Right
from service.accounts.people.second_person import second_persons
from service.api.audience.contacts import masked_name
from service.api.audience.people import need_people
from service.api.followups.followups import NOWHERE
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.audience.areas.area_store import area_names
from service.audience.numbers.number import mask
from service.errors import NotFound
from service.followups import number_correction_store as store
from service.followups import number_corrections
from service.followups.followups import NOTE
from service.followups.ladder import VisitResult
from service.followups.number_correction_store import CorrectionState
from service.storage.postgres import Record
from service.words.phrase import phrase


class CorrectionQuery(PageQuery):
    """Which new numbers: all, or those in a state."""

    state: CorrectionState | None = None


class DropCorrectionBody(Body):
    """Why the number is not taken."""

    reason: Line = Field(description="Kept encrypted.")


class CorrectionOut(Out):
    """A new number that somebody gave at the door; names and numbers masked."""

    id: UUID
    visit_id: UUID
    followup_id: UUID
    department_id: UUID
    state: CorrectionState = Field(
        description="superseded: another number of the person was confirmed; lapsed: it was"
        " forgotten before anybody decided."
    )
    area: str
    area_name: str | None
    name: str | None
    old_phone: str | None = Field(description="null: it is on no list of the department.")
    phone: str | None = Field(description="The new number; null: it is kept here no more.")
    result: VisitResult = Field(description="What came of that visit.")
    on_day: date
    by_id: UUID = Field(description="Who was at the door.")
    written_by: UUID
    at: Instant
    held: bool = Field(
        description="Open ones: the department has the new number on a list already."
    )
    held_name: str | None = Field(description="Of whoever has it there, masked.")
    suppressed: bool = Field(
        description="Open ones: texts of the run's class are stopped to the new number; they stay"
        " so if it is confirmed."
    )
    erased: bool = Field(
        description="Open ones: whoever has the new number was erased; it cannot be confirmed."
    )
    old_number_on: list[str] = Field(
        description="Confirmed ones: the lists on which the old number stands again."
    )
    decided_by: UUID | None
    decided_at: Instant | None
    reason: str = Field(description="Why it was dropped.")


class NumberConfirmerOut(Out):
    """Somebody who may confirm a new number."""

    id: UUID
    name: str


class CorrectionDetail(CorrectionOut):
    """The same, and who could confirm it."""

    confirmers: list[NumberConfirmerOut] = Field(
        description="Of the department, who may import contacts and count as nobody who was there"
        " or wrote it down. Empty: nobody, or it is decided."
    )


class ConfirmedOut(Out):
    """Where the new number stands now."""

    rosters: list[str]
    import_ids: list[UUID] = Field(
        description="POST /imports/{import_id}/undo takes the new number off again."
    )


async def list_number_corrections(call: Call, query: CorrectionQuery) -> Page[CorrectionOut]:
    """List new numbers that people gave at the door, the latest first, masked."""
    found = await store.list_corrections(
        call.conn, call.user.scope, query.state, (query.before, query.wanted), call.now
    )
    names = await area_names(call.conn, {row["area_code"] for row in found})
    return cut(Page[CorrectionOut], [_shown(call, row, names) for row in found], query)


async def get_number_correction(call: Call, correction_id: UUID) -> CorrectionDetail:
    """Show a new number, masked, with what is known of it and who could confirm it."""
    found = await store.find_correction(call.conn, call.user.scope, correction_id, call.now)
    if found is None:
        raise NotFound(
            phrase("there is no new number {correction_id}", correction_id=correction_id)
        )
    await need_people(call, found["department_id"])
    names = await area_names(call.conn, {found["area_code"]})
    hands = [found["by_id"], found["written_by"]]
    could = (
        await second_persons(call.conn, Right.IMPORT, hands, call.now)
        if found["state"] == CorrectionState.PROPOSED
        else []
    )
    return CorrectionDetail(
        **dict(_shown(call, found, names)),
        confirmers=[
            NumberConfirmerOut(id=user.id, name=user.name)
            for user in could
            if user.department_id == found["department_id"]
        ],
    )


async def confirm_number_correction(call: Call, correction_id: UUID) -> ConfirmedOut:
    """Put the new number on a list in place of the old one, which leaves the department's lists.

    Whoever confirms was not at the door. The old number is not stopped.
    """
    for roster in number_corrections.ROSTERS.values():
        call.need_roster(roster)
    made = await number_corrections.confirm(
        call.conn, call.runtime.keyring, call.user, correction_id, call.by("")
    )
    call.note("number_correction", correction_id, rosters=list(made.rosters))
    return ConfirmedOut(rosters=list(made.rosters), import_ids=list(made.import_ids))


async def drop_number_correction(
    call: Call, correction_id: UUID, body: DropCorrectionBody
) -> CorrectionDetail:
    """Leave the lists as they are."""
    await number_corrections.drop(
        call.conn, call.runtime.keyring, call.user, correction_id, call.by(body.reason)
    )
    return await get_number_correction(call, correction_id)


_SAME = (
    *("id", "visit_id", "followup_id", "department_id", "state", "result", "on_day", "by_id"),
    *("written_by", "at", "held", "suppressed", "erased", "old_number_on", "decided_by"),
    "decided_at",
)


def _shown(call: Call, row: Record, areas: Mapping[str, str]) -> CorrectionOut:
    keyring = call.runtime.keyring

    def masked(kind: str, cipher: bytes | None) -> str | None:
        if cipher is None:
            return None
        said = keyring.decrypt(kind, cipher)
        return mask(said) if kind == "phone" else masked_name(said)

    reason = row["reason_cipher"]
    told: dict[str, Any] = {name: row[name] for name in _SAME}
    return CorrectionOut(
        **told,
        area=row["area_code"] or NOWHERE,
        area_name=areas.get(row["area_code"]),
        name=masked("name", row["name_cipher"]),
        old_phone=masked("phone", row["old_phone_cipher"]),
        phone=masked("phone", row["phone_cipher"]),
        held_name=masked("name", row["held_name_cipher"]),
        reason=keyring.decrypt(NOTE, reason) if reason else "",
    )
