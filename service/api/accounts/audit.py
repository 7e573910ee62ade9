"""The audit trail, for whoever has to answer for what was done."""

from uuid import UUID

from pydantic import Field

from service.accounts.audit import audit_store as store
from service.accounts.audit.audit_store import SealedEntry, Wanted
from service.accounts.audit.sealing import find_foreign
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Out, Page, PlainOut, Text, plain_of
from service.words.phrase import Phrase


class AuditQuery(PageQuery):
    """Which entries: all, or those of an actor, an action, a thing, a time."""

    actor_id: UUID | None = Field(default=None, description="The id of a user.")
    action: Text | None = Field(default=None, description="As in an entry, e.g. approve_campaign.")
    object_kind: Text | None = Field(default=None, description="The kind of thing, e.g. campaigns.")
    object_id: Text | None = Field(default=None, description="The id of a thing.")
    since: Instant | None = Field(default=None, description="From this instant on.")
    until: Instant | None = Field(default=None, description="Before this instant.")


class AuditEntryOut(Out):
    """Something that was done. It holds ids, hashes and counts, and no personal data."""

    id: UUID
    at: Instant
    via: str = Field(description="api, console, cli, or system: by the clock.")
    actor_id: UUID | None = Field(description="The user; null for the command line and the clock.")
    department_id: UUID | None
    action: str
    object_kind: str | None
    object_id: str | None
    request_id: str | None = Field(description="As in the access log.")
    request_hash: str | None = Field(description="A keyed hash of what was asked.")
    details: dict[str, object]
    seal: int | None = Field(description="Its place in the chain; null: it waits to be sealed.")
    foreign: PlainOut | None = Field(
        description="Why it proves nothing: no process that has the master key wrote it."
    )


async def list_audit(call: Call, query: AuditQuery) -> Page[AuditEntryOut]:
    """List what was done in your department, from new to old."""
    wanted = Wanted(
        scope=call.user.scope,
        actor_id=query.actor_id,
        action=query.action,
        object_kind=query.object_kind,
        object_id=query.object_id,
        since=query.since,
        until=query.until,
    )
    found = await store.list_entries(call.conn, wanted, query.before, query.wanted)
    entries = [listed.entry for listed in found]
    foreign = await find_foreign(call.conn, call.runtime.keyring, entries)
    return cut(
        Page[AuditEntryOut], [_shown(one, foreign.get(one.entry.id)) for one in found], query
    )


def _shown(listed: SealedEntry, foreign: Phrase | None) -> AuditEntryOut:
    entry = listed.entry
    act = entry.act
    return AuditEntryOut(
        id=entry.id,
        at=act.at,
        via=act.via,
        actor_id=act.actor_id,
        department_id=act.department_id,
        action=act.action,
        object_kind=act.object_kind,
        object_id=act.object_id,
        request_id=act.request_id,
        request_hash=act.request_hash.hex() if act.request_hash else None,
        details=dict(act.details),
        seal=listed.seal_no,
        foreign=None if foreign is None else plain_of(foreign),
    )
