"""Noticing that the database is an older one than it was: a restored backup starts on hold (I6).

The database counts its beats, and a witness outside of it remembers the last one. A database that
is behind its witness has lost what it did last, however that came about: it does not know what has
left since. Nor does one that is in another PostgreSQL cluster: a dump that was read into a new
server. One that is on another timeline of its cluster (a standby that was promoted, a recovery to a
point in time) is compared with what Redis was told of marks (`witness`, `gap`): if nothing is
missing in it, it goes on by itself. Until it is accepted, no mark is made (`mark.sql`).

Witnesses are Redis and, if there is one, a file outside the data folder; either may be lost, which
proves nothing on a timeline that is known. See docs/decisions/0036-restored-database.md and 0460.
Redis is believed only what this system's key has signed: whoever can write there can forget a beat,
and make none (decision 0242).
"""

import contextlib
import logging
import os
from pathlib import Path
from uuid import UUID

from redis.exceptions import RedisError, ResponseError

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.campaigns.stops import stop_store, witness
from service.campaigns.stops.gap import GapFinding, GapVerdict, Witnessed, judge, system_of
from service.campaigns.stops.stop_all import hold_all
from service.campaigns.stops.stop_store import Generation, KnownGap
from service.crypto import Keyring
from service.logs import seldom
from service.queue import read_script
from service.runtime import Runtime
from service.storage.postgres import Connection, transaction
from service.words.phrase import told

_REPLACE = read_script(__file__, "replace_beat.lua")

ABSURD = "the beat that stands in Redis was not written by this system, and is not believed"
MOST_OCTETS = 100
"""More than a signed beat has."""

log = logging.getLogger(__name__)
_unusable: set[Path] = set()
"""The witness files of which this process has said that they cannot be used."""


async def beat(runtime: Runtime) -> bool:
    """Look whether the database was restored, and hold everything if so; then beat once more, and
    tell Redis of it and of all marks.

    Returns whether it was. Harmless to do twice, and by several at once.
    """
    was = await check(runtime)
    async with transaction(runtime.pool) as conn:
        cluster = await stop_store.present_cluster(conn)
        generation = await stop_store.beat(conn, cluster, runtime.clock.now())
    if generation is not None:  # else nobody has accepted it where it is now
        await _remember(runtime, generation)
    return was


async def check(runtime: Runtime) -> bool:
    """Look whether the database was promoted or restored: accept it where it is if nothing is
    missing in it, else hold everything. Returns whether everything was put on hold.

    The witnesses are asked before the database: they never know of what is not committed.
    """
    async with runtime.pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
        present = await stop_store.present_cluster(conn)
    if known is None:
        return False
    seen = await _look_outside(runtime, known, present)
    async with runtime.pool.acquire() as conn:
        verdict = (await _judge(conn, seen)).verdict
    if verdict is GapVerdict.WAIT:
        seldom(log, logging.WARNING, "a new timeline waits until Redis says what is missing")
    if verdict not in (GapVerdict.ACCEPT, GapVerdict.HOLD):
        return False
    async with transaction(runtime.pool) as conn:
        finding = await _judge(conn, seen, lock=True)
        if finding.verdict is GapVerdict.ACCEPT:
            await _accept(conn, runtime, known.cluster)
        elif finding.verdict is GapVerdict.HOLD:
            await _hold(conn, runtime, finding, seen)
    if finding.verdict is GapVerdict.HOLD:
        await _begin_anew(runtime)
    return finding.verdict is GapVerdict.HOLD


async def look_again(runtime: Runtime) -> None:
    """The same, since a connection may not write what it has marked; see `check`. Mostly nothing is
    missing: Redis was told of a later mark of that connection by a beat, before it was by itself.
    """
    await check(runtime)


async def _judge(conn: Connection, seen: Witnessed, *, lock: bool = False) -> GapFinding:
    known = await stop_store.get_generation(conn, lock=lock)
    if known is None:
        return GapFinding(GapVerdict.SAME)
    present = await stop_store.present_cluster(conn)
    return judge(known, present, await stop_store.marks_of_connections(conn), seen)


async def _accept(conn: Connection, runtime: Runtime, before: str) -> None:
    """Nothing is missing: sending goes on where the database is now, and no person is asked."""
    cluster = await stop_store.present_cluster(conn)
    await stop_store.accept_generation(conn, 0, cluster)
    act = AuditAct(
        "accept_timeline",
        runtime.clock.now(),
        "system",
        object_kind="databases",
        object_id=cluster,
        details={"before": before},
    )
    await insert_entry(conn, runtime.keyring, act)
    log.warning(
        "the database is on a new timeline and nothing is missing in it: sending goes on",
        extra={"before": before, "now": cluster},
    )


