"""Rosters: imported lists, and those that a department's own system keeps current."""

from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.consent import EvidenceBody, EvidenceOut, evidence_of
from service.api.audience.field_members import ROW_FIELDS, TAKEN, Value, with_members
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Day, Instant, OptionalLine, Out, Page
from service.audience.imports.model import ImportRequest
from service.audience.rosters import roster_store
from service.audience.rosters.rosters import MOST_MEMBERS, put_members
from service.audience.vocabulary.consent import ConsentWay, check_evidence
from service.audience.vocabulary.texts import MOST_TAGS
from service.clock import day_in_china
from service.errors import Invalid, NotFound
from service.words.phrase import phrase

LONGEST_VALIDITY = timedelta(days=1_096)


class LatestOut(Out):
    """What an import changed of a roster's people."""

    import_id: UUID
    at: Instant
    added: int
    changed: int
    left: int


class RosterOut(EvidenceOut):
    """An imported list."""

    id: UUID
    department_id: UUID
    name: str
    kind: Literal["department", "subscriber_base"] = Field(
        description="A carrier's subscribers are seen by nobody else; only counts leave them."
    )
    basis: str
    purpose: str
    expires_on: date
    expired: bool = Field(description="Past its last day: nobody is written to by it.")
    contacts: int = Field(description="How many people are on it now.")
    unshown: int = Field(
        description="Of them, how many by a consent that nothing shows, neither of the list nor of"
        " their import or row."
    )
    created_at: Instant
    confirmed_at: Instant | None = Field(description="When somebody said that it still holds.")
    confirmed_by: UUID | None
    latest: LatestOut | None = Field(description="The latest import that is in force.")


@with_members(TAKEN)
class _Row(Body):
    """The columns of a contact file."""


class MemberBody(_Row):
    """One person: what the columns of a contact file say, and read by the same rules."""

    tags: list[Value] = Field(default_factory=list, max_length=MOST_TAGS)

    def columns(self) -> dict[str, str]:
        """The values by column."""
        values = {field.code: getattr(self, field.code) for field in ROW_FIELDS}
        return {
            code: ";".join(value) if isinstance(value, list) else value
            for code, value in values.items()
        }


class MembersBody(EvidenceBody):
    """The whole list; whoever is not on it leaves the roster."""

    members: list[MemberBody] = Field(max_length=MOST_MEMBERS)
    basis: Literal["duty", "contract_hr", "consent", "emergency"] = "duty"
    expires_on: Day | None = Field(
        default=None, description="The list's last day; default: a year on."
    )


class RowsOut(Out):
    """What became of the members; read = accepted + rejected + duplicate + skipped."""

    read: int
    accepted: int
    rejected: int
    duplicate: int
    skipped: int


class MembersOut(Out):
    """What the list changed. Its rejects are those of the import: member n is row n + 2."""

    import_id: UUID
    roster_id: UUID
    added: int
    changed: int
    left: int
    rows: RowsOut
    rejected: dict[str, int]
    warnings: dict[str, int]


class RosterPatch(Body):
    """What a list rests on, said again; the rest stays. Saying nothing confirms it as it is."""

    expires_on: Day | None = Field(default=None, description="Its last day.")
    basis: Literal["duty", "contract_hr", "consent", "emergency"] | None = None
    purpose: OptionalLine | None = Field(default=None, description="What it is for.")
    evidence: OptionalLine | None = Field(
        default=None,
        description="Where the consent is kept. Another than before: what else is said of it is to"
        " be said again.",
    )
    evidence_on: Day | None = Field(default=None, description="The day of the consent.")
    evidence_by: OptionalLine | None = Field(default=None, description="Who asked for it.")
    evidence_how: ConsentWay | None = Field(default=None, description="In which way it was given.")
    evidence_form: OptionalLine | None = Field(
        default=None, description="The wording that was agreed to, with its version."
    )


async def get_roster(call: Call, name: str) -> RosterOut:
    """Show a list of your department."""
    found = await roster_store.list_rosters(
        call.conn, call.user.department_id, None, 1, day_in_china(call.now), name=name
    )
    if not found:
        raise NotFound(phrase("your department has no list of this name"))
    return RosterOut.model_validate(found[0])


async def list_rosters(call: Call, query: PageQuery) -> Page[RosterOut]:
    """List the imported lists that you see."""
    found = await roster_store.list_rosters(
        call.conn, call.user.scope, query.before, query.wanted, day_in_china(call.now)
    )
    return cut(Page[RosterOut], found, query)


async def confirm_roster(call: Call, name: str, body: RosterPatch) -> RosterOut:
    """Extend a list of your department, or say on what it rests and that it still holds."""
    call.need_roster(name)
    terms = await roster_store.get_roster(call.conn, call.user.department_id, name, lock=True)
    if terms is None:
        raise NotFound(phrase("your department has no list of this name"))
    said, today = body.model_dump(exclude_unset=True, exclude_none=True), day_in_china(call.now)
    if said.get("evidence", terms.evidence) != terms.evidence:
        terms = terms._replace(
            evidence_on=None, evidence_by="", evidence_how=None, evidence_form=""
        )
    terms = terms._replace(**said)
    if terms.expires_on < today:
        problem = phrase("give the last day on which the list is valid; it has passed")
        raise Invalid(phrase("the list has expired"), fields={"expires_on": problem})
    if terms.expires_on > today + LONGEST_VALIDITY:
        problem = phrase(
            "a list holds at most {days} days; confirm it again then", days=LONGEST_VALIDITY.days
        )
        raise Invalid(phrase("the list cannot hold for so long"), fields={"expires_on": problem})
    check_evidence(terms.basis, evidence_of(terms), today)
    await roster_store.confirm_roster(call.conn, terms, call.user.id, call.now)
    call.note("rosters", terms.id)
    return await get_roster(call, name)


async def set_members(call: Call, name: str, body: MembersBody) -> MembersOut:
    """Make a roster hold exactly these people."""
    call.need_roster(name)
    request = ImportRequest(
        department_id=call.user.department_id,
        user_id=call.user.id,
        roster=name,
        file_name="",
        basis=body.basis,
        expires_on=body.expires_on,
        mode="replace",
        evidence=body.shown,
    )
    members = [member.columns() for member in body.members]
    made = await put_members(call.conn, call.runtime.keyring, request, members, call.now)
    stored = made.report["stored"]
    call.note("rosters", stored["roster_id"])
    return MembersOut(
        import_id=made.import_id,
        roster_id=stored["roster_id"],
        **stored["members"],
        rows=RowsOut(**made.report["rows"]),
        rejected=made.report["rejected"],
        warnings=made.report["warnings"],
    )
