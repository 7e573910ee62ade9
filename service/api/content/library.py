"""The starter library: the texts that come with the program, and what each of them wants."""

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Out, PlainOut
from service.messages.starters import template_name, title, topic_of
from service.messages.template import Fill, Starter, fills, load_library


class StarterOut(Out):
    """A text of the starter library."""

    id: str
    name: str = Field(description="What its template is called once the library is loaded.")
    title: PlainOut = Field(description="For whom it is, and of what it warns.")
    audience: list[str]
    audience_label: PlainOut
    fraud_types: list[str]
    fraud_label: PlainOut
    topic: str = Field(
        description="Of its template: what it is for, else the kinds of fraud of which it warns, by"
        " which suggestions find it."
    )
    language: str
    message_class: str = Field(alias="class")
    text: str
    rewords: str | None = Field(
        description="The text whose warning it says in other words: nobody gets the same words"
        " again within 30 days."
    )
    fills: dict[str, Fill | None] = Field(
        description="What fills each variable in a campaign: a fact of each person, or `plan`, the"
        " values of the campaign; null: nothing does."
    )
    wants: list[str] = Field(
        description="The variables whose values a campaign must say (`values`), or a direct send"
        " bring."
    )


class LibraryOut(Out):
    """All texts of the starter library."""

    items: list[StarterOut]


async def list_library(call: Call) -> LibraryOut:  # noqa: ARG001  # every operation has its call
    """List the texts that come with the program, with the values that each of them wants."""
    return LibraryOut(items=[_shown(starter) for starter in load_library()])


def _shown(starter: Starter) -> StarterOut:
    filled = fills(starter.text)
    names = StarterOut.model_fields.keys() - {"name", "title", "fills", "wants", "message_class"}
    return StarterOut.model_validate(
        {name: getattr(starter, name) for name in names}
        | {
            "name": template_name(starter),
            "title": title(starter),
            "topic": topic_of(starter),
            "class": starter.message_class,
            "fills": filled,
            "wants": [name for name, source in filled.items() if source in {None, "plan"}],
        }
    )
