"""What persons entered of numbers that are not sent to: listed, let count, dropped."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.opt_out_holds import HoldDecisionBody
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Out, Page
from service.audience.suppressions import suppression_entries
from service.audience.suppressions import suppression_entry_store as store
from service.audience.suppressions.suppression import decrypted_note
from service.audience.suppressions.suppression_entry_store import SuppressionEntry
from service.crypto import Keyring


class EntriesQuery(PageQuery):
    """Which entries."""

    waiting: bool = Field(default=False, description="Those alone that wait for a second person.")


class SuppressionEntryOut(Out):
    """Numbers that somebody entered at once; which numbers is not told."""

    id: UUID
    department_id: UUID = Field(description="Whose person entered them.")
    department: str = Field(description="Its name.")
    entered_by: UUID
    entered_at: Instant
    reason: str
    classes: list[str]
    notices_of: UUID | None = Field(description="Whose work notices alone it stops.")
    owner: str
    source: Literal["person", "list"]
    note: str
    expires_at: Instant | None
    numbers: int = Field(description="Without those that were stopped so already.")
    state: Literal["counts", "waits", "dropped"]
    held: bool = Field(description="Whether it waits, or waited, for a second person.")
    decision_reason: str | None
    decided_by: UUID | None
    decided_at: Instant | None


def entry_out(keyring: Keyring, entry: SuppressionEntry) -> SuppressionEntryOut:
    """An entry as it is shown."""
    waits: Literal["waits", "counts"] = (
        "waits" if entry.held and entry.decision is None else "counts"
    )
    return SuppressionEntryOut.model_validate(
        entry._asdict()
        | {
            "note": decrypted_note(keyring, entry.note_cipher),
            "state": "dropped" if entry.decision == "drop" else waits,
        }
    )


async def list_suppression_entries(call: Call, query: EntriesQuery) -> Page[SuppressionEntryOut]:
    """List who of your department (of all, for the county) entered how many numbers, and when."""
    found = await store.list_entries(
        call.conn, call.user.scope, query.waiting, query.before, query.wanted
    )
    items = [entry_out(call.runtime.keyring, entry) for entry in found]
    return cut(Page[SuppressionEntryOut], items, query)


async def get_suppression_entry(call: Call, entry_id: UUID) -> SuppressionEntryOut:
    """Show who entered how many numbers at once, and what was decided."""
    found = await suppression_entries.visible_entry(call.conn, call.user.scope, entry_id)
    return entry_out(call.runtime.keyring, found)


async def count_suppression_entry(
    call: Call, entry_id: UUID, body: HoldDecisionBody
) -> SuppressionEntryOut:
    """Let numbers that were entered in bulk stop texts, as the second person. For the county."""
    made = await suppression_entries.let_count(
        call.conn, call.user, entry_id, body.reason, call.now
    )
    call.note("suppression_entries", entry_id, numbers=made.numbers)
    return entry_out(call.runtime.keyring, made)


async def drop_suppression_entry(
    call: Call, entry_id: UUID, body: HoldDecisionBody
) -> SuppressionEntryOut:
    """Drop an entry: its numbers stop nothing, and those that did are sent to again."""
    made = await suppression_entries.drop(call.conn, call.user, entry_id, body.reason, call.now)
    call.note("suppression_entries", entry_id, numbers=made.numbers)
    return entry_out(call.runtime.keyring, made)
