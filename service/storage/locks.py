"""The advisory locks: their keys, and the order in which a transaction takes them.

A lock is held until the transaction ends, except the two at the end of this module, which belong
to a session. A lock is taken in a statement of its own, so that the snapshot of the next statement
is younger than the lock. Do not change a key: processes of another version of this program may run
at the same time, and must take the same locks.

The order. A transaction that takes several locks takes them in the order of this list:

1.  an Idempotency-Key (tried), then the address that is edited: the API takes both first;
2.  the locks that one worker at a time has: expansion of a run, failover of a channel, health of
    channels, texts from handsets, replies, notices to a person, texts of duties, the sealer
    (workers only try these; a decision on held opt-outs waits for the one of texts from handsets),
    and the fold of a channel's receipts (a fold tries it; a decision on uncertain texts waits for
    it, in the order of the channels);
3.  a department's contacts, then erasures: an import takes the first alone and the second shared;
4.  entries of suppressions;
5.  the rows of campaigns, then those of offered texts (shared by whoever is about to send one),
    then those of runs without a campaign (row locks, `FOR … UPDATE`); those of duties, groups and
    relays before all of these;
6.  all marks (stop-all);
7.  runs, in the order of their ids;
8.  putting back into runs, after the locks of all those runs;
9.  suppressions;
10. a connection of a channel.

Whoever enters suppressions writes the rows first and takes 9 last. Then nobody who has 9 alone
waits for such rows, and a transaction that waits for rows has no lock that a mark needs.

A mark takes 6, 7, 9 and 10, all shared. A transaction that must wait until no mark is under way
takes one of them alone. A transaction that finishes slices takes 7 shared and 8 alone; one that
puts messages back takes the rows of 5, then 7 and 8 shared.

Some transactions depart from this order. The two that record results and give unsent messages back
take 10 shared before 5, 7 and 8; a transaction that has 10 alone waits for none of those. Lifting a
stop and holding a restored database take the rows of direct runs after 6 alone; so whoever has such
a row never asks for 6. Messages are given back without it: nothing leaves by that.

These locks are taken with no other lock of this module except those of 1: areas, segments,
extensions, signatures, the county's settings, the lint policy, case figures, look-ups, names of
departments. The lock of the runs that follow a run is taken by an expansion, after its lock of 2.
Administrators come before logins, where both are taken (`tocsin init`). The lock of a department's
facts is only ever tried, after any others.

More keys stand in functions of the database, where a trigger takes them: `direct <sender>`
(direct sends of a sender, counted one after another; after all others), `department tree`
(moves in the tree of departments; after names of departments) and, alone, `pack pictures` (what is
withdrawn from packs; after the row of a picture). Whoever builds a pack takes the last one shared,
with no other. Whoever hands in a report takes the one of packs' weeks shared, after the row of the
duty; the scheduler takes it alone, with no other.

One module: the order is one.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from service.errors import Misconfigured
from service.storage import sql
from service.storage.postgres import LONG_SECONDS, Connection, is_pooled
from service.words.phrase import phrase

_RUN = "hashtextextended({}::text, 0)"
_PUT_BACK = "hashtextextended('put back ' || {}::text, 0)"
_STOP_ALL = "hashtextextended('stop_all', 0)"
_SUPPRESSIONS = "hashtextextended('suppressions', 0)"
_CONNECTION = "hashtextextended('connection', {} * 1000 + {})"
_FOLD = "hashtextextended('fold', :channel_id::int)"
_INBOUND = "hashtextextended('inbound', 0)"
_CONTACTS = "hashtextextended('contacts ' || :department_id::uuid::text, 0)"
_ERASURES = "hashtextextended('erasures', 0)"
_PACK_WEEKS = "hashtextextended('pack weeks', 0)"
_SEALING = 7_146_032
_MIGRATION = 7_146_031

RUN_ALONE = f"pg_advisory_xact_lock({_RUN.format('id')})"
"""Part of a statement over runs: the lock of the run `id`, alone. Order them by `id`."""

TRY_IDEMPOTENCY = "pg_try_advisory_xact_lock(hashtextextended({}, 0))"
"""Part of a statement: takes the lock of a caller's Idempotency-Key if it is free, and gives
whether it did. The parameter has the form `idempotency <caller> <key>`."""


async def _lock_exclusive(conn: Connection, key: str, **values: Any) -> None:
    await sql.execute(conn, f"SELECT pg_advisory_xact_lock({key})", **values)


async def _lock_shared(conn: Connection, key: str, **values: Any) -> None:
    await sql.execute(conn, f"SELECT pg_advisory_xact_lock_shared({key})", **values)


async def _try_lock(conn: Connection, key: str, **values: Any) -> bool:
    free: bool = await sql.fetchval(conn, f"SELECT pg_try_advisory_xact_lock({key})", **values)
    return free


async def lock_edit(conn: Connection, path: str) -> None:
    """Keep everybody else from editing what is at this address."""
    await _lock_exclusive(conn, "hashtextextended('edit ' || :path, 0)", path=path)


async def share_pack_pictures(conn: Connection) -> None:
    """Keep pictures of packs from being withdrawn, and from being masked, while one is built."""
    await _lock_shared(conn, "hashtextextended('pack pictures', 0)")


async def share_pack_weeks(conn: Connection) -> None:
    """Keep weeks from getting their first pack while a report is handed in."""
    await _lock_shared(conn, _PACK_WEEKS)


async def lock_pack_weeks(conn: Connection) -> None:
    """Wait until no report is being handed in, and keep others from handing one in."""
    await _lock_exclusive(conn, _PACK_WEEKS)


# One worker of a kind at a time.


async def try_lock_expansion(conn: Connection, run_id: UUID) -> bool:
    """Become the one writer of a run's ledger; False if somebody else is writing it."""
    return await _try_lock(
        conn, "hashtextextended('expand ' || :run_id::uuid::text, 0)", run_id=run_id
    )


