"""A notice to staff of an issued bulletin: the texts for it, and a draft made of one."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import Field

from service.accounts.people.model import Right
from service.api.campaigns import campaigns
from service.api.campaigns.campaigns import CampaignBody
from service.api.campaigns.details import CampaignDetail
from service.api.cases.bulletins import no_bulletin
from service.api.cases.drafts import LONGEST_NAME, segment_of
from service.api.http.call import Call
from service.api.http.schema import Body, Line, Out, PlainOut, Text
from service.audience.vocabulary.roles import KNOWN_ROLES, KnownRole
from service.cases import bulletin_store, store
from service.cases.bulletins import number_of
from service.cases.releases import text_values
from service.cases.suggested_audiences import rule_of
from service.cases.week import IsoWeek, need_week
from service.errors import Invalid
from service.messages.plan_values import of_a_part
from service.messages.store import Template, approved_texts
from service.messages.template import planned
from service.messages.value_sources import POLICE_VARIABLES
from service.words.phrase import Sentence, listing, phrase

TOPICS: Final = frozenset({"weekly_bulletin", "警情通报", "周警情通报"})
"""Topics of texts without figures that are offered, too, for weeks whose figures are hidden."""

STAFF: Final = (
    *("village_staff", "liaison", "leader", "grid_worker", "civil_servant", "visitor"),
    "group_owner",
)
"""The roles of whom a bulletin is work; the first three are meant unless others are named."""

USUAL: Final = STAFF[:3]


class NoticeTextOut(Out):
    """An approved text of the department for work notices, all of whose figures may be said."""

    template_id: UUID
    name: str
    text: str
    figures: list[str] = Field(description="What of the bulletin fills it; empty: nothing.")


class NoticeRoleOut(Out):
    """Whom a notice may be for."""

    role: str
    name: PlainOut
    usual: bool = Field(description="Meant unless others are named.")


class NoticeDraftOut(Out):
    """A campaign of the department whose text takes its figures from this bulletin."""

    campaign_id: UUID
    name: str
    state: str


class BulletinNoticeOut(Out):
    """Of what a notice to staff could be made."""

    week: str
    number: str
    texts: list[NoticeTextOut] = Field(description="Those with figures first.")
    roles: list[NoticeRoleOut]
    drafts: list[NoticeDraftOut] = Field(description="What was made of it, the latest first.")


class BulletinNoticeBody(Body):
    """Of what the draft is made. Nothing is sent: it is submitted and approved as any other."""

    template_id: UUID | None = Field(default=None, description="Default: the first of the texts.")
    roles: list[Text] = Field(
        default=list(USUAL),
        min_length=1,
        max_length=len(STAFF),
        description=f"Of {', '.join(STAFF)}.",
    )
    name: Line | None = Field(default=None, description="Of the campaign.")


async def get_bulletin_notice(call: Call, week: str) -> BulletinNoticeOut:
    """Show of which texts a notice to staff could be made, and what was made already."""
    which = need_week(week, "week")
    known = await _released(call, which)
    roles = {role.key: role for role in KNOWN_ROLES}
    drafts = await bulletin_store.campaigns_of(call.conn, str(which), call.user.department_id)
    return BulletinNoticeOut(
        week=str(which),
        number=number_of(which),
        texts=[
            NoticeTextOut(
                template_id=one.id,
                name=one.info.name,
                text=one.text,
                figures=sorted(POLICE_VARIABLES & planned(one.text).keys()),
            )
            for one in await _texts(call, known)
        ],
        roles=[_role(roles[key]) for key in STAFF],
        drafts=[NoticeDraftOut(**row) for row in drafts],
    )


async def draft_bulletin_notice(call: Call, week: str, body: BulletinNoticeBody) -> CampaignDetail:
    """Make a campaign's draft: a notice to staff with the bulletin's figures. Nothing is sent."""
    call.user.need(Right.WRITE)
    which = need_week(week, "week")
    texts = await _texts(call, await _released(call, which))
    if unknown := [role for role in body.roles if role not in STAFF]:
        raise Invalid.at(
            "roles",
            phrase(
                "{unknown} is no staff; there are {roles}",
                unknown=listing(unknown),
                roles=listing(STAFF),
            ),
        )
    roles = [role for role in STAFF if role in body.roles]
    name = body.name or f"警情通报{number_of(which)} 工作通知"[:LONGEST_NAME]
    made = await campaigns.create_campaign(
        call,
        CampaignBody(
            name=name,
            template_id=_chosen(texts, body.template_id),
            segment_id=await segment_of(call, rule_of(roles, ""), name),
            figures_from=str(which),
        ),
    )
    call.note("bulletins", str(which), campaign_id=str(made.id))
    return made


def _role(role: KnownRole) -> NoticeRoleOut:
    name = PlainOut.model_validate(Sentence(role.title, role.english))
    return NoticeRoleOut(role=role.key, name=name, usual=role.key in USUAL)


async def _released(call: Call, week: IsoWeek) -> dict[str, str]:
    """What fills the variables of texts.

    Raises:
        NotFound: the bulletin is not issued.
    """
    versions = await bulletin_store.versions_of(call.conn, str(week))
    if not versions:
        raise no_bulletin(week)
    release = versions[-1].release
    types = await store.read_fraud_types(call.conn)
    return text_values(week, release, [kind.in_texts for kind in types.named(release["kinds"])])


async def _texts(call: Call, known: dict[str, str]) -> list[Template]:
    """The texts that a notice may be made of: all that is to be filled is known; those with figures
    first, then the latest.
    """
    fitting = [
        one
        for one in await approved_texts(call.conn, call.user.department_id, "service")
        if planned(one.text).keys() <= known.keys()
        and not of_a_part(one.text)
        and (planned(one.text) or one.info.topic in TOPICS)
    ]
    return sorted(fitting, key=lambda one: not planned(one.text))


def _chosen(texts: Sequence[Template], wanted: UUID | None) -> UUID:
    if not texts:
        raise Invalid.at(
            "template_id",
            phrase(
                "you have no approved text for work notices of which all figures may be said this"
                " week: write one with the class service and variables of {figures}, or one without"
                " figures and with the topic {topic}, and have it approved",
                figures=listing(sorted(POLICE_VARIABLES)),
                topic="weekly_bulletin",
            ),
        )
    if wanted is not None and wanted not in {one.id for one in texts}:
        raise Invalid.at(
            "template_id",
            phrase("take one of the texts that GET /bulletins/{{week}}/notice lists"),
        )
    return wanted or texts[0].id
