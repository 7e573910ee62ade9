"""The advisory locks: each key once, and the one order in which they are taken.

Every lock here lasts to the end of the transaction, but for the two at the bottom, which belong to
a session. A lock is taken in a statement of its own, so that the next statement's snapshot is
younger than the lock. The keys stay what they are: processes of another version of this program may
run beside this one, and must lock the same.

The one order. A transaction that takes several takes them from the top to the bottom of this list:

1.  an Idempotency-Key (tried), then the address that is edited: the API takes both first;
2.  the one worker of a kind at a time: expansion of a run, failover of a channel, health of
    channels, texts from handsets, replies, the sealer (all tried), the folders of receipts (tried
    by a folder; by whoever decides on uncertain texts waited for, in the order of the channels);
3.  a department's contacts, then erasures: an import takes the first alone and the second shared;
4.  entries of suppressions;
5.  the rows of campaigns, then those of runs without a campaign (row locks, `FOR … UPDATE`);
6.  all marks (stop-all);
7.  runs, in the order of their ids;
8.  putting back into runs, after the locks of all those runs;
9.  suppressions;
10. a connection of a channel.

A mark takes 6, 7, 9 and 10, all shared; whoever must know that nothing is half-marked takes one of
them alone. Whoever finishes slices takes 7 shared and 8 alone, whoever puts messages back takes 5,
7 and 8 shared.

Two places depart from it. Who records results has 10 shared before 5, 7 and 8: whoever has 10 alone
waits for none of them. Who gives unsent messages back takes 6 shared after 5, 7 and 8: against
somebody who has 6 alone and changes direct runs (lifting a stop, a restored database) PostgreSQL
may find a deadlock, and the loser's transaction is run again.

Taken with no other lock of this module but those of 1: runs that follow a run, areas, segments,
extensions, signatures, the county's settings, the rules of texts, look-ups, names of departments.
Administrators come before logins, where both are taken (`tocsin init`).

Two more keys stand in functions of the database, where a trigger takes them: `direct <sender>`
(direct sends of a sender, counted one after another; after all others) and `department tree`
(moves in the tree of departments; after names of departments).
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from service.storage import sql
from service.storage.postgres import LONG_SECONDS, Connection

_RUN = "hashtextextended({}::text, 0)"
_PUT_BACK = "hashtextextended('put back ' || {}::text, 0)"
_STOP_ALL = "hashtextextended('stop_all', 0)"
_SUPPRESSIONS = "hashtextextended('suppressions', 0)"
_CONNECTION = "hashtextextended('connection', {} * 1000 + {})"
_FOLD = "hashtextextended('fold', :channel_id::int)"
_INBOUND = "hashtextextended('inbound', 0)"
_CONTACTS = "hashtextextended('contacts ' || :department_id::uuid::text, 0)"
_ERASURES = "hashtextextended('erasures', 0)"
_SEALING = 7_146_032
_MIGRATION = 7_146_031

RUN_ALONE = f"pg_advisory_xact_lock({_RUN.format('id')})"
"""Part of a statement over runs: the lock of the run `id`, alone. Order them by `id`."""

TRY_IDEMPOTENCY = "pg_try_advisory_xact_lock(hashtextextended({}, 0))"
"""Part of a statement: whether the Idempotency-Key of a caller, in this parameter as `idempotency
<caller> <key>`, is ours now."""


async def _alone(conn: Connection, key: str, **values: Any) -> None:
    await sql.execute(conn, f"SELECT pg_advisory_xact_lock({key})", **values)


async def _shared(conn: Connection, key: str, **values: Any) -> None:
    await sql.execute(conn, f"SELECT pg_advisory_xact_lock_shared({key})", **values)


async def _tried(conn: Connection, key: str, **values: Any) -> bool:
    free: bool = await sql.fetchval(conn, f"SELECT pg_try_advisory_xact_lock({key})", **values)
    return free


async def lock_edit(conn: Connection, path: str) -> None:
    """Keep everybody else from editing what is at this address."""
    await _alone(conn, "hashtextextended('edit ' || :path, 0)", path=path)


# One worker of a kind at a time.


async def lock_expansion(conn: Connection, run_id: UUID) -> bool:
    """Become the one who writes a run's ledger; False if somebody is."""
    return await _tried(
        conn, "hashtextextended('expand ' || :run_id::uuid::text, 0)", run_id=run_id
    )


async def lock_failover(conn: Connection, channel_id: int) -> bool:
    """Become the one who moves texts from this channel to others; False if somebody is."""
    return await _tried(conn, "hashtextextended('shift', :channel_id::int)", channel_id=channel_id)


async def lock_breakers(conn: Connection) -> bool:
    """Become the one scheduler that judges channels; False if somebody is."""
    return await _tried(conn, "hashtextextended('lanes', 0)")


async def lock_reader(conn: Connection) -> bool:
    """Become the one reader of texts from handsets; False if somebody is."""
    return await _tried(conn, _INBOUND)


