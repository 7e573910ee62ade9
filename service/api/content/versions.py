"""The versions of a text: who wrote each and when, what lint said, and who approved it."""

from uuid import UUID

from pydantic import Field

from service.api.content.templates import FindingOut, findings_out
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Out, Page
from service.messages.store import TemplateVersion, list_versions, template_get


class TextVersionOut(Out):
    """One version, which never changes."""

    id: UUID
    version: int
    text: str
    lint: list[FindingOut] = Field(description="What lint said to its author.")
    edited_by: UUID
    edited_at: Instant
    approved_by: UUID | None
    approved_for: UUID | None = Field(description="The absent approver it was approved for.")
    approved_at: Instant | None
    approved_lint: list[FindingOut] | None = Field(description="What lint said at its approval.")
    taken_from: UUID | None = Field(description="The offer whose words it has, unchanged.")
    withdrawn: bool = Field(description="Its words were withdrawn, and nobody may send them.")


async def list_template_versions(
    call: Call, template_id: UUID, query: PageQuery
) -> Page[TextVersionOut]:
    """List all versions of a template, from new to old."""
    await template_get(call.conn, template_id, call.user.scope)
    found = await list_versions(call.conn, template_id, query.before, query.wanted)
    return cut(Page[TextVersionOut], [_shown(version) for version in found], query)


def _shown(version: TemplateVersion) -> TextVersionOut:
    approved = version.approved_lint
    return TextVersionOut.model_validate(
        version._asdict()
        | {
            "version": version.no,
            "lint": findings_out(version.lint),
            "approved_lint": None if approved is None else findings_out(approved),
            "withdrawn": version.withdrawn_offer is not None,
        }
    )
