"""To whom: contact files, rosters, the rule language, and whoever must not be sent to."""

import asyncio
import csv
import io
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, cast
from urllib.parse import quote

from tocsin_client.errors import ImportFailed
from tocsin_client.link import Link, file_form, into
from tocsin_client.types import (
    Basis,
    Evidence,
    Explanation,
    Import,
    ImportAccepted,
    Member,
    MembersChange,
    MessageClass,
    Preview,
    Roster,
    Segment,
    Suppressed,
    Suppression,
    SuppressionReason,
    Undo,
)

_MEMORY_OCTETS = 1024 * 1024


class Imports:
    """`tocsin.imports`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def upload(  # noqa: PLR0913  # all but the file by name
        self,
        file: Path | bytes,
        *,
        roster: str,
        basis: Basis = "duty",
        expires_on: str | None = None,
        encoding: str | None = None,
        columns: Mapping[str, str] | None = None,
        mode: Literal["add", "replace"] = "add",
        dry_run: bool = False,
        evidence: Evidence | None = None,
        file_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> ImportAccepted:
        """Give in a CSV or XLSX file, streamed from the disk; a worker reads it: see `wait`.

        columns: from the service's column names to the file's headers. mode: with `replace`,
        whoever is not in the file leaves the roster. dry_run: a report, and nobody is stored.
        evidence: what shows that the people consented, where that is the basis.
        """
        fields = {"roster": roster, "basis": basis, "mode": mode, "dry_run": str(dry_run).lower()}
        optional = {
            "expires_on": expires_on,
            "encoding": encoding,
            "columns": json.dumps(dict(columns), ensure_ascii=False) if columns else None,
        }
        optional |= cast(dict[str, str | None], evidence or {})
        fields |= {name: value for name, value in optional.items() if value is not None}
        name = file_name or (file.name if isinstance(file, Path) else "contacts.csv")

        form = file_form(fields, file, name)
        return cast(ImportAccepted, await self._link.upload("/imports", form, key=idempotency_key))

    async def get(self, import_id: str) -> Import:
        """An import, with its report once it has been read."""
        return cast(Import, await self._link.get(f"/imports/{import_id}"))

    async def wait(self, import_id: str, *, timeout: float = 600, every: float = 1.0) -> Import:  # noqa: ASYNC109  # of the whole wait
        """The import once it has been read; its `report` says what became of each row.

        Raises:
            ImportFailed: the file could not be read, and nothing of it is stored.
            TimeoutError: it is still being read after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while (found := await self.get(import_id))["state"] == "reading":  # noqa: ASYNC110  # it is elsewhere
                await asyncio.sleep(every)
        if found["state"] == "failed":
            raise ImportFailed(import_id, found["report"] or {})
        return found

    async def save_rejects(self, import_id: str, file: IO[bytes]) -> None:
        """Write the rejected rows with their reasons into a file, as CSV (UTF-8 with BOM)."""
        await self._link.download(f"/imports/{import_id}/rejects", into(file))

    async def rejects(self, import_id: str) -> AsyncIterator[dict[str, str]]:
        """The rejected rows: `sheet`, `row`, `code`, `reason`, `value` (masked), `suggestion`."""
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY_OCTETS) as file:
            await self.save_rejects(import_id, file)
            file.seek(0)
            for row in csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline="")):
                yield row

    async def undo(self, import_id: str) -> Undo:
        """Have an import taken back; a worker does it."""
        return cast(Undo, await self._link.post(f"/imports/{import_id}/undo"))


class Rosters:
    """`tocsin.rosters`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def list(self) -> AsyncIterator[Roster]:
        """The lists that you see."""
        async for roster in self._link.pages("/rosters"):
            yield roster

    async def get(self, name: str) -> Roster:
        """A list of your department."""
        return cast(Roster, await self._link.get(f"/rosters/{quote(name, safe='')}"))

    async def set_members(
        self,
        name: str,
        members: Sequence[Member],
        *,
        basis: Basis = "duty",
        expires_on: str | None = None,
        evidence: Evidence | None = None,
    ) -> MembersChange:
        """Make a roster hold exactly these people; whoever is not among them leaves it."""
        body: dict[str, Any] = {"members": list(members), "basis": basis, **(evidence or {})}
        if expires_on is not None:
            body["expires_on"] = expires_on
        path = f"/rosters/{quote(name, safe='')}/members"
        return cast(MembersChange, await self._link.put(path, body))


class Segments:
    """`tocsin.segments`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def preview(self, rule: str, *, message_class: MessageClass | None = None) -> Preview:
        """Whom a rule means right now, e.g. `身份 = 财务人员 且 区域 = 旌阳镇`, and who would be
        left out of a text to them.

        message_class: of that text; then its frequency caps count.

        Raises:
            Invalid: `problem["position"]` is the character, `problem["suggestions"]` what may fit.
        """
        body = {"rule": rule} | ({"class": message_class} if message_class is not None else {})
        return cast(Preview, await self._link.post("/segments/preview", body))

    async def explain(self, rule: str) -> Explanation:
        """Say a rule in plain words."""
        return cast(Explanation, await self._link.post("/segments/explain", {"rule": rule}))

    async def create(self, name: str, rule: str, *, idempotency_key: str | None = None) -> Segment:
        """Save a rule."""
        body = {"name": name, "rule": rule}
        return cast(Segment, await self._link.post("/segments", body, key=idempotency_key))

    async def get(self, segment_id: str) -> Segment:
        """A saved rule."""
        return cast(Segment, await self._link.get(f"/segments/{segment_id}"))

    async def list(self) -> AsyncIterator[Segment]:
        """The saved rules that you see."""
        async for segment in self._link.pages("/segments"):
            yield segment


class Suppressions:
    """`tocsin.suppressions`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def add(
        self,
        phones: Sequence[str],
        *,
        reason: SuppressionReason = "opted_out",
        classes: Sequence[MessageClass] | None = None,
        note: str = "",
        expires_at: str | None = None,
        department_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Suppressed:
        """Stop texts to numbers; once this has answered, no hand-off to them begins any more,
        unless they are so many that they wait for a second person (`waiting`).

        department_id: stop the work notices of this department alone.
        """
        body: dict[str, Any] = {"phones": list(phones), "reason": reason, "note": note}
        if classes is not None:
            body["classes"] = list(classes)
        if expires_at is not None:
            body["expires_at"] = expires_at
        if department_id is not None:
            body["department_id"] = department_id
        return cast(Suppressed, await self._link.post("/suppressions", body, key=idempotency_key))

    async def list(self, *, phone: str | None = None) -> AsyncIterator[Suppression]:
        """The suppressions that your department made: all, or those of one number."""
        if phone is not None:  # which belongs in a body: addresses are logged
            found = await self._link.post("/suppressions/lookup", {"phone": phone})
            for suppression in found["items"]:
                yield suppression
            return
        async for suppression in self._link.pages("/suppressions"):
            yield suppression

    async def lift(self, suppression_id: str) -> None:
        """Let a number be sent to again."""
        await self._link.delete(f"/suppressions/{suppression_id}")
