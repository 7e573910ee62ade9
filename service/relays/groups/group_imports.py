"""Taking a file of groups: all of its rows, or none unless the rest is asked for."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people.model import By, User
from service.audience.areas.area_store import read_area_tree
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.relays.groups import group_store
from service.relays.groups.group import NewGroup
from service.relays.groups.group_file import (
    REJECTED,
    GroupFile,
    GroupRows,
    judge_rows,
    rejected,
)
from service.relays.groups.groups import REGISTERED
from service.storage.postgres import Connection, UniqueViolation
from service.words.phrase import phrase

MOST_TOLD = 1_000
"""Rejected rows that a report names; all are counted."""


class GroupRequest(NamedTuple):
    """What is to be done with a file. dry_run: read and report only."""

    accept_partial: bool
    dry_run: bool


class GroupRowsRejected(Invalid):
    """Rows of a file are wrong, and nothing of it is registered; the report says which."""

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
    conn: Connection, keyring: Keyring, actor: User, file: GroupFile, request: GroupRequest, by: By
) -> dict[str, Any]:
    """Register the groups of a file; returns the report on it. A group that is registered under
    this name at this place is passed over, so a list that grows may be sent again.

    Raises:
        GroupRowsRejected: rows are wrong, and it was not said that the rest is to be taken.
        Conflict: somebody registered one of these groups at the same moment.
    """
    if by.user_id is None:
        raise ValueError("a person keeps the register of groups")
    today = day_in_china(by.at)
    judged = await asyncio.to_thread(judge_rows, file, await read_area_tree(conn))
    known = await group_store.names_in_use(conn, actor.department_id)
    hashes = [keyring.phone_index(one.phone) for one in judged.read]
    people = await group_store.people_by_phone(conn, actor.department_id, hashes, today)
    taken = _taken(file, judged, known, [people.get(one) for one in hashes])
    report = _report(file, judged, [group for group, _ in taken])
    if request.dry_run:
        return report
    if judged.rejected and not request.accept_partial:
        raise GroupRowsRejected(report)
    try:
        await group_store.insert_groups(
            conn, actor.department_id, taken, REGISTERED, today, (by.user_id, by.at)
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase("somebody registered one of these groups at the same moment: send it again"),
            code="group_name_taken",
        ) from error
    return report


def _taken(
    file: GroupFile,
    judged: GroupRows,
    known: Set[tuple[str | None, str]],
    owners: Sequence[UUID | None],
) -> list[tuple[NewGroup, UUID]]:
    """The groups that are to be registered, with their owners; the others are noted in `judged`."""
    taken = []
    for one, owner in zip(judged.read, owners, strict=True):
        if (one.group.area_code, one.group.name) in known:
            judged.skipped["registered_before"] += 1
        elif owner is None:
            judged.rejected.append(rejected(file, one.row, "owner_unknown", "owner"))
        else:
            taken.append((one.group, owner))
    return taken


def _report(file: GroupFile, judged: GroupRows, taken: list[NewGroup]) -> dict[str, Any]:
    """What became of a file: read = accepted + rejected + skipped."""
    refused = sorted(judged.rejected, key=lambda row: (row.sheet, row.row))
    told = [row._asdict() | {"why": REJECTED[row.code]} for row in refused[:MOST_TOLD]]
    return {
        "file": {"format": file.format, "encoding": file.encoding},
        "tables": [table.told for table in file.tables],
        "rows": {
            "read": len(taken) + len(refused) + judged.skipped.total(),
            "accepted": len(taken),
            "rejected": len(refused),
            "skipped": judged.skipped.total(),
        },
        "rejected": dict(Counter(row.code for row in refused)),
        "skipped": dict(judged.skipped),
        "rejects": told,
    }
