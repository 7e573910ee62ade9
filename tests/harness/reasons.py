"""Databases of tests take no reason that is not a member of `ledger.reasons`, or, of a receipt that
could not be read, of `UnreadReason`.
"""

from collections.abc import Sequence
from enum import StrEnum

from service.channels.contract.gateway import UnreadReason
from service.ledger.reasons import OUTSIDE_TARGET, Place, Reason
from service.storage.postgres import Connection

_INSIDE = [reason for reason in Reason if reason.places & ~OUTSIDE_TARGET]
COLUMNS: dict[str, Sequence[StrEnum]] = {
    "exclusions.reason": Reason.at(OUTSIDE_TARGET),
    "messages.reason": _INSIDE,
    "attempts.reason": _INSIDE,
    "parts.reason": [Reason.NONE, *Reason.at(Place.CARRIER | Place.SILENCE)],
    "receipt_inbox.reason": [Reason.NONE, *Reason.at(Place.CARRIER)],
    "receipts_unmatched.reason": [Reason.NONE, *Reason.at(Place.CARRIER), *UnreadReason],
    "receipts_dismissed.reason": [Reason.NONE, *Reason.at(Place.CARRIER), *UnreadReason],
    "runs.cancel_reason": Reason.at(Place.CANCEL),
    "runs.barred": Reason.at(Place.EXPANSION),
}
"""The columns that hold a reason, with the reasons that may stand there."""


async def check_reasons(conn: Connection) -> None:
    """Let the database refuse every statement that writes a reason where it may not stand."""
    for column, reasons in COLUMNS.items():
        table, name = column.split(".")
        codes = ", ".join(f"'{reason}'" for reason in reasons)
        await conn.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT registered_{name} CHECK ({name} IN ({codes}))"
        )
