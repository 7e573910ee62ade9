"""Whether a plan still suits the order that was drawn for it."""

from uuid import UUID

from service.campaigns.core import rollout_store
from service.campaigns.core.model import Content
from service.campaigns.core.rollout import rollout_problems
from service.errors import Invalid
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def check_rollout(conn: Connection, campaign_id: UUID, content: Content) -> None:
    """Refuse what is about to be submitted if it does not suit the order; nothing without one.

    Raises:
        Invalid: names each field that does not suit it.
    """
    terms = await rollout_store.find_terms(conn, campaign_id)
    if terms is not None and (problems := dict(rollout_problems(content, terms))):
        raise Invalid(phrase("the plan does not suit its rollout"), fields=problems)
