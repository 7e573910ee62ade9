"""An urgent send behind a huge one: how long until it is on the wire.

Run as `python -m benchmarks.urgent [PEOPLE] [TPS]`. One channel over CMPP; a bulk campaign to
PEOPLE is under way when an urgent one to a window's worth of them is approved. Printed is, from the
moment when the urgent ledger was written, until its first and its last text had the carrier's
answer.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.carrier import contact_file
from service.local.demo.client import DemoClient
from service.storage.postgres import connect
from tests.harness.live import MORNING, TEXT, Live

FIRST = 19790000001
WINDOW = 64
ALLOWED_SECONDS = 1.0


async def launch(live: Live, priority: str, rule: str) -> uuid.UUID:
    """Plan, submit and approve a campaign of this priority that fires now."""
    name = f"{priority}-{uuid.uuid4().hex[:6]}"
    async with live.client("operator") as operator, live.client("approver") as approver:
        segment = await operator.post("/segments", {"name": name, "rule": rule})
        template = await operator.post(
            "/templates", {"name": name, "class": "public_interest", "text": TEXT}
        )
        campaign = await operator.post("/campaigns", _plan(name, segment, template, priority))
        await operator.post(f"/campaigns/{campaign['id']}/submit", {})
        await approver.post(f"/campaigns/{campaign['id']}/approve", {})
    return uuid.UUID(campaign["id"])


def _plan(
    name: str, segment: dict[str, Any], template: dict[str, Any], priority: str
) -> dict[str, Any]:
    return {
        "name": name,
        "template_id": template["id"],
        "segment_id": segment["id"],
        "priority": priority,
        "schedule": {"kind": "now"},
    }


async def few(operator: DemoClient) -> str:
    """A rule that means about a window's worth: one more roster of them."""
    content = contact_file([FIRST + 7 * n for n in range(WINDOW)])
    made = await operator.upload("/imports", content, {"roster": "few", "basis": "duty"})
    while (await operator.get(f"/imports/{made['id']}"))["state"] != "done":
        await asyncio.sleep(0.2)
    return "roster = few"


async def measure(live: Live, count: int) -> tuple[int, datetime, datetime, datetime]:
    """How many the urgent run has, when its ledger stood, its first and its last answer."""
    await live.people(contact_file(range(FIRST, FIRST + count)))
    async with live.client("operator") as operator:
        rule = await few(operator)
    bulk = await launch(live, "bulk", "carrier in (mobile, unicom, telecom, broadnet)")
    while await live.query(_SENT, bulk) < 2_000:
        await asyncio.sleep(0.5)
    urgent = await launch(live, "urgent", rule)
    deadline = time.monotonic() + 60
    while await live.query(_SENT, urgent) < WINDOW and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    conn = await connect(live.summary["database_url"])
    try:
        row = await conn.fetchrow(
            """
            SELECT count(*) AS people, min(r.started_at) AS stood, min(m.submitted_at) AS first,
                   max(m.submitted_at) AS last
            FROM runs r JOIN messages m ON m.run_id = r.id WHERE r.campaign_id = $1
            """,
            urgent,
        )
    finally:
        await conn.close()
    if row is None or row["last"] is None:
        raise SystemExit("the urgent texts were not written within a minute")
    return row["people"], row["stood"], row["first"], row["last"]


_SENT = (
    "SELECT count(*) FROM runs r JOIN messages m ON m.run_id = r.id "
    "WHERE r.campaign_id = $1 AND m.submitted_at IS NOT NULL"
)


def main() -> None:
    """Run it; exit code 1 if it took longer than a window and a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=118_000)
    parser.add_argument("tps", type=int, nargs="?", default=500)
    given = parser.parse_args()
    count, tps = given.people, given.tps
    with tempfile.TemporaryDirectory(prefix="tocsin-urgent-") as folder:
        live = Live(
            Path(folder) / "data",
            *(
                "--clock",
                MORNING,
                "--tps",
                str(tps),
                "--window",
                str(WINDOW),
                "--protocols",
                "cmpp",
            ),
            *("--profile", "carrier", "--max-delay", "1"),
        )
        live.start()
        try:
            found, stood, first, last = asyncio.run(measure(live, count))
        finally:
            live.stop()
    allowed = WINDOW / tps + found / tps + ALLOWED_SECONDS
    seconds = (last - stood).total_seconds()
    sys.stdout.write(
        f"{found} urgent texts behind {count:,} bulk ones at {tps} a second, window {WINDOW}:\n"
        f"first answered after {(first - stood).total_seconds():.2f} s, last after {seconds:.2f} s "
        f"(allowed: a window, their own pace and a second, {allowed:.2f} s)\n"
    )
    raise SystemExit(seconds > allowed)


if __name__ == "__main__":
    main()
