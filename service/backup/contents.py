"""What a recovered database holds, and whether it is whole: read only, nothing is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.accounts.audit.sealing import TrailCheck, verify
from service.backup.contents_store import count_open_runs, read_last_instant
from service.crypto import Keyring
from service.errors import Misconfigured
from service.runtime import compare_keys, stored_checks
from service.storage.migrate import applied_migrations, find_misfit
from service.storage.postgres import LONG_SECONDS, NoTable, connected
from service.words.phrase import phrase


@dataclass(frozen=True, slots=True)
class RunSum:
    """An open run: how many its target is, and how many of its texts are in which state."""

    run_id: UUID
    state: str
    target: int
    states: Mapping[str, int]

    @property
    def adds_up(self) -> bool:
        """Whether each of its people has one row (invariant I1)."""
        return sum(self.states.values()) == self.target


@dataclass(frozen=True, slots=True)
class DatabaseContents:
    """What was found. last: when its last transaction ended. misfit: why this program does not fit
    its tables; empty: it fits. trail: None without the master key. faults: a sentence each.
    """

    last: datetime | None
    migrations: int
    misfit: str
    runs: tuple[RunSum, ...]
    trail: TrailCheck | None
    faults: tuple[str, ...]


async def look_into(url: str, keyring: Keyring | None, now: datetime) -> DatabaseContents:
    """Look into a recovered database. keyring: without it, what needs the master key is left out.

    now: by the clock of whoever looks.
    """
    faults: list[str] = []
    async with connected(url, seconds=LONG_SECONDS) as conn:
        last = await read_last_instant(conn)
        try:
            applied = await applied_migrations(conn)
        except NoTable:
            faults.append(phrase("the database has no tables of this program"))
            return DatabaseContents(last, 0, "", (), None, tuple(faults))
        if misfit := find_misfit(applied):
            faults.append(phrase("this program does not fit its tables: {why}", why=misfit))
        runs = tuple(RunSum(**row) for row in await count_open_runs(conn))
        faults += [
            phrase(
                "run {run_id} does not add up: {rows} rows for {target} people",
                run_id=run.run_id,
                rows=sum(run.states.values()),
                target=run.target,
            )
            for run in runs
            if not run.adds_up
        ]
        trail = None
        if keyring is not None:
            try:
                compare_keys(await stored_checks(conn), keyring)
            except Misconfigured as error:
                faults.append(error.message)
            else:
                trail = await verify(conn, keyring, now)
                faults += _faults_of(trail)
    return DatabaseContents(last, len(applied), misfit, runs, trail, tuple(faults))


def _faults_of(trail: TrailCheck) -> list[str]:
    if trail.broken:
        return [phrase("the audit trail is broken at {broken}", broken=trail.broken)]
    return [
        phrase("no process of ours has written the audit entry {foreign}", foreign=foreign)
        for foreign in trail.foreign
    ]
