"""Whether data are deleted when their term is over, and the agreement after a clock's jump."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Out
from service.privacy import clock_watch_store, trusted_clock
from service.privacy.clock_watch_store import Stand


class DueOut(Out):
    """How much of a kind is past its term."""

    kind: str
    due: int
    total: int


class RetentionOut(Out):
    """Whether data are deleted for their age, and if not, why."""

    held_for: Literal["clocks_differ", "clock_jumped", "needs_agreement"] | None = Field(
        description="Null: data are deleted when their term is over."
    )
    held_since: Instant | None
    last_beat: Instant | None = Field(description="When the service last knew that it lived.")
    jumped_from: Instant | None = Field(description="The last beat before the clock jumped.")
    jumped_at: Instant | None = Field(description="The first beat after it.")
    due: list[DueOut] = Field(description="What would go, once an agreement is asked for.")
    agreed_by: UUID | None
    agreed_at: Instant | None


class AgreeBody(Body):
    """To which jump of the clock: what was due then has been looked at."""

    jumped_at: Instant = Field(description="As `GET /privacy/retention` says.")


async def get_retention(call: Call) -> RetentionOut:
    """Say whether data are deleted for their age, and what an agreement would let go."""
    return _shown(await clock_watch_store.read_stand(call.conn))


async def agree_to_retention(call: Call, body: AgreeBody) -> RetentionOut:
    """Agree that what is due after the clock has jumped is deleted; for the county's administrator.

    Look first whether the clock is right: what goes does not come back.
    """
    before = await trusted_clock.agree(call.conn, call.user, body.jumped_at, call.now)
    call.note(
        "retention",
        "retention",
        jumped_from=str(before.watch.jumped_from),
        jumped_at=str(before.watch.jumped_at),
        due={kind: count for kind, (count, _) in before.due.items()},
    )
    return _shown(await clock_watch_store.read_stand(call.conn))


def _shown(stand: Stand) -> RetentionOut:
    return RetentionOut(
        held_for=stand.held_for,
        held_since=stand.held_since,
        last_beat=stand.watch.beat_at,
        jumped_from=stand.watch.jumped_from,
        jumped_at=stand.watch.jumped_at,
        due=[DueOut(kind=k, due=count, total=total) for k, (count, total) in stand.due.items()],
        agreed_by=stand.agreed_by,
        agreed_at=stand.agreed_at,
    )
