"""A carrier's statement into the ledger: each line settles at most the one hand-off that it fits.

The whole file is judged before anything is written, and all of it is one transaction. The same file
again, or another one that overlaps it, settles nothing twice: what a line says is then known.
"""

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from service.accounts.people.model import By
from service.crypto import Keyring
from service.delivery.uncertain import uncertain_store
from service.delivery.uncertain.statement import (
    HandOff,
    Judged,
    Result,
    StatementLine,
    Unreadable,
    judge,
)
from service.delivery.uncertain.uncertain import lock_for_decision
from service.delivery.uncertain.uncertain_store import Settled, StatementFile, UncertainFilter
from service.dispatch.limits import caps_store, joint_store
from service.errors import NotFound
from service.ledger.reasons import Reason
from service.storage.postgres import Connection
from service.words.phrase import phrase

log = logging.getLogger(__name__)

MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Statement:
    """A file that a carrier gave, of one channel. scope: whose hand-offs it may settle; None: all.

    window: how long after the mark the carrier's time of a text may lie.
    """

    channel_id: int
    sha256: str
    window: timedelta
    scope: uuid.UUID | None


@dataclass(slots=True)
class StatementReport:
    """What became of a statement: lines by result, messages settled by state, and the lines that
    need a person (the first of them), each with its row and why.
    """

    decision_id: uuid.UUID | None = None
    lines: Counter[Result] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[int, Result, str]] = field(default_factory=list)

    def add(self, row: int, result: Result, why: str) -> None:
        """Count a line, and list it if a person must look at it."""
        self.lines[result] += 1
        asked = result in (Result.AMBIGUOUS, Result.UNREADABLE)
        if asked and len(self.listed) < MAX_LISTED:
            self.listed.append((row, result, why))


async def import_statement(
    conn: Connection,
    keyring: Keyring,
    statement: Statement,
    batches: AsyncIterator[Sequence[StatementLine | Unreadable]],
    by: By,
) -> StatementReport:
    """Settle what a statement's lines say. In a transaction; lines come in batches.

    Raises:
        NotFound: there is no such channel.
        FileRefused, Invalid: as `read_lines`, from `batches`.
    """
    if not await uncertain_store.channel_exists(conn, statement.channel_id):
        raise NotFound(phrase("there is no channel {channel_id}", channel_id=statement.channel_id))
    report = StatementReport()
    lines: list[StatementLine] = []
    hand_offs: dict[str, list[HandOff]] = {}
    async for batch in batches:
        for item in batch:
            if isinstance(item, Unreadable):
                report.add(item.row, Result.UNREADABLE, item.reason)
        readable = [item for item in batch if isinstance(item, StatementLine)]
        found = await _hand_offs(conn, keyring, statement, readable)
        hand_offs |= found
        lines += (line for line in readable if line.phone in found)
        report.lines[Result.UNKNOWN] += sum(line.phone not in found for line in readable)
    judged = await _still_open(conn, judge(lines, hand_offs, statement.window))
    for one in judged:
        report.add(one.line.row, one.result, one.why)
    report.listed.sort(key=lambda entry: entry[0])
    await _settle(conn, statement, judged, report, by)
    return report


async def _hand_offs(
    conn: Connection, keyring: Keyring, statement: Statement, lines: Sequence[StatementLine]
) -> dict[str, list[HandOff]]:
    """By phone, all hand-offs that may be meant, for phones with one that is or was uncertain."""
    phones = {keyring.phone_index(phone): phone for phone in {line.phone for line in lines}}
    found: dict[str, list[HandOff]] = defaultdict(list)
    rows = await uncertain_store.handoffs_to(
        conn, statement.scope, statement.channel_id, list(phones)
    )
    for row in rows:
        hand_off = HandOff(
            row["run_id"],
            row["no"],
            row["attempt"],
            row["kind"],
            row["marked_at"],
            row["state"],
            row["until"],
        )
        found[phones[row["phone_hash"]]].append(hand_off)
    return found


async def _still_open(conn: Connection, judged: Sequence[Judged]) -> list[Judged]:
    """Lock what is to be settled; what has its answer meanwhile is settled already."""
    asked = {one.hand_off for one in judged if one.hand_off is not None}
    if not asked:
        return list(judged)
    keys = [(h.run_id, h.no) for h in asked]
    rows = await lock_for_decision(conn, UncertainFilter(keys=keys), hand_off_again=False)
    locked = {(row["run_id"], row["no"], row["attempt"]) for row in rows}
    return [
        one
        if one.hand_off is None
        or (one.hand_off.run_id, one.hand_off.no, one.hand_off.attempt) in locked
        else Judged(one.line, Result.ALREADY)
        for one in judged
    ]


async def _settle(
    conn: Connection,
    statement: Statement,
    judged: Sequence[Judged],
    report: StatementReport,
    by: By,
) -> None:
    """Write what the lines amount to, and who gave the file."""
    found = {
        one.hand_off: Settled(
            one.hand_off.run_id,
            one.hand_off.no,
            one.hand_off.attempt,
            one.line.state,
            Reason.STATEMENT,
            one.line.code,
        )
        for one in judged
        if one.hand_off is not None
    }
    counts = {result.value: report.lines[result] for result in Result}
    file = StatementFile(statement.channel_id, statement.sha256, counts)
    report.decision_id = await uncertain_store.insert_decision(conn, Reason.STATEMENT, by, file)
    await uncertain_store.settle(conn, report.decision_id, list(found.values()), by.at)
    keys = [(f.run_id, f.no) for f in found.values()]
    await caps_store.give_back(conn, keys)
    await joint_store.give_back(conn, keys)
    report.settled.update(settled.state for settled in found.values())
    log.info("statement read", extra={"channel": statement.channel_id, **counts})
