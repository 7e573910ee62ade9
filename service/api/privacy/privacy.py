"""Persons: seen in full, looked up and erased; each for a reason, which is noted."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.consent import EvidenceOut
from service.api.audience.people import need_people
from service.api.http.call import Call
from service.api.http.schema import Body, Day, Instant, Line, Out, QueryString, Text
from service.audience.contacts.contact_store import holder_of_contact
from service.audience.numbers.number import mask, parse_phone
from service.campaigns.core.run_store import get_run
from service.clock import CHINA
from service.delivery.inbound.inbound import visible
from service.errors import Invalid, NotFound
from service.followups.ladder import PersonState
from service.followups.number_correction_store import CorrectionState
from service.ledger.message_id import message_id
from service.ledger.states import MessageState
from service.privacy import disclose, erase, retention_store
from service.privacy.disclose import Unmasked
from service.words.phrase import phrase


class DisclosureBody(Body):
    """Why somebody has to see it; kept encrypted."""

    reason: Line


class PersonBody(DisclosureBody):
    """Whom, and why."""

    phone: Text = Field(description="In any usual form.")


class UnmaskedOut(Out):
    """A person in full."""

    phone: str
    name: str | None
    disclosure_id: UUID


class ContactUnmaskedOut(UnmaskedOut):
    """A person of lists in full."""

    wechat: list[str] = Field(description="The WeChat IDs that lists say now.")


class OctetsOut(Out):
    """What a carrier handed on and nobody could read."""

    octets: str = Field(description="The whole frame, in hexadecimal.")
    disclosure_id: UUID


class MembershipOut(EvidenceOut):
    """A list that the person is on, or was (`listed` false)."""

    roster_id: UUID
    roster: str
    basis: str
    expires_on: date
    listed: bool
    evidence_of: Literal["import", "roster"] | None = Field(
        description="Whether the consent was shown with the import or for the list as a whole."
    )


class FoundContactOut(Out):
    """A department's contact with this number."""

    contact_id: UUID
    department_id: UUID
    department: str
    created_at: Instant
    rosters: list[MembershipOut]


class FoundMessageOut(Out):
    """A text to this number, as it was written, with the variables unfilled."""

    run_id: UUID
    no: int
    department_id: UUID
    department: str
    campaign_id: UUID | None
    message_class: str = Field(alias="class")
    text: str
    state: MessageState
    reason: str | None
    marked_at: Instant | None
    submitted_at: Instant | None
    final_at: Instant | None


class FoundGuestOut(Out):
    """A department's list of guests, whom its trial keys may reach."""

    id: UUID
    department_id: UUID
    department: str
    note: str
    created_at: Instant


class FoundVisitOut(Out):
    """A follow-up in which this person was to be visited, and where that stands."""

    visit_id: UUID
    followup_id: UUID
    run_id: UUID
    department_id: UUID
    department: str
    state: PersonState
    started_at: Instant
    tries: int = Field(description="How often somebody went there.")


class FoundCorrectionOut(Out):
    """That somebody said at a door that this is a person's new number."""

    id: UUID
    followup_id: UUID
    department_id: UUID
    department: str
    state: CorrectionState
    at: Instant


class FoundDutyOut(Out):
    """That the number is or was that of a department's liaison or leader in charge."""

    id: UUID
    department_id: UUID
    department: str
    duty: str
    since: Instant
    until: Instant | None


class FoundSuppressionOut(Out):
    """What is stopped to this number."""

    reason: str
    classes: list[str]
    created_at: Instant
    expires_at: Instant | None
    department: str | None = Field(
        description="Whose work notices alone are stopped; null: everybody's."
    )


class DisclosureOut(Out):
    """That somebody saw this number in full, or looked it up."""

    id: UUID
    kind: Literal["contact", "message", "inbound", "lookup", "visit"]
    user_id: UUID
    department_id: UUID = Field(description="Of whoever saw it.")
    holder_id: UUID | None = Field(
        description="Whose data it was; null: everybody's, in a lookup over all departments."
    )
    reason: str
    at: Instant


class ErasureOut(Out):
    """That the person was erased; without a department, in all."""

    id: UUID
    department_id: UUID | None
    erased_at: Instant


class LookupOut(Out):
    """Everything that is kept about a number, in the departments that you see."""

    phone: str = Field(description="Masked.")
    disclosure_id: UUID
    contacts: list[FoundContactOut]
    messages: list[FoundMessageOut] = Field(description="The latest first.")
    more_messages: bool = Field(description="Whether there are older ones that are not told.")
    guests: list[FoundGuestOut]
    visits: list[FoundVisitOut] = Field(description="The latest first.")
    number_corrections: list[FoundCorrectionOut] = Field(description="The latest first.")
    duties: list[FoundDutyOut]
    suppressions: list[FoundSuppressionOut]
    inbound_texts: int
    disclosures: list[DisclosureOut] = Field(description="Before this one.")
    erasures: list[ErasureOut]


