"""Whom each kind of fraud is aimed at: the table of audiences, shown and set."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out, PlainOut, Text
from service.cases import store
from service.cases.suggested_audiences import AUDIENCES, audiences_of
from service.errors import Invalid
from service.reports.suggestions import suggestion_store
from service.words.phrase import phrase

MOST_AUDIENCES = len(AUDIENCES)


class AudienceNameOut(Out):
    """What an audience is called."""

    audience: str
    name: PlainOut


class SuggestedAudiencesOut(Out):
    """Whom one kind of fraud is aimed at."""

    fraud_type: str
    audiences: list[str]


class SuggestionRulesOut(Out):
    """Whom each kind of fraud is aimed at; version 0: as shipped."""

    version: int
    reason: str
    set_by: UUID | None
    set_at: Instant | None
    items: list[SuggestedAudiencesOut]
    audiences: list[AudienceNameOut] = Field(description="All that there are to choose from.")


class SuggestedAudiencesBody(Body):
    """Whom one kind of fraud is aimed at, the most important first."""

    fraud_type: Text
    audiences: Annotated[list[Text], Field(min_length=1, max_length=MOST_AUDIENCES)]


class SuggestionRulesBody(Body):
    """All of the table, and why it changes; a kind that is not in it is everybody's."""

    items: list[SuggestedAudiencesBody] = Field(max_length=100)
    reason: Line


async def get_suggestion_rules(call: Call) -> SuggestionRulesOut:
    """Show whom each kind of fraud is aimed at."""
    table = await suggestion_store.read_table(call.conn)
    types = await store.read_fraud_types(call.conn)
    return SuggestionRulesOut(
        version=table.version,
        reason=table.reason,
        set_by=table.set_by,
        set_at=table.set_at,
        items=[
            SuggestedAudiencesOut(
                fraud_type=key, audiences=list(audiences_of(key, table.audiences))
            )
            for key in types.keys
        ],
        audiences=[
            AudienceNameOut(audience=name, name=PlainOut.model_validate(words))
            for name, words in AUDIENCES.items()
        ],
    )


async def set_suggestion_rules(call: Call, body: SuggestionRulesBody) -> SuggestionRulesOut:
    """Set whom each kind of fraud is aimed at; suggestions that are made already keep theirs."""
    types = await store.read_fraud_types(call.conn)
    for at, item in enumerate(body.items):
        if item.fraud_type not in types.keys:
            raise Invalid.at(
                f"items.{at}.fraud_type",
                phrase("there is no kind of fraud {key}", key=item.fraud_type),
            )
        unknown = [name for name in item.audiences if name not in AUDIENCES]
        if unknown:
            raise Invalid.at(
                f"items.{at}.audiences", phrase("there is no audience {name}", name=unknown[0])
            )
    table = {item.fraud_type: list(dict.fromkeys(item.audiences)) for item in body.items}
    if len(table) < len(body.items):
        raise Invalid.at("items", phrase("two rows are of the same kind of fraud"))
    await suggestion_store.write_table(call.conn, table, body.reason, call.user.id, call.now)
    made = await get_suggestion_rules(call)
    call.note("suggestion_rules", made.version, kinds=len(table))
    return made