async def _hold(conn: Connection, runtime: Runtime, finding: GapFinding, seen: Witnessed) -> None:
    known = await stop_store.get_generation(conn)
    why = told(finding.why, "")
    gap = KnownGap(finding.missing, known.beat_at if known else None)
    await hold_all(conn, why, runtime.clock.now(), gap)
    await stop_store.accept_generation(conn, seen.beat, await stop_store.present_cluster(conn))
    if seen.announced is not None:
        await stop_store.raise_marks(conn, seen.announced.counts)
    # With the commits, answers of the carrier were lost as well. A holder that lives has recorded
    # these, and will never answer for what the database takes for unanswered.
    await stop_store.end_leases(conn)
    log.error("the database was restored; everything is on hold", extra={"why": why})


async def _begin_anew(runtime: Runtime) -> None:
    """Let Redis remember what the database has now, and nothing else."""
    async with runtime.pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
        marks = await stop_store.marks_of_connections(conn)
    if known is not None:
        with contextlib.suppress(RedisError, OSError):
            await witness.begin_anew(runtime.redis, runtime.keyring, known.id, known.cluster, marks)


async def _look_outside(runtime: Runtime, known: Generation, present: str) -> Witnessed:
    """What the witnesses remember. On a new timeline of the cluster, nobody writes from now on what
    was marked before it; so no more is told than what is seen here.
    """
    redis, keyring, database = runtime.redis, runtime.keyring, known.id
    beat_no, announced = 0, None
    with contextlib.suppress(RedisError, OSError):
        beat_no = (await _told(runtime, database))[0]
        promoted = system_of(known.cluster) == system_of(present) and known.cluster != present
        if promoted:
            announced = await witness.move_on(redis, keyring, database, present)
        else:
            announced = await witness.read(redis, keyring, database)
    whole = beat_no > 0
    return Witnessed(max(beat_no, _beat_in_file(runtime, database)), whole, announced)


def _beat_in_file(runtime: Runtime, database: UUID) -> int:
    """The last beat that the witness file remembers; 0: it has none of this database."""
    path = runtime.settings.witness_file
    if path is None:
        return 0
    try:
        with contextlib.suppress(FileNotFoundError, ValueError):  # nothing is remembered yet
            name, number = path.read_text("ascii").split()
            return int(number) if name == str(database) else 0
    except OSError as error:
        _note_unusable(path, error)
    return 0


async def _remember(runtime: Runtime, generation: Generation) -> None:
    """Tell the witnesses; one that cannot be reached is told the next time. Redis is told of marks
    before the beat: while it has a beat, it knows of all marks.
    """
    async with runtime.pool.acquire() as conn:
        marks = await stop_store.marks_of_connections(conn)
    with contextlib.suppress(RedisError, OSError):
        await witness.tell_all(
            runtime.redis, runtime.keyring, generation.id, generation.cluster, marks
        )
        before, text = await _told(runtime, generation.id)
        if before < generation.beat:
            replace = runtime.redis.register_script(_REPLACE)
            signed = _signed(runtime.keyring, generation.id, generation.beat)
            await replace(keys=[_key(generation.id)], args=[text, signed])
    if path := runtime.settings.witness_file:
        try:
            new = path.with_name(f"{path.name}.{os.getpid()}")
            new.write_text(f"{generation.id} {generation.beat}\n", "ascii")
            new.replace(path)
            _unusable.discard(path)
        except OSError as error:
            _note_unusable(path, error)


async def _told(runtime: Runtime, database: UUID) -> tuple[int, bytes]:
    """The beat that Redis remembers, and how it stands there; 0 and nothing: none.

    What is not signed for this database by this system's key was written by somebody else.
    """
    try:
        text = await runtime.redis.getrange(_key(database), 0, MOST_OCTETS)
    except ResponseError:  # it is no string
        seldom(log, logging.WARNING, ABSURD)
        return 0, b""
    number = text.partition(b":")[0]
    beat_no = int(number) if number.isdigit() else 0
    if text == _signed(runtime.keyring, database, beat_no):
        return beat_no, text
    if text:
        seldom(log, logging.WARNING, ABSURD)
    return 0, b""


def _signed(keyring: Keyring, database: UUID, beat_no: int) -> bytes:
    """A beat as it stands in Redis."""
    return f"{beat_no}:{keyring.index('beat', f'{database}:{beat_no}').hex()}".encode()


def _note_unusable(path: Path, error: OSError) -> None:
    """Log it once, until the file has been written again: a beat comes every few seconds."""
    if path not in _unusable:
        _unusable.add(path)
        log.warning(
            "the witness file cannot be used, so a restored database may not be noticed; "
            "mend TOCSIN_WITNESS_FILE, or let the program's user write to its folder",
            extra={"path": str(path), "why": error.strerror},
        )


def _key(database: UUID) -> str:
    return f"tocsin:beat:{database}"