async def wait_for_reader(conn: Connection) -> None:
    """Wait until no text is being read, and let none be read: what is decided of a hold is decided
    of all that was put into it.
    """
    await _alone(conn, _INBOUND)


async def lock_answering(conn: Connection) -> bool:
    """Become the one who answers texts from handsets; False if somebody is."""
    return await _tried(conn, "hashtextextended('replies', 0)")


async def try_lock_sealing(conn: Connection) -> bool:
    """Become the one sealer of the audit trail; False if somebody is."""
    return await _tried(conn, ":number", number=_SEALING)


async def lock_fold(conn: Connection, channel_id: int) -> bool:
    """Become the one who folds a channel's receipts into the ledger; False if somebody is."""
    return await _tried(conn, _FOLD, channel_id=channel_id)


async def lock_folds(conn: Connection, channels: Collection[int]) -> None:
    """Wait until nobody folds receipts of these channels, and keep it so."""
    for channel_id in sorted(set(channels)):
        await _alone(conn, _FOLD, channel_id=channel_id)


# People.


async def lock_contacts(conn: Connection, department_id: UUID) -> None:
    """Wait until nobody else changes the department's contacts, and keep others out."""
    await sql.execute(
        conn,
        f"SELECT pg_advisory_xact_lock({_CONTACTS})",
        department_id=department_id,
        timeout=LONG_SECONDS,
    )


async def try_lock_contacts(conn: Connection, department_id: UUID) -> bool:
    """The same without waiting; whether it is ours."""
    return await _tried(conn, _CONTACTS, department_id=department_id)


async def hold_off_erasures(conn: Connection) -> None:
    """Make an erasure wait for the commit of an import, or let the import see the erasure."""
    await _shared(conn, _ERASURES)


async def lock_erasures(conn: Connection) -> None:
    """Wait until imports that are about to commit have done so; the others will see this erasure.

    Whoever holds this waits for no row of a contact: an import holds such rows for as long as it
    takes, and asks for this lock at its end.
    """
    await _alone(conn, _ERASURES)


async def lock_entries(conn: Connection) -> None:
    """Let nobody else enter suppressions in bulk; hand-offs go on."""
    await _alone(conn, "hashtextextended('suppression entries', 0)")


# The hand-off.


async def lock_for_mark(
    conn: Connection, runs: Collection[UUID], channel_id: int, slot: int
) -> None:
    """The shared locks of a mark, in one statement: all marks, the runs, suppressions and the
    connection `slot` of the channel.
    """
    await sql.execute(
        conn,
        f"""
        WITH all_runs AS MATERIALIZED (
            SELECT pg_advisory_xact_lock_shared({_STOP_ALL})
        ), each AS MATERIALIZED (
            SELECT pg_advisory_xact_lock_shared({_RUN.format("r.run")})
            FROM all_runs, unnest(:runs::uuid[]) WITH ORDINALITY AS r(run, at) ORDER BY r.at
        )
        SELECT pg_advisory_xact_lock_shared({_SUPPRESSIONS}),
               pg_advisory_xact_lock_shared({_CONNECTION.format(":channel_id", ":slot")})
        FROM (SELECT count(*) FROM each) AS after
        """,  # noqa: S608  # constants
        runs=sorted(runs),
        channel_id=channel_id,
        slot=slot,
    )


async def lock_marks_out(conn: Connection) -> None:
    """Wait until no mark is half-way, and let none begin.

    It is taken before a stop is written, so that whoever marks next sees the stop (invariant I7).
    """
    await _alone(conn, _STOP_ALL)


async def lock_run(conn: Connection, run_id: UUID) -> None:
    """Wait until nothing of a run is half-marked, and let none of it be marked, moved to another
    channel or given back (invariant I7).
    """
    await _alone(conn, _RUN.format(":run_id::uuid"), run_id=run_id)


async def lock_each_run(conn: Connection, runs: Collection[UUID]) -> None:
    """As `lock_run`, for several."""
    await sql.execute(
        conn,
        f"""
        SELECT {RUN_ALONE} FROM (SELECT id FROM unnest(:runs::uuid[]) AS u(id) ORDER BY id) r
        """,  # noqa: S608  # a constant
        runs=sorted(runs),
    )


async def share_runs(conn: Connection, runs: Collection[UUID]) -> None:
    """Keep these runs from being paused, cancelled, closed or moved; marks go on."""
    await sql.execute(
        conn,
        f"""
        SELECT pg_advisory_xact_lock_shared({_RUN.format("id")})
        FROM unnest(:runs::uuid[]) AS u(id)
        """,  # noqa: S608  # a constant
        runs=sorted(runs),
    )


async def lock_put_back(conn: Connection, runs: Collection[UUID]) -> None:
    """Keep the slices of these runs from being finished, while messages are put back into them.

    Shared, and after the runs' own locks. Whoever finishes a slice holds it alone: in a slice that
    is done nothing may be queued. A mark does not need it, for it only takes messages out of the
    queue.
    """
    await sql.execute(
        conn,
        f"""
        SELECT pg_advisory_xact_lock_shared({_PUT_BACK.format("id")})
        FROM unnest(:runs::uuid[]) AS u(id)
        """,  # noqa: S608  # a constant
        runs=sorted(runs),
    )


