"""The archive of a list: what the carrier sends, to whom, when and on whose word, for it alone.

A ZIP, encrypted as a whole to the certificate of the channel (`service.envelope`). In it: form.html
to print and sign, texts.json with each text, its SHA-256, the rule in words, the hours and the
validity, and list.csv with a line a person, whose last three columns the carrier fills in and gives
back. manifest.json has the SHA-256 of each file and manifest.sig its Ed25519 signature.
"""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service import envelope
from service.accounts.people.model import By
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_explain import Explanation, explain
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.stops.stop_all import EverythingStopped
from service.campaigns.stops.stop_store import stop_in_force
from service.channels.contract.model import Channel
from service.clock import CHINA, written
from service.coding.parts import uncut
from service.crypto import Keyring
from service.delivery.list_files import archive_store, list_file_store
from service.delivery.list_files.form import HandedText, ListHours, form
from service.delivery.list_files.list_file import FETCH_WITHIN, take_off
from service.delivery.list_files.list_file_store import ListFile
from service.dispatch.compose import Composer
from service.dispatch.handoff.store import area_names
from service.errors import Conflict
from service.storage.postgres import Connection, Record
from service.words.phrase import listing, phrase
from service.words.terms import term

PURPOSE = "list"
"""Of the key that signs."""

MOST_DAYS = 14
"""Of which the form says the hours."""

COLUMNS = ("编号", "手机号码", "短信内容", "状态", "原因", "时间")
"""Of list.csv; the carrier fills in the last three."""

_COUNTRY = "+86"
_LINES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class SealedArchive:
    """An archive, encrypted. sha256: of its octets. lines: of list.csv."""

    data: bytes
    sha256: str
    lines: int


async def seal_archive(
    conn: Connection,
    keyring: Keyring,
    list_file: ListFile,
    channel: Channel,
    by: By,
    zone: ZoneInfo,
) -> SealedArchive:
    """The archive of a list that is ready, encrypted to its carrier, and note who took it.

    Raises:
        Conflict: the list is not ready or too old; a run on it is paused; all sending is stopped;
            or the certificate is not valid now.
    """
    runs = await _runs_that_may_leave(conn, list_file, by.at)
    if list_file.fetched_at is None:
        await _take_off_what_may_not_leave(conn, list_file, runs, by.at)
    file = io.BytesIO()  # not a temporary file: numbers lie on no disk in clear
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        composer = Composer(
            keyring,
            await area_names(conn),
            lambda text: uncut(text, len(text)),
            signature=channel.signature,
            simulated=channel.simulated,
        )
        counts, digest = await _write_lines(archive, conn, list_file, runs, composer)
        texts = [await _handed(conn, run, counts[run["id"]], by.at) for run in runs]
        _write_documents(archive, keyring, list_file, texts, digest, zone)
    pem = channel.config.model_dump()["certificate"]
    sealed = await asyncio.to_thread(envelope.seal, file.getvalue(), pem, by.at)
    await archive_store.note_fetch(conn, list_file.id, by)
    return SealedArchive(sealed, hashlib.sha256(sealed).hexdigest(), counts.total())


async def _runs_that_may_leave(
    conn: Connection, list_file: ListFile, now: datetime
) -> Sequence[Record]:
    """The runs of a list but those that were cancelled or are past their validity."""
    if list_file.state != "ready" or list_file.ready_at is None:
        raise Conflict(
            phrase("the list is still being drawn; ask again in a few seconds")
            if list_file.state in {"drawing", "closing"}
            else phrase(
                "the list is {state}: nothing stands on it; draw another one",
                state=term(list_file.state),
            ),
            code="list_not_ready",
        )
    if now > list_file.ready_at + FETCH_WITHIN:
        raise Conflict(
            phrase(
                "the list is older than 24 hours, and people may have opted out since; it"
                " cannot be fetched any more"
            ),
            code="list_too_old",
        )
    if (stop := await stop_in_force(conn)) is not None:
        raise EverythingStopped(stop)
    runs = [
        run
        for run in await archive_store.runs_to_hand_over(conn, list_file.id)
        if _is_in_force(run, now)
    ]
    waiting = sorted({run["campaign"] or "" for run in runs if run["state"] == "paused"})
    if waiting:
        raise Conflict(
            phrase(
                "paused: {campaigns}; resume it or cancel it, then fetch the list",
                campaigns=listing(waiting),
            ),
            code="wrong_state",
        )
    return runs