async def try_lock_failover(conn: Connection, channel_id: int) -> bool:
    """Take the lock for moving texts from this channel to others; False if it is taken."""
    return await _try_lock(
        conn, "hashtextextended('shift', :channel_id::int)", channel_id=channel_id
    )


async def try_lock_breakers(conn: Connection) -> bool:
    """Become the one scheduler that judges channels; False if somebody is."""
    # An earlier word for channels: processes of an earlier version take the same key.
    return await _try_lock(conn, "hashtextextended('lanes', 0)")


async def try_lock_reader(conn: Connection) -> bool:
    """Become the one reader of texts from handsets; False if somebody is."""
    return await _try_lock(conn, _INBOUND)


async def wait_for_reader(conn: Connection) -> None:
    """Wait until no text from a handset is being read, and keep others from reading any: a decision
    on a hold of opt-outs must cover every text that was put into the hold.
    """
    await _lock_exclusive(conn, _INBOUND)


async def try_lock_answering(conn: Connection) -> bool:
    """Become the one who answers texts from handsets; False if somebody is."""
    return await _try_lock(conn, "hashtextextended('replies', 0)")


async def try_lock_noticing(conn: Connection, user_id: UUID) -> bool:
    """Become the one who tells a person what waits for them; False if somebody is."""
    return await _try_lock(
        conn, "hashtextextended('notices to ' || :user_id::uuid::text, 0)", user_id=user_id
    )


async def try_lock_owing(conn: Connection) -> bool:
    """Take the one lock under which people are told of duties, if it is free."""
    return await _try_lock(conn, "hashtextextended('owing', 0)")


async def try_lock_sealing(conn: Connection) -> bool:
    """Become the one sealer of the audit trail; False if somebody is."""
    return await _try_lock(conn, ":number", number=_SEALING)


async def try_lock_fold(conn: Connection, channel_id: int) -> bool:
    """Take the lock for folding a channel's receipts into the ledger; False if it is taken."""
    return await _try_lock(conn, _FOLD, channel_id=channel_id)


