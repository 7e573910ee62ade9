"""The channel_codes table: what the operator says that carriers' codes mean."""

import logging
from dataclasses import asdict
from datetime import datetime

from service.channels.config.codes import CarrierCode, Codes, by_kind, checked
from service.channels.contract.registry import load
from service.errors import Invalid, NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record, affected
from service.words.phrase import listing, phrase

log = logging.getLogger(__name__)


async def list_codes(conn: Connection) -> list[CarrierCode]:
    """All codes, by kind, what they apply to, and code."""
    rows = await conn.fetch(
        """
        SELECT kind, applies_to, code, outcome, reason, note FROM channel_codes
        ORDER BY kind, applies_to DESC, code
        """
    )
    return [CarrierCode(*row) for row in rows]


async def put_code(conn: Connection, code: CarrierCode, now: datetime) -> CarrierCode:
    """Say what a code means, or say it anew; returns it as it is kept.

    Raises:
        Invalid: there is no such kind, outcome or reason.
    """
    if code.kind not in load():
        raise Invalid(
            phrase("there is no kind of channel named {kind}", kind=code.kind),
            fields={"kind": phrase("one of {kinds}", kinds=listing(sorted(load())))},
        )
    kept = checked(code)
    await sql.execute(
        conn,
        """
        INSERT INTO channel_codes (kind, applies_to, code, outcome, reason, note, created_at)
        VALUES (:kind, :applies_to, :code, :outcome, :reason, :note, :now)
        ON CONFLICT (kind, applies_to, code) DO UPDATE SET
            outcome = excluded.outcome, reason = excluded.reason, note = excluded.note,
            created_at = excluded.created_at
        """,
        **asdict(kept),
        now=now,
    )
    return kept


async def delete_code(conn: Connection, kind: str, applies_to: str, code: str) -> None:
    """Let the gateway's own table speak of a code again.

    Raises:
        NotFound: nothing was said of it.
    """
    status = await sql.execute(
        conn,
        """
        DELETE FROM channel_codes WHERE kind = :kind AND applies_to = :applies_to AND code = :code
        """,
        kind=kind,
        applies_to=applies_to,
        code=code,
    )
    if not affected(status):
        raise NotFound(
            phrase(
                "nothing is kept of the {applies_to} code {code} of {kind}",
                applies_to=applies_to,
                code=code,
                kind=kind,
            )
        )


async def load_codes(conn: Connection) -> dict[str, Codes]:
    """The codes of each kind that has any, for the hand-off.

    A row that makes no sense (nobody wrote it over the API) is left out, with an error in the log:
    it must not stop the channels.
    """
    return by_kind(_readable(await list_codes(conn)))


async def load_receipt_codes(conn: Connection) -> dict[int, Codes]:
    """The codes for the receipts of each channel whose kind has any, by the channel's id."""
    rows: list[Record] = await conn.fetch(
        """
        SELECT id, kind FROM channels c WHERE EXISTS (
            SELECT FROM channel_codes k WHERE k.kind = c.kind AND k.applies_to = 'receipt')
        """
    )
    codes = await load_codes(conn) if rows else {}
    return {row["id"]: codes[row["kind"]] for row in rows if row["kind"] in codes}


def _readable(codes: list[CarrierCode]) -> list[CarrierCode]:
    readable = []
    for code in codes:
        try:
            readable.append(checked(code))
        except Invalid as error:
            log.error(  # noqa: TRY400  # the trace says nothing more
                "a code is left out",
                extra={"kind": code.kind, "code": code.code, "why": str(error.fields)},
            )
    return readable
