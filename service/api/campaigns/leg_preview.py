"""How many people a joint plan would reach across departments, before it is one."""

from uuid import UUID

from pydantic import Field

from service.accounts.departments.department import JOINT_KINDS
from service.api.campaigns.legs import Legs
from service.api.http.call import Call
from service.api.http.schema import Body, Out
from service.campaigns.audience.leg_counts import count_legs
from service.cases.tables import publish
from service.errors import Invalid
from service.ledger.message_class import MessageClass
from service.messages.lint.lint_store import policy_get
from service.words.phrase import phrase
from service.words.terms import term


class LegsPreviewBody(Body):
    """What a joint plan would ask of whom, and of which class its text is."""

    legs: Legs
    message_class: MessageClass | None = Field(
        default=None,
        alias="class",
        description="Null: it is not known, and is counted as publicity, which people may refuse.",
    )


class LegCountOut(Out):
    """How many people a leg would reach."""

    department_id: UUID
    people: int | None = Field(
        description="Null: a count below the county's `small_count`, or one from which such a count"
        " could be found out."
    )


class LegsPreviewOut(Out):
    """How many people the legs would reach, each and all of them; see `GET /lint/rules`."""

    people: int | None = Field(
        description="In all legs. Whoever is on two lists counts twice, and gets it once. Null:"
        " below `small_count`."
    )
    items: list[LegCountOut]


async def preview_legs(call: Call, body: LegsPreviewBody) -> LegsPreviewOut:
    """Count whom the legs of a joint plan would reach now; for the county and the police.

    Nobody of them is shown, and no count that could point at a person.
    """
    if call.user.department_kind not in JOINT_KINDS:
        raise Invalid.at(
            "legs",
            phrase(
                "a joint plan is the county's or the police's, and a {kind} is neither:"
                " plan for the people of the own lists",
                kind=term(call.user.department_kind),
            ),
        )
    asked = {leg.department_id: leg.ask() for leg in body.legs}
    counts = await count_legs(
        call.conn, call.user.department_id, list(asked.values()), body.message_class, call.now
    )
    small = (await policy_get(call.conn)).small_count
    names = {
        str(department_id): people for department_id, people in zip(asked, counts, strict=True)
    }
    shown, total = publish(names, small).shown, sum(counts)
    return LegsPreviewOut(
        people=total if total >= small or not total else None,
        items=[LegCountOut(department_id=one, people=shown.get(str(one))) for one in asked],
    )