async def lock_folds(conn: Connection, channels: Collection[int]) -> None:
    """Wait until nobody folds receipts of these channels, and keep others from folding them."""
    for channel_id in sorted(set(channels)):
        await _lock_exclusive(conn, _FOLD, channel_id=channel_id)


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
    """As `lock_contacts`, but without waiting; returns whether the lock was free."""
    return await _try_lock(conn, _CONTACTS, department_id=department_id)


async def try_lock_facts(conn: Connection, department_id: UUID) -> bool:
    """Let nobody else make the facts of the department's people anew; returns whether the lock was
    free. Nobody waits for it: who cannot have it reads the entries.
    """
    key = "hashtextextended('facts of ' || :department_id::uuid::text, 0)"
    return await _try_lock(conn, key, department_id=department_id)


async def share_erasures(conn: Connection) -> None:
    """Make a later erasure wait until this import commits; an earlier one is seen by the import."""
    await _lock_shared(conn, _ERASURES)


async def lock_erasures(conn: Connection) -> None:
    """Wait until imports that are about to commit have done so; the others will see this erasure.

    Whoever holds this waits for no row of a contact: an import holds such rows for as long as it
    takes, and asks for this lock at its end.
    """
    await _lock_exclusive(conn, _ERASURES)


async def lock_entries(conn: Connection) -> None:
    """Let nobody else enter suppressions in bulk; hand-offs go on."""
    await _lock_exclusive(conn, "hashtextextended('suppression entries', 0)")


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


async def lock_all_marks(conn: Connection) -> None:
    """Wait until no mark is under way, and keep new ones from beginning.

    It is taken before a stop is written, so that whoever marks next sees the stop (invariant I7).
    """
    await _lock_exclusive(conn, _STOP_ALL)


async def lock_run(conn: Connection, run_id: UUID) -> None:
    """Wait until no mark of a run is under way, and keep its messages from being marked, moved to
    another channel or given back (invariant I7).
    """
    await _lock_exclusive(conn, _RUN.format(":run_id::uuid"), run_id=run_id)


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


async def share_put_back(conn: Connection, runs: Collection[UUID]) -> None:
    """Keep the slices of these runs from being finished, while messages are put back into them.

    The locks are taken shared, after the runs' own locks. A transaction that finishes a slice takes
    them alone, since a finished slice must have no queued message. A mark does not need them, since
    it only takes messages out of the queue.
    """
    await sql.execute(
        conn,
        f"""
        SELECT pg_advisory_xact_lock_shared({_PUT_BACK.format("id")})
        FROM unnest(:runs::uuid[]) AS u(id)
        """,  # noqa: S608  # a constant
        runs=sorted(runs),
    )


async def lock_for_finish(conn: Connection, runs: Sequence[UUID]) -> None:
    """Take the locks for finishing slices: first each run's own lock, shared, then each run's
    put-back lock, alone. All of the runs' own locks come first, since a transaction that has a
    put-back lock must not wait for a run's own lock.

    A run's own lock, taken shared, keeps pauses, cancels and failovers away. It does not wait for a
    mark, which takes the lock shared as well. A message that is being marked still reads as
    `queued` here, so its slice is not done; the slice is not done either once it is `submitting`.
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
    """Wait for every mark that is under way; later marks see what this transaction has inserted.

    A mark holds this lock shared (invariant I7). Take it after the rows of suppressions, as the
    last thing before the commit: no mark begins while it is held or waited for, and a list may have
    half a million numbers. A mark that has begun may miss them, and is waited for here.
    """
    await _lock_exclusive(conn, _SUPPRESSIONS)


async def lock_connection(conn: Connection, channel_id: int, slot: int) -> None:
    """Wait until no mark and no recording of results is under way on a connection of a channel, so
    that its lease can change hands.
    """
    await _lock_exclusive(
        conn, _CONNECTION.format(":channel_id", ":slot"), channel_id=channel_id, slot=slot
    )


async def share_connection(conn: Connection, channel_id: int, slot: int) -> None:
    """Keep a connection of a channel from changing hands."""
    await _lock_shared(
        conn, _CONNECTION.format(":channel_id", ":slot"), channel_id=channel_id, slot=slot
    )


# Taken by themselves.


async def lock_follow_up_runs(conn: Connection, run_id: UUID) -> None:
    """Keep everybody else from writing the ledger of a run that follows this run."""
    await _lock_exclusive(
        conn, "hashtextextended('follow ' || :run_id::uuid::text, 0)", run_id=run_id
    )


async def lock_areas(conn: Connection) -> None:
    """Let nobody else change the tree of areas."""
    await _lock_exclusive(conn, "hashtextextended('areas', 0)")


async def lock_segments(conn: Connection, department_id: UUID) -> None:
    """Let nobody else save a rule of this department: two rules saved at once must not come to use
    each other.
    """
    key = "hashtextextended('segments of ' || :department_id::uuid::text, 0)"
    await _lock_exclusive(conn, key, department_id=department_id)


async def lock_extensions(conn: Connection) -> None:
    """Keep others from changing channels or departments' extensions, which must fit each other.

    If one transaction changes a channel and another an extension, the second sees the first.
    """
    await _lock_exclusive(conn, "hashtextextended('extensions', 0)")


async def lock_signatures(conn: Connection) -> None:
    """Let nobody else propose or confirm a signature."""
    await _lock_exclusive(conn, "hashtextextended('signatures', 0)")


async def lock_county(conn: Connection, kind: str) -> None:
    """Let nobody else set this kind of the county's settings."""
    await _lock_exclusive(conn, "hashtextextended(:name, 0)", name=f"county:{kind}")


