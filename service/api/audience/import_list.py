"""Imports as people look for them: the list, and why rows were rejected, rule by rule."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.imports import visible_import
from service.api.audience.people import need_people
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Out, Page, PlainOut, QueryString
from service.audience.imports import list_store
from service.audience.imports.rejects import REJECTED_COLUMNS, REMEDIES
from service.audience.numbers.number import REASONS, REPAIRS, Repair, mask
from service.crypto import Keyring
from service.storage.postgres import Record

MOST_EXAMPLES = 100


class ImportsQuery(PageQuery):
    """Which imports: all, or those in one state."""

    state: Literal["reading", "done", "failed"] | None = None


class RowCountsOut(Out):
    """What became of the rows; read = accepted + rejected + duplicate + skipped."""

    read: int
    accepted: int
    rejected: int
    duplicate: int
    skipped: int


class ImportListedOut(Out):
    """An import in the list, without its report."""

    id: UUID
    department_id: UUID
    department: str
    roster: str
    file_name: str = Field(description="Empty: the list came as members and not as a file.")
    file_bytes: int
    dry_run: bool
    mode: str
    state: Literal["reading", "done", "failed"]
    created_by: UUID
    creator: str = Field(description="The name of whoever gave it in.")
    created_at: Instant
    finished_at: Instant | None
    undone_at: Instant | None
    rows_read: int = Field(
        description="How many rows have been read; grows while it is reading, also after a restart"
        " of the worker, which begins the file anew."
    )
    rows: RowCountsOut | None = Field(description="Null until it has been read to its end.")
    error: str | None = Field(description="The code for which the file was not read.")


class RejectsQuery(QueryString):
    """How many rows of each rule are shown."""

    limit: int = Field(default=5, ge=1, le=MOST_EXAMPLES, description="Rows of each rule.")


class RejectExampleOut(Out):
    """A rejected row, masked."""

    sheet: str
    row: int = Field(description="In the file, from 1, the header counted.")
    column: str | None = Field(description="The header of the column that holds the fault.")
    value: str = Field(description="What stands there, masked.")
    suggestion: str | None = Field(description="The number that it may be, masked.")
    repair: PlainOut | None = Field(
        description="How the suggestion differs from what stands there; it says no digit."
        " Null: there is none, or the row was read before this was kept."
    )


class RejectRuleOut(Out):
    """A rule by which rows were rejected."""

    code: str
    count: int
    plain: PlainOut = Field(description="What is wrong.")
    remedy: PlainOut = Field(description="How it is mended.")
    rows: list[RejectExampleOut] = Field(description="The first ones, in the order of the file.")


class RejectRulesOut(Out):
    """The rejected rows of an import by rule, the most frequent first."""

    total: int
    items: list[RejectRuleOut]


async def list_imports(call: Call, query: ImportsQuery) -> Page[ImportListedOut]:
    """List the imports that you see, newest first."""
    states = None if query.state is None else [query.state]
    found = await list_store.list_imports(
        call.conn, call.user.scope, states, query.before, query.wanted
    )
    return cut(Page[ImportListedOut], found, query)


async def list_reject_rules(call: Call, import_id: UUID, query: RejectsQuery) -> RejectRulesOut:
    """List why rows were rejected, by rule, with the first rows of each and how to mend them."""
    found = await visible_import(call, import_id)
    await need_people(call, found.department_id)
    rows = await list_store.first_rejects(call.conn, import_id, query.limit)
    headers = _headers(found.report)
    keyring = call.runtime.keyring
    items = [
        _rule_out(code, list(of_rule), headers, keyring)
        for code, of_rule in groupby(rows, lambda row: row["code"])
    ]
    return RejectRulesOut(total=sum(item.count for item in items), items=items)


def _headers(report: Mapping[str, Any] | None) -> dict[str, Mapping[str, str]]:
    """By sheet: the header of each column that was understood, by our name of it."""
    return {table["sheet"]: table["mapped"] for table in (report or {}).get("tables", ())}


def _rule_out(
    code: str, rows: list[Record], headers: Mapping[str, Mapping[str, str]], keyring: Keyring
) -> RejectRuleOut:
    reason, remedy = REASONS[code], REMEDIES[code]
    column = REJECTED_COLUMNS.get(code, "phone")
    return RejectRuleOut(
        code=code,
        count=rows[0]["total"],
        plain=PlainOut(zh=reason.in_language("zh"), en=reason),
        remedy=PlainOut(zh=remedy.zh, en=remedy.en),
        rows=[
            RejectExampleOut(
                sheet=row["sheet"],
                row=row["row_no"],
                column=headers.get(row["sheet"], {}).get(column),
                value=row["masked"],
                suggestion=mask(keyring.decrypt("phone", row["suggestion_cipher"]))
                if row["suggestion_cipher"]
                else None,
                repair=_repair_out(row["repair"]),
            )
            for row in rows
        ],
    )


def _repair_out(repair: str | None) -> PlainOut | None:
    if repair is None:
        return None
    words = REPAIRS[Repair(repair)]
    return PlainOut(zh=words.in_language("zh"), en=words)
