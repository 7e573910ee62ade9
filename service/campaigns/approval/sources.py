"""What a campaign would bind: its texts and its rule as they stand now, and as they were seen."""

from collections.abc import Sequence
from uuid import UUID

from service.accounts.people.model import User
from service.audience.segments.segment import canonical
from service.audience.segments.segment_uses import WrittenOut
from service.campaigns.audience.recipients import written_rule
from service.campaigns.core.model import Campaign, Content
from service.campaigns.core.texts import BoundText
from service.campaigns.plans.planning import load
from service.errors import Conflict
from service.messages.store import Template, template_get
from service.messages.template import fill
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def read_sources(
    conn: Connection, campaign: Campaign
) -> tuple[list[Template], WrittenOut, UUID]:
    """The texts and the rule as they stand now, the rule with the segments that it uses and its
    last editor.
    """
    return await read_templates(conn, campaign), *await written_rule(conn, campaign)


async def read_templates(conn: Connection, campaign: Campaign) -> list[Template]:
    """The texts as they stand now, in their order."""
    plan = campaign.plan
    wanted = [plan.template_id, *(text.template_id for text in plan.more_texts)]
    return [await template_get(conn, template_id, None) for template_id in wanted]


def content_of(campaign: Campaign, templates: Sequence[Template], rule: WrittenOut) -> Content:
    """What a submission of these texts and this rule binds."""
    first, *others = templates
    further = zip(others, campaign.plan.more_texts, strict=True)
    return Content(
        first.version_id,
        fill(first.text, campaign.plan.values),
        first.info.message_class,
        canonical(rule.rule),
        campaign.plan,
        further=tuple(
            BoundText(t.version_id, fill(t.text, more.values), more.after_days)
            for t, more in further
        ),
    )


async def check_seen(conn: Connection, actor: User, campaign_id: UUID, seen: str) -> None:
    """Refuse to approve what is not what the approver has seen. seen: its hash, in hexadecimal
    digits. Nobody changes it after this, until the transaction ends.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Conflict: it was changed, and perhaps submitted again, since.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    if campaign.content_hash is None or campaign.content_hash.hex() != seen:
        raise Conflict(
            phrase("it was changed since you saw it; read what waits now, then sign"),
            code="changed_meanwhile",
        )
