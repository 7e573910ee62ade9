"""The evidence of a run: what was sent, on whose word, to how many, and with what result, signed.

An archive that can be checked without us: `verify_evidence.py` lies in it and in the repository. It
holds the text and the rule as they were approved (the canonical octets whose SHA-256 the approval
binds) and who approved them, as it was when the run was made, whatever the campaign is by now; who
moved the campaign when and why, the report, the ledger row by row under the keyed hash of each
phone, and the entries of the audit trail about it with their seals. `manifest.json` has the SHA-256
of each file, and `manifest.sig` its Ed25519 signature. Nobody's number or name is in it. Instants
have the county's offset, but in what was hashed: `content.json` and the lines of the trail are UTC.
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from service.accounts.audit import audit_store
from service.accounts.audit.sealing import find_foreign
from service.accounts.long_acts.long_act import LongProgress
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.core import store as campaigns
from service.campaigns.core.model import Campaign
from service.campaigns.plans.planning import load
from service.clock import written
from service.crypto import Keyring
from service.reports import progress, store
from service.storage.postgres import Connection, Record, one

PURPOSE = "evidence"
"""Of the key that signs."""

VERIFIER = Path(__file__).with_name("verify_evidence.py")
IN_MEMORY = 8 << 20
CHUNK = 1 << 16
LINES_AT_ONCE = 2_000

LEDGER = (
    "no", "phone_hash", "state", "reason", "code", "carrier", "area_code", "channel_id", "attempt",
    "part_count", "marked_at", "submitted_at", "final_at",
)  # fmt: skip


async def evidence(
    conn: Connection,
    keyring: Keyring,
    run_id: UUID,
    now: datetime,
    zone: ZoneInfo,
    progress: LongProgress,
) -> AsyncIterator[bytes]:
    """The archive of a run, in pieces; all that is in it is of one moment. progress: is told how
    many rows of its ledger are written.

    Must be read inside a transaction in which nothing was asked yet.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        await store.read_one_moment(conn)
        run = one(await store.get_run(conn, run_id))
        await _write(file, conn, keyring, run, now, zone, progress)
        file.seek(0)
        while piece := file.read(CHUNK):
            yield piece


async def _write(
    file: IO[bytes],
    conn: Connection,
    keyring: Keyring,
    run: Record,
    now: datetime,
    zone: ZoneInfo,
    progress: LongProgress,
) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        documents = await _documents(conn, keyring, run, zone)
        sums = {name: _add(archive, name, data) for name, data in documents.items()}
        sums["ledger.csv"] = await _add_ledger(archive, conn, run["id"], zone, progress)
        manifest = _json(
            {
                "run_id": str(run["id"]),
                "made_at": now,
                "sha256": sums,
                "public_key": keyring.public_key(PURPOSE).hex(),
            },
            zone,
        )
        archive.writestr("manifest.json", manifest)
        archive.writestr("manifest.sig", keyring.sign(PURPOSE, manifest))


async def _documents(
    conn: Connection, keyring: Keyring, run: Record, zone: ZoneInfo
) -> dict[str, bytes]:
    """The files that are not the ledger, by name."""
    report = await progress.run_report(conn, run["id"])
    facts = (
        "kind", "fire_at", "class", "text_no", "text", "rule", "priority", "valid_until",
        "created_at",
    )  # fmt: skip
    files = {
        "run.json": _json({name: run[name] for name in facts} | {"report": report}, zone),
        "verify_evidence.py": VERIFIER.read_bytes(),
    }
    about = [("runs", str(run["id"]))]
    if run["campaign_id"] is not None:
        about.append(("campaigns", str(run["campaign_id"])))
        files |= await _campaign(conn, run, zone)
    entries = await audit_store.entries_about(conn, about)
    foreign = await find_foreign(conn, keyring, [entry for entry, _ in entries])
    trail = [
        {
            "line": entry.line,
            "seal": None if seal is None else _seal(asdict(seal)),
            "foreign": foreign.get(entry.id),
        }
        for entry, seal in entries
    ]
    files["audit.json"] = _json(trail, zone)
    return files


