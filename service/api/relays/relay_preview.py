"""What a relay would come to, before it begins."""

from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out
from service.api.relays.relays import RelayBody, asked_of
from service.audience.areas.area_store import area_names
from service.ledger.reasons import Reason
from service.relays import preview
from service.relays.preview import RelayPreview


class RelayLevelPreviewOut(Out):
    """A level of the tree that would be frozen."""

    level: int
    role: str
    all: int = Field(description="Places: of the last level, groups.")
    people: int = Field(description="Each once, whatever places they have.")
    texts: int = Field(description="Those of them whom the text would reach.")


class RelayTextOut(Out):
    """The text as the first who would get it reads it, with phone and name masked; its length is
    the true one.
    """

    phone: str
    text: str
    characters: int
    parts: int


class RelayPreviewOut(Out):
    """A relay as it would begin now: its tree, and whom the text would reach."""

    week: str
    area: str | None
    area_name: str | None
    due_at: Instant
    begins_at: Instant = Field(description="When the first level may get its text: the send hours.")
    groups: int = Field(description="Active groups; the tree has all of them.")
    groups_without_owner: int = Field(
        description="Of these, those whose owner is on no list that holds."
    )
    people: int = Field(description="In the tree, each once; those of `excluded` among them.")
    texts: int = Field(description="Of all levels: to each person one a level.")
    by_level: list[RelayLevelPreviewOut]
    excluded: dict[str, int] = Field(
        description="People who cannot be reached, by reason; each under the first that holds."
    )
    not_known: list[str] = Field(
        description="Reasons that are looked at when a text leaves, and may stop more of them."
    )
    text: RelayTextOut | None = Field(description="Null: it reaches nobody.")
    held_why: str = Field(
        description="Why its text cannot be sent now, as a code: it would wait; '': it can."
    )
    relay_id: UUID | None = Field(
        description="The relay of this text to these groups in that week: beginning another one is"
        " refused with `relayed_already`. Null: there is none."
    )


NOT_KNOWN = (Reason.SAME_TEXT, Reason.CAPPED)
"""The caps are those of the instant at which a text leaves, which hangs on the answers above."""


async def preview_relay(call: Call, body: RelayBody) -> RelayPreviewOut:
    """Show what a relay would come to if it began now: nothing is frozen, and nobody is written to.

    Its tree is counted by the code that freezes it. If lists or groups change until it begins, what
    is frozen is what there is then.
    """
    found = await preview.preview(
        call.conn, call.runtime.keyring, call.user, asked_of(body), call.now
    )
    new = found.frozen.new
    names = await area_names(call.conn, {new.area_code})
    return RelayPreviewOut(
        week=new.week,
        area=new.area_code,
        area_name=names.get(new.area_code or ""),
        due_at=new.due_at,
        begins_at=found.begins_at,
        groups=found.groups,
        groups_without_owner=found.without_owner,
        people=found.people,
        texts=found.texts,
        by_level=[RelayLevelPreviewOut.model_validate(one) for one in found.by_level],
        excluded=dict(found.excluded),
        not_known=list(NOT_KNOWN),
        text=_text(found),
        held_why=found.held_why,
        relay_id=found.same,
    )


def _text(found: RelayPreview) -> RelayTextOut | None:
    if found.sample is None:
        return None
    size = found.sample.size
    return RelayTextOut(
        phone=found.sample.phone,
        text=found.sample.text,
        characters=size.characters,
        parts=size.parts,
    )
