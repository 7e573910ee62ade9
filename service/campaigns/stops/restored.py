"""Noticing that the database is an older one than it was: a restored backup starts on hold (I6).

The database counts its beats, and a witness outside of it remembers the last one. A database that
is behind its witness has lost what it did last, however that came about: it does not know what has
left since. So has one that is now in another PostgreSQL cluster or on another of its timelines: a
dump that was read into a new server, a recovery to a point in time, a standby that was promoted.
Witnesses are Redis and, if there is one, a file outside the data folder; either may be lost, which
proves nothing. See docs/decisions/0036-restored-database.md. Redis is believed only what this
system's key has signed: whoever can write there can forget a beat, and make none (decision 0242).
"""

import contextlib
import logging
import os
from pathlib import Path
from uuid import UUID

from redis.exceptions import RedisError, ResponseError

from service.campaigns.stops import stop_store
from service.campaigns.stops.stop_all import hold_all
from service.campaigns.stops.stop_store import Generation
from service.crypto import Keyring
from service.logs import seldom
from service.queue import read_script
from service.runtime import Runtime
from service.storage.postgres import Connection, transaction

_REPLACE = read_script(__file__, "replace_beat.lua")

ABSURD = "the beat that stands in Redis was not written by this system, and is not believed"
MOST_OCTETS = 100
"""More than a signed beat has."""

log = logging.getLogger(__name__)
_unusable: set[Path] = set()
"""The witness files of which this process has said that they cannot be used."""


async def beat(runtime: Runtime) -> bool:
    """Look whether the database was restored, and hold everything if so; then beat once more.

    Returns whether it was. Harmless to do twice, and by several at once.
    """
    was = await check(runtime)
    async with transaction(runtime.pool) as conn:
        generation = await stop_store.beat(conn, await stop_store.present_cluster(conn))
    await _remember(runtime, generation)
    return was


async def check(runtime: Runtime) -> bool:
    """Look whether the database was restored, and hold everything if so; returns whether it was.

    The witnesses are asked before the database: they never know of a beat that is not committed.
    """
    async with runtime.pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
    witnessed = await _witnessed(runtime, known.id) if known else 0
    async with runtime.pool.acquire() as conn:
        if await _restored_reason(conn, witnessed) is None:
            return False
    async with transaction(runtime.pool) as conn:
        why = await _restored_reason(conn, witnessed, lock=True)
        if why is None:  # another process was first
            return False
        await hold_all(conn, why, runtime.clock.now())
        await stop_store.accept_generation(conn, witnessed, await stop_store.present_cluster(conn))
    log.error("the database was restored; everything is on hold", extra={"why": why})
    return True


async def _restored_reason(conn: Connection, witnessed: int, *, lock: bool = False) -> str | None:
    """Why the database is not the one it was; None: it is."""
    known = await stop_store.get_generation(conn, lock=lock)
    if known is None:
        return None
    if known.cluster != await stop_store.present_cluster(conn):
        return "the database was restored: it is in another cluster or on another timeline"
    if known.beat < witnessed:
        return f"the database was restored: {witnessed - known.beat} beats are missing in it"
    return None


async def _witnessed(runtime: Runtime, database: UUID) -> int:
    """The last beat of a database that any witness remembers; 0: none does."""
    beats = [0]
    with contextlib.suppress(RedisError, OSError):
        beats.append((await _told(runtime, database))[0])
    if path := runtime.settings.witness_file:
        try:
            with contextlib.suppress(FileNotFoundError, ValueError):  # nothing is remembered yet
                name, number = path.read_text("ascii").split()
                beats.append(int(number) if name == str(database) else 0)
        except OSError as error:
            _note_unusable(path, error)
    return max(beats)


async def _remember(runtime: Runtime, generation: Generation) -> None:
    """Tell the witnesses; one that cannot be reached is told the next time."""
    with contextlib.suppress(RedisError, OSError):
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
