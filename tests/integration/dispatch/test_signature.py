"""The signature on the wire: where each channel's contract puts it, in every part's size."""

import json
from pathlib import Path

import pytest

from service.clock import Clock
from service.crypto import Keyring
from service.storage.postgres import Pool
from tests.harness.runs import handed_off, ready
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

SIGNATURE = "【旌德县公安局】"
SHORT = "先做小任务返小钱的都是刷单诈骗。"
LONG = "国" * 127


def written(folder: Path) -> dict[str, list[str]]:
    """The text of each part that each phone got, in order."""
    found: dict[str, list[str]] = {}
    for line in (folder / "journal").read_text().splitlines():
        entry = json.loads(line)
        if entry.get("event") == "submit":
            found.setdefault(entry["phone"], []).append(entry["text"])
    return found


@pytest.mark.parametrize(
    ("mode", "counts", "body", "parts"),
    [
        ("ours_head", True, SHORT, [SIGNATURE + SHORT]),
        ("ours_tail", True, SHORT, [SHORT + SIGNATURE]),
        ("carrier_head", True, SHORT, [SHORT]),
        ("carrier_tail", False, SHORT, [SHORT]),
        ("carrier_head", True, LONG, ["国" * 59, "国" * 67, "国"]),
        ("carrier_tail", True, LONG, ["国" * 67, "国" * 59, "国"]),
        ("carrier_tail", False, LONG, ["国" * 67, "国" * 60]),
    ],
)
async def test_the_signature_is_written_as_the_channel_says(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    simulate: Simulate,
    serve: Serve,
    mode: str,
    counts: bool,
    body: str,
    parts: list[str],
) -> None:
    async with simulate(journal_texts=True) as carrier, pool.acquire() as conn:
        port = carrier.ports["cmpp"]
        text = SIGNATURE + body
        channel, run = await ready(pool, conn, keyring, clock, port, 3, text=text)
        await conn.execute(
            "UPDATE channels SET signature = $2, signature_counts = $3 WHERE id = $1",
            channel.id,
            mode,
            counts,
        )
        await serve()
        await until(lambda: handed_off(conn, run))
        assert list(written(tmp_path).values()) == [parts] * 3
        counted = await conn.fetch("SELECT DISTINCT part_count FROM messages")
        assert [row["part_count"] for row in counted] == [len(parts)]