async def _take_off_what_may_not_leave(
    conn: Connection, list_file: ListFile, runs: Sequence[Record], now: datetime
) -> None:
    """Before a list leaves for the first time: runs that are cancelled or over, and people to whom
    nothing may be sent any more.
    """
    in_force = {run["id"] for run in runs}
    over = [
        r.run_id
        for r in await list_file_store.runs_of(conn, list_file.id)
        if r.run_id not in in_force
    ]
    if over:
        await take_off(conn, list_file.id, now, runs=over)
    if stopped := await archive_store.stopped_lines(conn, list_file.id, now):
        await take_off(conn, list_file.id, now, lines=stopped)


def _is_in_force(run: Record, now: datetime) -> bool:
    over = run["valid_until"] is not None and run["valid_until"] <= now
    return not over and "cancelled" not in {run["state"], run["campaign_state"]}


async def _handed(conn: Connection, run: Record, lines: int, now: datetime) -> HandedText:
    rule = Explanation("", "")
    if run["rule"]:
        parsed = parse(run["rule"], max_characters=len(run["rule"]))
        rule = explain(parsed, RuleAreas(await read_area_tree(conn)).name)
    return HandedText(
        plan=run["joint_plan"] or run["campaign"] or "",
        text=run["text"],
        sha256=hashlib.sha256(run["text"].encode()).hexdigest(),
        approved_sha256=run["approved"],
        message_class=run["class"],
        rule_zh=rule.chinese,
        rule_en=rule.english,
        hours=await _hours(conn, run, now),
        valid_until=run["valid_until"],
        lines=lines,
    )


async def _hours(conn: Connection, run: Record, now: datetime) -> dict[str, ListHours]:
    """By day in Beijing, when the carrier may send: from now to the end of the validity."""
    county, terms = await load_county(conn), HourTerms.of_run(run)
    last = (run["valid_until"] or now + FETCH_WITHIN).astimezone(CHINA).date()
    day = now.astimezone(CHINA).date()
    found: dict[str, ListHours] = {}
    while day <= last and len(found) < MOST_DAYS:
        found[day.isoformat()] = county.open_on(day, terms)
        day += timedelta(days=1)
    return found


def _write_documents(
    archive: zipfile.ZipFile,
    keyring: Keyring,
    list_file: ListFile,
    texts: Sequence[HandedText],
    list_sha256: str,
    zone: ZoneInfo,
) -> None:
    """Write all that is beside list.csv."""
    documents = {
        "form.html": form(list_file, texts, zone).encode(),
        "texts.json": _json([text.as_json(zone) for text in texts]),
        "public_key.pem": _public_key(keyring),
    }
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in documents.items()}
    manifest = _json(
        {
            "list_id": str(list_file.id),
            "channel": list_file.channel,
            "drawn_at": written(list_file.drawn_at, zone),
            "lines": sum(text.lines for text in texts),
            "sha256": sums | {"list.csv": list_sha256},
        }
    )
    signature = keyring.sign(PURPOSE, manifest)
    documents |= {"manifest.json": manifest, "manifest.sig": signature}
    for name, data in documents.items():
        archive.writestr(name, data)


def _public_key(keyring: Keyring) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(keyring.public_key(PURPOSE))
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def _write_lines(
    archive: zipfile.ZipFile,
    conn: Connection,
    list_file: ListFile,
    runs: Sequence[Record],
    composer: Composer,
) -> tuple[Counter[UUID], str]:
    """Write list.csv; memory holds some lines of it. Returns how many there are of each run, and
    its SHA-256.

    A person who was erased meanwhile has no number any more, and no line.
    """
    texts = {run["id"]: run["text"] for run in runs}
    digest, counts, after = hashlib.sha256(), Counter[UUID](), 0
    with archive.open("list.csv", "w", force_zip64=True) as file:
        piece = _csv([COLUMNS], first=True)
        while True:
            digest.update(piece)
            file.write(piece)
            page = await archive_store.page_of_lines(conn, list_file.id, after, _LINES_AT_ONCE)
            if not page:
                return counts, digest.hexdigest()
            after = page[-1]["line"]
            kept = [row for row in page if row["phone_cipher"] and row["run_id"] in texts]
            counts.update(row["run_id"] for row in kept)
            piece = _csv(await asyncio.to_thread(_lines, kept, texts, composer))


def _lines(
    rows: Sequence[Record], texts: Mapping[UUID, str], composer: Composer
) -> list[tuple[str, ...]]:
    return [
        (
            row["ref"].decode(),
            composer.phone(row).removeprefix(_COUNTRY),
            composer.words(texts[row["run_id"]], row),
            "",
            "",
            "",
        )
        for row in rows
    ]


def _csv(rows: Sequence[Sequence[str]], *, first: bool = False) -> bytes:
    """Lines as a spreadsheet of a Chinese office opens them: UTF-8 with a mark at the beginning."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode("utf-8-sig" if first else "utf-8")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
