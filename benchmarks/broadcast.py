"""One broadcast with TPS off, from queued to final, every result and receipt committed.

Run as `python -m benchmarks.broadcast [PEOPLE] [WINDOW]`. Starts a whole system of its own in a
temporary folder, imports PEOPLE synthetic contacts, sends them one text through the simulated
carrier over TCP, and prints the rates and the memory of each process.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
import uuid
from pathlib import Path

from service.storage.postgres import connect
from tests.harness.live import MORNING, Live

NAMES = ("channel-0", "work", "scheduler", "api", "simulator", "valkey", "postgres")


def people(count: int) -> bytes:
    """A clean file of `count` contacts."""
    lines = (f"{19790000001 + n},张{n % 7}" for n in range(count))
    return "\n".join(["手机号,姓名", *lines]).encode()


def peak_megabytes(pid: int) -> float:
    """The most memory a process has held resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def processor_seconds(pid: int) -> float:
    """What a process and its children, living or ended, have used of the processor."""
    used = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if path.parent.name == str(pid):
                used += sum(map(int, fields[11:15]))
            elif fields[1] == str(pid):
                used += int(fields[11]) + int(fields[12])
    return used / 100


async def measure(live: Live, count: int) -> None:
    """Import, expand, send, fold; print what each took."""
    began = time.monotonic()
    await live.people(people(count))
    print(f"import        {count / (time.monotonic() - began):8.0f} rows/s")
    before = {name: processor_seconds(live.pid(name)) for name in NAMES}
    sent = await live.launch()
    conn = await connect(live.summary["database_url"])
    campaign = uuid.UUID(sent.campaign)
    try:
        await sent.handed_off(600)
        while await sent.count("submitted") > count * 0.005:
            await asyncio.sleep(0.05)
        row = await conn.fetchrow(
            """
            SELECT r.created_at, r.started_at, min(m.marked_at) AS first,
                   max(m.submitted_at) AS submitted, max(m.final_at) AS final, count(*) AS target
            FROM runs r JOIN messages m ON m.run_id = r.id
            WHERE r.campaign_id = $1 GROUP BY r.id
            """,
            campaign,
        )
    finally:
        await conn.close()
    assert row is not None
    target = row["target"]
    handed = (row["submitted"] - row["first"]).total_seconds()
    whole = (row["final"] - row["first"]).total_seconds()
    written = (row["started_at"] - row["created_at"]).total_seconds()
    print(f"ledger        {target / written:8.0f} rows/s, waiting included")
    print(f"handed off    {target / handed:8.0f} messages/s, result committed")
    print(f"end to end    {target / whole:8.0f} messages/s, receipt folded")
    for name in NAMES:
        used = processor_seconds(live.pid(name)) - before[name]
        print(
            f"{name:<12}  {peak_megabytes(live.pid(name)):8.0f} MB peak  "
            f"{1e6 * used / target:6.0f} µs/message"
        )


def main() -> None:
    """Run it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    window = sys.argv[2] if len(sys.argv) > 2 else "256"
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        live = Live(
            Path(folder) / "data",
            *("--clock", MORNING, "--tps", "0", "--window", window, "--profile", "carrier"),
            *("--max-delay", "0.5", "--lanes", "cmpp"),
        )
        live.start()
        try:
            asyncio.run(measure(live, count))
        finally:
            live.stop()


if __name__ == "__main__":
    main()
