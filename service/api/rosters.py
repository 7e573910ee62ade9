"""A department's list, kept current by its own system."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.api.call import Call
from service.api.schema import Body, Out, Text
from service.audience.model import ImportRequest
from service.audience.rosters import MOST_MEMBERS, put_members
from service.audience.traits import ROLES

LONGEST_VALUE = 500


def _as_text(value: object) -> object:
    """An age may come as a number, as a spreadsheet has it."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


Value = Annotated[Text, Field(max_length=LONGEST_VALUE)]
Number = Annotated[Value, BeforeValidator(_as_text)]


class MemberBody(Body):
    """One person: what the columns of a contact file say, and read by the same rules."""

    phone: Annotated[Number, Field(min_length=1, description="In any usual form.")]
    name: Value = ""
    gender: Value = ""
    age: Number = ""
    age_band: Value = ""
    area_code: Number = ""
    town: Value = ""
    village: Value = ""
    group: Value = ""
    roles: list[Value] = Field(
        default_factory=list, max_length=len(ROLES), description=f"Of {', '.join(ROLES)}."
    )
    org: Value = ""
    org_type: Value = ""
    school: Value = ""
    grade: Value = ""
    class_: Value = Field(default="", alias="class")
    guardian_of: Value = ""
    carrier: Value = ""
    consent_basis: Value = ""
    source_dept: Value = ""
    valid_until: Value = ""
    note: Value = ""

    def columns(self) -> dict[str, str]:
        """The values by column."""
        values = self.model_dump(by_alias=True, exclude={"roles"})
        return {**values, "roles": ";".join(self.roles)}


class MembersBody(Body):
    """The whole list; whoever is not on it leaves the roster."""

    members: list[MemberBody] = Field(max_length=MOST_MEMBERS)
    basis: Literal["duty", "contract_hr", "consent", "emergency"] = "duty"
    expires_on: date | None = Field(
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
