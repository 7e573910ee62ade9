"""The signed evidence of a run: it fits, it is checked without us, and no change goes unseen."""

import asyncio
import io
import json
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.accounts.audit.audit import INVALID
from service.accounts.audit.sealing import seal_committed
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.reports import evidence
from service.reports.verify_evidence import faults
from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, phone
from tests.harness.channels import channel
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, APPROVER = ("school", "admin"), ("school", "operator"), ("school", "approver")
Files = dict[str, bytes]


@pytest.fixture
async def archive(api: Api) -> bytes:
    """The evidence of a run of 30 people, planned and approved over the API."""
    await _planned(api, {"kind": "now"})
    return await _of_run(api, await _fired(api, api.clock.at))


async def _planned(api: Api, schedule: dict[str, Any]) -> dict[str, Any]:
    """A campaign to 30 people, approved."""
    runtime, now = api.runtime, api.clock.at
    await channel(api, "cmpp", "china_mobile")
    async with transaction(runtime.pool) as conn:
        team = api.teams["school"]
        for n in range(30):
            await make_contact(conn, runtime.keyring, team.department_id, n + 1, now=now)
    segment = await api.post("/segments", OPERATOR, {"name": "s", "rule": "carrier = mobile"})
    template = await api.post(
        "/templates", OPERATOR, {"name": "t", "class": "public_interest", "text": TEXT}
    )
    plan = {
        "name": "c",
        "template_id": template.json["id"],
        "segment_id": segment.json["id"],
        "schedule": schedule,
    }
    campaign = (await api.post("/campaigns", OPERATOR, plan)).json["id"]
    return await _approved(api, campaign, APPROVER)


async def _approved(api: Api, campaign: str, approver: tuple[str, str]) -> dict[str, Any]:
    for act, who in (("submit", OPERATOR), ("approve", approver)):
        done = await api.post(f"/campaigns/{campaign}/{act}", who, {})
        assert done.status == 200, done.body
    shown: dict[str, Any] = done.json
    return shown


async def _fired(api: Api, at: datetime) -> UUID:
    (run,) = await fire_due(api.runtime.pool, at)
    await expand_run(api.runtime.pool, run, at)
    return run


async def _of_run(api: Api, run: UUID) -> bytes:
    await seal_committed(api.runtime.pool, api.runtime.keyring)
    found = await api.get(f"/runs/{run}/evidence", ADMIN)
    assert (found.status, found.headers["Content-Type"]) == (200, "application/zip"), found.body
    return found.body


async def the_key(api: Api) -> bytes:
    return bytes.fromhex((await api.get("/evidence-key", ADMIN)).json["public_key"])