async def lock_lint_changes(conn: Connection) -> None:
    """Let nobody else change the county's levels and lists for texts."""
    await _lock_exclusive(conn, "hashtextextended('lint_policies', 0)")


async def lock_lookups(conn: Connection, user_id: UUID) -> None:
    """Keep others from counting this person's look-ups, so that they are counted one by one."""
    await _lock_exclusive(conn, "hashtextextended(:name, 0)", name=f"lookups:{user_id}")


async def lock_department_names(conn: Connection) -> None:
    """Let nobody else take a name of a department."""
    await _lock_exclusive(conn, "hashtextextended('department names', 0)")


async def lock_administrators(conn: Connection) -> None:
    """Let nobody else change who the county's administrators are."""
    await _lock_exclusive(conn, "hashtextextended('administrators', 0)")


async def lock_logins(conn: Connection) -> None:
    """Let nobody else take a login."""
    await _lock_exclusive(conn, "hashtextextended('logins', 0)")


async def lock_cases(conn: Connection) -> None:
    """Let nobody else take or take back case figures, or issue a bulletin of them."""
    await _lock_exclusive(conn, "hashtextextended('cases', 0)")


# Of a session, outside of transactions.


async def _refuse_pooler(conn: Connection, setting: str) -> None:
    """Behind a pooler the lock of a session is one of whoever uses its connection next.

    setting: where the address stands.

    Raises:
        Misconfigured: a pooler stands between.
    """
    if await is_pooled(conn):
        raise Misconfigured(
            phrase(
                "a pooler stands before the database, and this command needs a connection of its"
                " own: give it in {setting} the address of PostgreSQL itself",
                setting=setting,
            )
        )


async def try_lock_keys(conn: Connection) -> bool:
    """Try to keep others from changing the master keys while this connection lives; False if
    somebody else has the lock.

    Raises:
        Misconfigured: a pooler stands between.
    """
    await _refuse_pooler(conn, "TOCSIN_DATABASE_URL")
    locked: bool = await conn.fetchval(
        "SELECT pg_try_advisory_lock(hashtextextended('master_keys', 0))"
    )
    return locked


async def lock_migration(conn: Connection) -> None:
    """Wait until nobody else migrates, and keep others out until `unlock_migration`.

    Raises:
        Misconfigured: a pooler stands between.
    """
    await _refuse_pooler(conn, "TOCSIN_DATABASE_OWNER_URL")
    await sql.execute(conn, "SELECT pg_advisory_lock(:migration)", migration=_MIGRATION)


async def unlock_migration(conn: Connection) -> None:
    """Let others migrate."""
    await sql.execute(conn, "SELECT pg_advisory_unlock(:migration)", migration=_MIGRATION)
