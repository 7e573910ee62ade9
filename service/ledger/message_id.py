"""The id of a message: its run and its number in it, as `<run>.<no>` (pure)."""

import re
from uuid import UUID

MessageKey = tuple[UUID, int]
"""A message as the ledger knows it: its run, and its number in it."""

PATTERN = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,9}"


def message_id(run_id: object, no: object) -> str:
    """The id of a message, as the API, its events and the audit trail have it."""
    return f"{run_id}.{no}"


def parse_message_id(text: str) -> MessageKey | None:
    """The key of a message; None: the text is no id."""
    if not re.fullmatch(PATTERN, text, re.ASCII):
        return None
    run, _, no = text.partition(".")
    return UUID(run), int(no)


def message_id_sql(row: str) -> str:
    """SQL: the id of a message of which `row` has run_id and no."""
    return f"{row}.run_id || '.' || {row}.no"
