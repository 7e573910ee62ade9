"""Texts that the police offer to other departments, made by the services."""

from datetime import datetime
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.people.model import User
from service.ledger.message_class import MessageClass
from service.messages import signature_store
from service.messages.lint.lint import lint
from service.messages.offers.offer_store import NewOffer, Offer
from service.messages.offers.offers import offer_text
from service.messages.store import NewVersion, Template, approve_version, template_add_version
from service.storage.postgres import Connection
from tests.factories import Team, make_team, make_template

WORDS = "凡是要求转账到安全账户的都是诈骗，请勿相信，有疑问请拨打96110。"
POLICE_TEXT = f"【旌德县公安局】{WORDS}"


async def sign(conn: Connection, department_id: UUID, signature: str, now: datetime) -> None:
    """Let a department's own texts begin with a signature, as whoever runs the machine."""
    await department_store.register(conn, "signature", signature, department_id, by=None, now=now)
    await signature_store.make_default(conn, department_id, signature)


async def approved(
    conn: Connection,
    team: Team,
    now: datetime,
    text: str = POLICE_TEXT,
    kind: MessageClass = "public_interest",
) -> Template:
    """A template of a department's operator that its approver approved."""
    made = await make_template(conn, team.operator, now=now, text=text, kind=kind)
    await approve_version(conn, made.version_id, (team.approver.id, None), lint(text), now)
    return made


async def revised(
    conn: Connection, team: Team, template_id: UUID, now: datetime, text: str
) -> Template:
    """The same with another text, approved as well."""
    version = NewVersion(text, lint(text), team.operator.id)
    made = await template_add_version(conn, template_id, version, now)
    await approve_version(conn, made.version_id, (team.approver.id, None), lint(text), now)
    return made


async def offered(
    conn: Connection,
    user: User,
    template: Template,
    now: datetime,
    *departments: UUID,
    direct: bool = True,
    correction: bool = False,
) -> Offer:
    """What an approver offers to these departments."""
    new = NewOffer([], list(departments), direct, correction, "")
    return await offer_text(conn, user, template.id, template.no, new, now)


async def make_offer(conn: Connection, now: datetime, *departments: UUID) -> Offer:
    """A text of a police department that it offers to these departments."""
    police = await make_team(conn, now=now, kind="police")
    return await offered(
        conn, police.approver, await approved(conn, police, now), now, *departments
    )