def unpacked(archive: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(files: Files) -> zipfile.ZipFile:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return zipfile.ZipFile(file)


async def test_it_fits_and_the_script_says_so(api: Api, archive: bytes, tmp_path: Path) -> None:
    key = await the_key(api)
    files = unpacked(archive)
    (tmp_path / "verify.py").write_bytes(files["verify_evidence.py"])
    (tmp_path / "e.zip").write_bytes(archive)
    said = run_script(tmp_path, "e.zip", key.hex())
    assert (said.returncode, said.stdout) == (0, "everything fits\n"), said.stderr
    assert sum(bool(line) for line in evidence.VERIFIER.read_text().splitlines()) <= 112
    assert "give the archive" in run_script(tmp_path, "e.zip").stderr
    assert "64 hexadecimal digits" in run_script(tmp_path, "e.zip", "x").stderr


async def test_what_is_no_whole_archive_is_refused_in_a_sentence(
    api: Api, archive: bytes, tmp_path: Path
) -> None:
    files, key = unpacked(archive), (await the_key(api)).hex()
    (tmp_path / "verify.py").write_bytes(files["verify_evidence.py"])
    damaged = bytearray(archive)
    at = archive.index(files["manifest.json"]) if files["manifest.json"] in archive else 2_000
    damaged[at : at + 64] = bytes(64)
    without = io.BytesIO()
    with zipfile.ZipFile(without, "w") as made:
        made.writestr("run.json", files["run.json"])
    broken = {
        "cut": archive[: len(archive) // 2],
        "empty": b"",
        "text": b"<html>",
        "damaged": bytes(damaged),
        "without a manifest": without.getvalue(),
    }
    for what, octets in broken.items():
        (tmp_path / "e.zip").write_bytes(octets)
        said = run_script(tmp_path, "e.zip", key)
        assert said.returncode == 1, what
        assert "Traceback" not in said.stderr, what
        assert "take it again" in said.stderr or said.stdout, what
    assert "e.zip is no whole archive" in run_script(tmp_path, "e.zip", key).stderr


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script as somebody runs it who has no Tocsin."""
    command = [sys.executable, "-I", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.attack
async def test_an_entry_that_somebody_else_wrote_into_the_trail_is_named(
    api: Api, archive: bytes
) -> None:
    run = json.loads(unpacked(archive)["run.json"])
    key = await the_key(api)
    assert faults(zipfile.ZipFile(io.BytesIO(archive)), key) == []
    campaign = json.loads(unpacked(archive)["approval.json"])["campaign_id"]
    await api.runtime.pool.execute(
        "INSERT INTO audit_entries (at, via, actor_id, action, object_kind, object_id, mac)"
        " VALUES ($1, 'api', $2, 'approve_campaign', 'campaigns', $3, $4)",
        api.clock.at,
        api.teams["county"].admin.id,
        campaign,
        bytes(24),
    )
    run_id = await api.runtime.pool.fetchval("SELECT id FROM runs")
    forged = await _of_run(api, run_id)
    (fault,) = faults(zipfile.ZipFile(io.BytesIO(forged)), key)
    assert INVALID in fault
    assert json.loads(unpacked(forged)["run.json"])["text"] == run["text"]


async def test_it_says_who_agreed_to_what(api: Api, archive: bytes) -> None:
    files = unpacked(archive)
    approval, content = json.loads(files["approval.json"]), json.loads(files["content.json"])
    team = api.teams["school"]
    assert (approval["submitted_by"], approval["approved_by"]) == (
        team.operator.login,
        team.approver.login,
    )
    assert content["text"] == TEXT
    for name in ("run.json", "approval.json", "ledger.csv", "manifest.json"):
        offsets = set(re.findall(rb"T\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)", files[name]))
        assert offsets <= {b"+08:00"}, name
    assert b"+08:00" in files["approval.json"]
    report = json.loads(files["run.json"])["report"]
    assert (report["target"], report["states"]) == (30, {"queued": 30})
    assert len(files["ledger.csv"].splitlines()) == 31
    acts = [json.loads(entry["line"])[5] for entry in json.loads(files["audit.json"])]
    assert any("approve" in act for act in acts)


async def test_nobodys_number_or_name_is_in_it(api: Api, archive: bytes) -> None:
    everything = b"".join(unpacked(archive).values()).decode(errors="ignore")
    assert not [n for n in range(30) if phone(n + 1)[3:] in everything]
    assert "王小明" not in everything


def _forged(files: Files) -> None:
    """Somebody signs a changed manifest with a key of their own."""
    manifest = json.loads(files["manifest.json"])
    own = Ed25519PrivateKey.generate()
    manifest["public_key"] = own.public_key().public_bytes_raw().hex()
    files["manifest.json"] = json.dumps(manifest).encode()
    files["manifest.sig"] = own.sign(files["manifest.json"])


CHANGES: list[tuple[str, Callable[[Files], object], str]] = [
    ("a row", lambda f: f.update({"ledger.csv": f["ledger.csv"][:-20]}), "ledger.csv was changed"),
    (
        "a name",
        lambda f: f.update({"approval.json": f["approval.json"].replace(b"user", b"User")}),
        "approval.json was changed",
    ),
    ("gone", lambda f: f.pop("audit.json"), "audit.json is not as in the manifest"),
    ("more", lambda f: f.update({"more.txt": b""}), "more.txt is not as in the manifest"),
    (
        "manifest",
        lambda f: f.update({"manifest.json": f["manifest.json"] + b" "}),
        "the signature is not of this key",
    ),
    ("forged", _forged, "the signature is not of this key"),
]


@pytest.mark.parametrize(("change", "said"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
async def test_a_change_is_seen(
    api: Api, archive: bytes, change: Callable[[Files], object], said: str
) -> None:
    files = unpacked(archive)
    assert faults(packed(files), await the_key(api)) == []
    change(files)
    assert said in faults(packed(files), await the_key(api))


@pytest.mark.attack
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["ledger.csv", "manifest.json", "manifest.sig"])
async def test_a_name_that_is_there_twice_is_refused(
    api: Api, archive: bytes, name: str, *, first: bool
) -> None:
    """A table shows the first of the two, and this verifier used to read the last."""
    file = io.BytesIO()
    forged = {name: b"forged"}
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w") as made:
        for files in (forged, unpacked(archive)) if first else (unpacked(archive), forged):
            for entry, data in files.items():
                made.writestr(entry, data)
    said = faults(zipfile.ZipFile(file), await the_key(api))
    assert said == [f"{name} is in the archive more than once"]


@pytest.mark.attack
async def test_a_lie_of_ours_is_seen_too(
    api: Api, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was signed is held against itself: the sums, the approved hash, the sealed entries."""
    key, run = await the_key(api), json.loads(unpacked(archive)["run.json"])["report"]["run_id"]
    await api.runtime.pool.execute("UPDATE runs SET target = 31")
    await api.runtime.pool.execute("UPDATE runs SET text = 'another', content = content || ' '")
    again = (await api.get(f"/runs/{run}/evidence", ADMIN)).body
    assert faults(packed(unpacked(again)), key) == [
        "the ledger does not add up to the report",
        "the text, the rule or the plan is not what was approved",
        "what was sent is not the text and the rule that were approved",
    ]


@pytest.mark.parametrize("kept", [True, False])
async def test_what_becomes_of_a_plan_changes_nothing_of_what_it_had_sent(
    api: Api, kept: bool
) -> None:
    """Another text, approved by somebody else, for the fires that are still to come."""
    pool, start = api.runtime.pool, api.clock.at + timedelta(days=1)
    weekly = {"kind": "recurring", "start_at": start.isoformat(), "rrule": "FREQ=WEEKLY;COUNT=4"}
    plan = await _planned(api, weekly)
    run = await _fired(api, start)
    if not kept:  # by an older version
        await pool.execute("UPDATE runs SET content = NULL, release = NULL")
    key, before = await the_key(api), unpacked(await _of_run(api, run))
    assert faults(packed(before), key) == []
    async with transaction(pool) as conn:
        await conn.execute("UPDATE runs SET state = 'sent'")
        await finish_campaigns(conn, [UUID(plan["id"])], start)
    api.clock.at = start + timedelta(hours=1)
    words = {"text": TEXT + "请转告家人。"}
    await api.post(f"/templates/{plan['template_id']}/versions", OPERATOR, words)
    await api.patch(f"/campaigns/{plan['id']}", OPERATOR, {"max_tps": 7})
    between = unpacked(await _of_run(api, run))
    await _approved(api, plan["id"], ADMIN)
    after = unpacked(await _of_run(api, run))
    for files in (between, after):
        assert faults(packed(files), key) == []
        approval = json.loads(files["approval.json"])
        if kept:
            assert files["content.json"] == before["content.json"]
            assert approval["approved_by"] == api.teams["school"].approver.login
        else:  # nobody knows any more; nothing else is said in its place
            assert "content.json" not in files
            assert approval["approved_by"] is None


async def test_it_takes_the_connection_of_its_request_and_no_other(
    api: Api, archive: bytes
) -> None:
    """Else as many at once as there are connections would wait for each other for ever."""
    run = json.loads(unpacked(archive)["run.json"])["report"]["run_id"]
    pool = api.runtime.pool
    taken = [await pool.acquire() for _ in range(pool.get_max_size() - 1)]
    try:
        async with asyncio.timeout(10):
            again = await api.get(f"/runs/{run}/evidence", ADMIN)
    finally:
        for conn in taken:
            await pool.release(conn)
    assert faults(packed(unpacked(again.body)), await the_key(api)) == []