async def _campaign(conn: Connection, run: Record, zone: ZoneInfo) -> dict[str, bytes]:
    """What was approved and by whom when the run was made; the users by their logins."""
    campaign = await load(conn, run["campaign_id"], None)
    logins = await store.logins(conn)
    moves = [
        move._asdict() | {"user_id": logins.get(move.user_id) if move.user_id else None}
        for move in await campaigns.list_moves(conn, campaign.id)
    ]
    content, release = _released(run, campaign)
    approval = {
        "campaign_id": str(campaign.id),
        "name": campaign.plan.name,
        "state": campaign.state,
        "baseline": run["baseline"],
        "created_by": logins.get(campaign.created_by),
        **{name: _shown(name, value, logins) for name, value in release.items()},
        "moves": moves,
    }
    files = {"approval.json": _json(approval, zone)}
    return files if content is None else files | {"content.json": content}


_RELEASE = (
    "submitted_by", "submitted_at", "approved_by", "approved_at", "approved_for",
    "second_approved_by", "second_approved_at", "second_approved_for",
)  # fmt: skip


def _released(run: Record, campaign: Campaign) -> tuple[bytes | None, Mapping[str, Any]]:
    """The octets that were approved for a run, and who did: what was kept with it.

    Of a run that is older than this keeping, what the campaign says, if that was approved before
    the run; of a test, which comes before any approval, nothing.
    """
    if run["release"] is not None:
        return run["content"].encode(), run["release"]
    approved = campaign.approved_at
    if run["mode"] == "test" or approved is None or approved > run["created_at"]:
        return None, dict.fromkeys((*_RELEASE, "approved_sha256"))
    release = {name: getattr(campaign, name) for name in _RELEASE}
    approved_hash = campaign.approved_hash
    release["approved_sha256"] = approved_hash.hex() if approved_hash else None
    return frozen_content(campaign).canonical, release


def _shown(name: str, value: object, logins: Mapping[UUID, str]) -> object:
    """The login where something is a user's id, and the instant where it is one, as such or as
    JSON keeps it.
    """
    if name.endswith("_at") and isinstance(value, str):
        return datetime.fromisoformat(value)
    try:
        return logins.get(UUID(str(value)), value)
    except ValueError:
        return value


async def _add_ledger(
    archive: zipfile.ZipFile,
    conn: Connection,
    run_id: UUID,
    zone: ZoneInfo,
    progress: LongProgress,
) -> str:
    """Write the ledger row by row; memory holds some lines of it."""
    digest = hashlib.sha256()
    with archive.open("ledger.csv", "w", force_zip64=True) as file:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(LEDGER)

        def flush() -> None:
            data = lines.getvalue().encode()
            digest.update(data)
            file.write(data)
            lines.seek(0)
            lines.truncate()

        async for row in store.walk_ledger(conn, run_id):
            writer.writerow([_cell(row[name], zone) for name in LEDGER])
            progress.done += 1
            if progress.done % LINES_AT_ONCE == 0:
                flush()
        flush()
    return digest.hexdigest()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> str:
    archive.writestr(name, data)
    return hashlib.sha256(data).hexdigest()


def _seal(seal: Mapping[str, Any]) -> dict[str, Any]:
    return {"no": seal["no"], "digest": seal["digest"].hex(), "seal": seal["seal"].hex()}


def _cell(value: object, zone: ZoneInfo) -> object:
    return written(value, zone) if isinstance(value, datetime) else value


def _json(value: object, zone: ZoneInfo) -> bytes:
    def other(item: object) -> object:
        return written(item, zone) if isinstance(item, datetime) else str(item)

    return json.dumps(value, ensure_ascii=False, indent=1, default=other).encode()