async def lock_to_finish(conn: Connection, runs: Sequence[UUID]) -> None:
    """The locks of finishing slices: the runs' own shared, then putting back into them alone. All
    of the runs' own before any other, for whoever holds the lock of putting back must not wait for
    a run's own.

    Shared, a run's own keeps pauses, cancels and failovers away. A mark, which has it shared as
    well, is not waited for: a message that is being marked is `queued` here, and then the slice is
    not done, which is as true of a marked one.
    """
    await sql.execute(
        conn,
        f"""
        WITH own AS MATERIALIZED (
            SELECT pg_advisory_xact_lock_shared({_RUN.format("id")})
            FROM unnest(:runs::uuid[]) AS u(id)
        )
        SELECT pg_advisory_xact_lock({_PUT_BACK.format("u.id")})
        FROM (SELECT count(*) FROM own) AS after, unnest(:runs::uuid[]) AS u(id)
        """,  # noqa: S608  # constants
        runs=runs,
    )


async def lock_suppressions(conn: Connection) -> None:
    """Wait for every hand-off that is being marked; the next one sees what is inserted now.

    The hand-off holds this lock shared while it marks messages as leaving (invariant I7).
    """
    await _alone(conn, _SUPPRESSIONS)


async def lock_connection(conn: Connection, channel_id: int, slot: int) -> None:
    """Wait until nothing is half-marked or half-recorded on a connection of a channel, and let it
    change hands.
    """
    await _alone(conn, _CONNECTION.format(":channel_id", ":slot"), channel_id=channel_id, slot=slot)


async def share_connection(conn: Connection, channel_id: int, slot: int) -> None:
    """Keep a connection of a channel from changing hands."""
    await _shared(
        conn, _CONNECTION.format(":channel_id", ":slot"), channel_id=channel_id, slot=slot
    )


# Taken by themselves.


async def lock_followers(conn: Connection, run_id: UUID) -> None:
    """Keep everybody else from writing a ledger that follows a run."""
    await _alone(conn, "hashtextextended('follow ' || :run_id::uuid::text, 0)", run_id=run_id)


async def lock_areas(conn: Connection) -> None:
    """Let nobody else change the tree of areas."""
    await _alone(conn, "hashtextextended('areas', 0)")


async def lock_segments(conn: Connection, department_id: UUID) -> None:
    """Let nobody else save a rule of this department: two rules saved at once must not come to use
    each other.
    """
    key = "hashtextextended('segments of ' || :department_id::uuid::text, 0)"
    await _alone(conn, key, department_id=department_id)


async def lock_extensions(conn: Connection) -> None:
    """Let nobody else fit channels and extensions to each other.

    Of two who change one of each, the second sees what the first did.
    """
    await _alone(conn, "hashtextextended('extensions', 0)")


async def lock_signatures(conn: Connection) -> None:
    """Let nobody else propose or confirm a signature."""
    await _alone(conn, "hashtextextended('signatures', 0)")


async def lock_county(conn: Connection, kind: str) -> None:
    """Let nobody else set this kind of the county's settings."""
    await _alone(conn, "hashtextextended(:name, 0)", name=f"county:{kind}")


async def lock_lint_changes(conn: Connection) -> None:
    """Let nobody else change the county's levels and lists for texts."""
    await _alone(conn, "hashtextextended('lint_policies', 0)")


async def lock_lookups(conn: Connection, user_id: UUID) -> None:
    """Count one person's look-ups one after another."""
    await _alone(conn, "hashtextextended(:name, 0)", name=f"lookups:{user_id}")


async def lock_department_names(conn: Connection) -> None:
    """Let nobody else take a name of a department."""
    await _alone(conn, "hashtextextended('department names', 0)")


async def lock_administrators(conn: Connection) -> None:
    """Let nobody else change who the county's administrators are."""
    await _alone(conn, "hashtextextended('administrators', 0)")


async def lock_logins(conn: Connection) -> None:
    """Let nobody else take a login."""
    await _alone(conn, "hashtextextended('logins', 0)")


# Of a session, outside of transactions.


async def try_lock_keys(conn: Connection) -> bool:
    """Let nobody else change the master keys for as long as the connection lives, if nobody
    does.
    """
    locked: bool = await conn.fetchval(
        "SELECT pg_try_advisory_lock(hashtextextended('master_keys', 0))"
    )
    return locked


async def lock_migration(conn: Connection) -> None:
    """Wait until nobody else migrates, and keep others out until `unlock_migration`."""
    await sql.execute(conn, "SELECT pg_advisory_lock(:migration)", migration=_MIGRATION)


async def unlock_migration(conn: Connection) -> None:
    """Let others migrate."""
    await sql.execute(conn, "SELECT pg_advisory_unlock(:migration)", migration=_MIGRATION)
