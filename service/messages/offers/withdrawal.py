"""Words that were withdrawn are sent by nobody: not by a campaign, nor directly, nor as a test."""

from collections.abc import Collection, Mapping
from uuid import UUID

from service.errors import Conflict
from service.messages.offers.withdrawal_store import Withdrawn, withdrawn_among
from service.storage.postgres import Connection
from service.words.phrase import phrase


class TextWithdrawn(Conflict):
    """Whoever offered the words has withdrawn them."""

    code = "text_withdrawn"

    def __init__(self, withdrawn: Withdrawn) -> None:
        super().__init__(explain(withdrawn))
        self.offer_id = withdrawn.offer_id

    def details(self) -> Mapping[str, object]:
        """`offer_id`."""
        return {"offer_id": str(self.offer_id)}


def explain(withdrawn: Withdrawn) -> str:
    """Why words may not be sent, and what to do."""
    return phrase(
        "{department} has withdrawn the words of its text: {why}; take its new version"
        " over or write one of your own, and have it approved",
        department=withdrawn.department,
        why=withdrawn.why,
    )


async def check_words_stand(
    conn: Connection, versions: Collection[UUID], *, lock: bool = True
) -> None:
    """Refuse versions whose words were withdrawn; no other is before the transaction ends.

    lock: see `withdrawn_among`.

    Raises:
        TextWithdrawn: says by whom and why.
    """
    if withdrawn := await withdrawn_among(conn, versions, lock=lock):
        raise TextWithdrawn(withdrawn[0])
