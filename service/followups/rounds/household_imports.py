"""Taking a file of households: all of its rows, or none unless the rest is asked for."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people import store as people
from service.accounts.people.model import By, Right, User
from service.audience.areas.area_store import read_area_tree
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Invalid, TocsinError
from service.followups.rounds import rounds
from service.followups.rounds.household_file import (
    REJECTED,
    HouseholdFacts,
    HouseholdFile,
    HouseholdRows,
    judge_rows,
    key_from,
    rejected,
)
from service.followups.rounds.registering import NewTry, Registration, label_hash, prepare, write
from service.followups.rounds.rounds import RoundSight
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_TOLD = 1_000
"""Rejected rows that a report names; all are counted."""
_MOST_VISITORS = 5_000

_CODES = {"note": "note_invalid", "on": "on_invalid"}
"""What a refusal of a field is called in a report."""


class HouseholdRequest(NamedTuple):
    """What is to be done with a file. dry_run: read and report only."""

    accept_partial: bool
    dry_run: bool


class HouseholdRowsRejected(Invalid):
    """Rows of a file are wrong, and nothing of it is written down; the report says which."""

    code = "rows_rejected"

    def __init__(self, report: Mapping[str, Any]) -> None:
        super().__init__(
            phrase(
                "{rejected:,} of the rows cannot be taken, so nothing was stored: mend them, or"
                " have the rest taken without them",
                rejected=report["rows"]["rejected"],
            )
        )
        self.report = report

    def details(self) -> Mapping[str, object]:
        """The whole report, with each rejected row's reason in words."""
        return {"report": self.report}


async def take_file(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    round_id: UUID,
    file: HouseholdFile,
    request: HouseholdRequest,
    by: By,
) -> dict[str, Any]:
    """Write down the rows of a file, in the order of the file; returns the report on it. What was
    written down from the same row before is not written again.

    Raises:
        NotFound: there is no such round that the actor may see.
        Conflict: the round is over.
        HouseholdRowsRejected: rows are wrong, and it was not said that the rest is to be taken.
    """
    sight = await rounds.find(conn, actor, round_id, "share")
    rounds.need_open(sight.round)
    facts = await _facts(conn, keyring, actor, sight, by)
    judged = await asyncio.to_thread(judge_rows, file, facts)
    entries = [one.entry for one in judged.read]
    registration = await prepare(conn, keyring, sight, entries, by.at)
    report = _report(file, judged, registration)
    if request.dry_run:
        return report
    if report["rows"]["rejected"] and not request.accept_partial:
        raise HouseholdRowsRejected(report)
    await write(conn, keyring, actor, registration, by.at)
    return report


async def _facts(
    conn: Connection, keyring: Keyring, actor: User, sight: RoundSight, by: By
) -> HouseholdFacts:
    users = await people.list_users(
        conn, None, None, _MOST_VISITORS, department_id=actor.department_id
    )

    def key_of(village: str, label: str, what: str) -> UUID:
        return key_from(sight.round.id, village, label_hash(keyring, label), what)

    return HouseholdFacts(
        await read_area_tree(conn),
        frozenset(sight.codes),
        [user for user in users if user.may(Right.VISIT) and user.disabled_at is None],
        actor.id,
        day_in_china(by.at),
        key_of,
    )


def _report(
    file: HouseholdFile, judged: HouseholdRows, registration: Registration
) -> dict[str, Any]:
    """What became of a file: read = accepted + rejected + skipped."""
    refused = list(judged.rejected)
    skipped = Counter(judged.skipped)
    by_result: Counter[str] = Counter()
    for one, outcome in zip(judged.read, registration.outcomes, strict=True):
        if isinstance(outcome, NewTry):
            by_result[one.entry.result.value] += 1
        elif isinstance(outcome, TocsinError):
            column = next(iter(getattr(outcome, "fields", {})), "")
            refused.append(rejected(file, one.row, _code_of(outcome, column), column))
        else:
            skipped["written_before"] += 1
    refused.sort(key=lambda row: (row.sheet, row.row))
    told = [row._asdict() | {"why": REJECTED[row.code]} for row in refused[:MOST_TOLD]]
    return {
        "file": {"format": file.format, "encoding": file.encoding},
        "tables": [table.told for table in file.tables],
        "rows": {
            "read": by_result.total() + len(refused) + skipped.total(),
            "accepted": by_result.total(),
            "rejected": len(refused),
            "skipped": skipped.total(),
        },
        "rejected": dict(Counter(row.code for row in refused)),
        "skipped": dict(skipped),
        "results": dict(by_result),
        "rejects": told,
    }


def _code_of(refusal: TocsinError, column: str) -> str:
    return refusal.code if refusal.code in REJECTED else _CODES[column]
