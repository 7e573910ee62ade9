"""What a relay came to, as a file: how many passed it on, by level and by area. Nobody is named."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_department
from service.api.documents import DocumentLanguage, DocumentWords, downloaded
from service.api.http.call import Call, Download
from service.api.http.schema import QueryString
from service.api.relays.relays import NodeCountsOut, RelayDetail, get_relay
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.documents.document import Document, DocumentCell, Paragraph, Table
from service.words.phrase import phrase

_COUNTS = ("all", "done", "sent", "silent", "unreachable", "waiting", "passed_over")
_LABELS = (
    phrase("All of them"),
    phrase("Passed on"),
    phrase("No answer yet"),
    phrase("Silent"),
    phrase("Not reached"),
    phrase("Waiting"),
    phrase("Passed over"),
)


class RelayDocumentQuery(QueryString):
    """In which form."""

    format: Literal["docx", "xlsx", "html"] = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


async def get_relay_document(call: Call, relay_id: UUID, query: RelayDocumentQuery) -> Download:
    """Download what a relay came to, as a Word file, a workbook or a page to print."""
    found = await get_relay(call, relay_id)
    department = await get_department(call.conn, found.department_id, None)
    due = f"{found.due_at.astimezone(call.runtime.settings.zone):%Y-%m-%d %H:%M}"
    words = DocumentWords(query.language)
    share = "–" if found.confirmed_pct is None else f"{found.confirmed_pct} %"
    said = phrase(
        "Groups confirmed in time: {confirmed:,} of {groups:,} ({share}). Answers by {due}.",
        confirmed=found.confirmed,
        groups=found.groups,
        share=share,
        due=due,
    )
    where = [department.name, *([found.area_name] if found.area_name else []), found.template]
    made = Document(
        "relay",
        words.say(phrase("Relay {week}", week=found.week)),
        " · ".join(where),
        query.language,
        [Paragraph(words.say(said)), *_tables(found, words), Paragraph(found.text, quiet=True)],
        call.now,
        {},
    )
    return await downloaded(call, made, query.format, f"relay-{found.week}")


def _tables(found: RelayDetail, words: DocumentWords) -> list[Table]:
    names = ROLE_TITLES if words.language == "zh" else ROLES_IN_ENGLISH
    roles = [names.get(role, role) for role in found.levels]
    numbers = [(label, 0) for label in _LABELS]
    levels: list[list[DocumentCell]] = [
        [roles[one.level - 1], *_counts(one)] for one in found.by_level
    ]
    unknown = words.say(phrase("area not known"))
    areas: list[list[DocumentCell]] = [
        [one.area_name or unknown, roles[one.level - 1], *_counts(one)] for one in found.by_area
    ]
    return [
        Table(
            words.say(phrase("By level")),
            words.columns((phrase("Level"), None), *numbers),
            levels,
        ),
        Table(
            words.say(phrase("By area")),
            words.columns((phrase("Area"), None), (phrase("Level"), None), *numbers),
            areas,
        ),
    ]


def _counts(one: NodeCountsOut) -> Sequence[DocumentCell]:
    return [getattr(one, name) for name in _COUNTS]