class ErasedOut(Out):
    """What an erasure amounted to."""

    id: UUID
    contacts: int
    links: int = Field(description="Entries of lists.")
    guests: int = Field(description="Places among the guests of trial keys.")
    duties: int = Field(description="Duties for departments, as liaison or leader in charge.")
    pending: int = Field(description="Contacts that an import holds; they go when it ends.")
    cancelled: int = Field(description="Texts that waited.")
    visits: int = Field(description="Follow-ups in which nobody goes to the person any more.")
    kept: int = Field(description="Texts sent, which keep the number, locked, for the record duty.")
    kept_until: Instant | None


ReportDay = Annotated[Day, Field(ge=date(2000, 1, 1), le=date(2200, 12, 31))]


class ReportQuery(QueryString):
    """Which days, of Chinese time, the last one included."""

    since: ReportDay
    until: ReportDay


class ErasureReportOut(Out):
    """What was erased on demand, and what went because its term was over."""

    since: date
    until: date
    erased: dict[str, int] = Field(
        description="Persons erased in the departments that you see, and what that amounted to."
    )
    retired: dict[str, int] = Field(
        description="What went by itself, by kind, in the whole system."
    )


async def unmask_contact(call: Call, contact_id: UUID, body: DisclosureBody) -> ContactUnmaskedOut:
    """See a contact in full; that you did, and why, is noted."""
    await need_people(call, await holder_of_contact(call.conn, contact_id))
    found = await disclose.unmask_contact(
        call.conn, call.runtime.keyring, call.user, contact_id, call.by(body.reason)
    )
    call.note(disclosure=str(found.disclosure_id))
    return ContactUnmaskedOut.model_validate(found)


async def unmask_message(call: Call, run_id: UUID, no: int, body: DisclosureBody) -> UnmaskedOut:
    """See a message's recipient in full; that you did, and why, is noted."""
    run = await get_run(call.conn, run_id, call.user.scope)
    await need_people(call, run.department_id if run else None)
    found = await disclose.unmask_message(
        call.conn, call.runtime.keyring, call.user, (run_id, no), call.by(body.reason)
    )
    call.note("messages", message_id(run_id, no))
    return _unmasked(call, found)


async def unmask_inbound(call: Call, inbound_id: UUID, body: DisclosureBody) -> UnmaskedOut:
    """See the sender of a text in full; that you did, and why, is noted."""
    text = await visible(call.conn, call.user, inbound_id)
    await need_people(call, text["department_id"])
    found = await disclose.unmask_inbound(
        call.conn, call.runtime.keyring, call.user, inbound_id, call.by(body.reason)
    )
    return _unmasked(call, found)


async def unmask_unmatched(call: Call, receipt_id: str, body: DisclosureBody) -> OctetsOut:
    """See what could not be read in full; that you did, and why, is noted."""
    number = int(receipt_id) if receipt_id.isascii() and receipt_id.isdecimal() else 0
    if not 0 < number < 2**63:
        raise NotFound(phrase("there is no unreadable receipt {receipt_id}", receipt_id=receipt_id))
    disclosure_id, octets = await disclose.unmask_octets(
        call.conn, call.runtime.keyring, call.user, number, call.by(body.reason)
    )
    call.note("receipts_unmatched", receipt_id, disclosure=str(disclosure_id))
    return OctetsOut(octets=octets.hex(), disclosure_id=disclosure_id)


async def look_up_person(call: Call, body: PersonBody) -> LookupOut:
    """Tell everything that is kept about a number; for whoever asks "who has my number?"."""
    phone = parse_phone(body.phone)
    found: dict[str, Any] = await disclose.look_up(
        call.conn,
        call.runtime.keyring,
        call.user,
        phone,
        call.by(body.reason),
        call.runtime.settings.lookups_an_hour,
    )
    call.note("disclosures", found["disclosure_id"])
    return LookupOut.model_validate({"phone": mask(phone), **found})


async def erase_person(call: Call, body: PersonBody) -> ErasedOut:
    """Erase a person; after the answer, no hand-off to the number begins, and no list has it."""
    done = await erase.erase(
        call.conn,
        call.runtime.keyring,
        call.user,
        parse_phone(body.phone),
        call.by(body.reason),
        duty=timedelta(days=call.runtime.settings.keep_numbers_days),
    )
    call.note("erasures", done.id, contacts=done.contacts, cancelled=done.cancelled)
    return ErasedOut.model_validate(done)


async def get_report_of_erasures(call: Call, query: ReportQuery) -> ErasureReportOut:
    """Count what was erased, and what was let go of because its term was over."""
    if query.until < query.since:
        raise Invalid.at("until", phrase("the last day is before the first"))
    since, until = (
        datetime.combine(day, time(), CHINA) for day in (query.since, query.until + timedelta(1))
    )
    return ErasureReportOut(
        since=query.since,
        until=query.until,
        erased=await retention_store.count_erasures(call.conn, since, until, call.user.scope),
        retired=await retention_store.sum_retired(call.conn, query.since, query.until),
    )


def _unmasked(call: Call, found: Unmasked) -> UnmaskedOut:
    call.note(disclosure=str(found.disclosure_id))
    return UnmaskedOut.model_validate(found)
