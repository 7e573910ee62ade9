"""`tocsin holidays` as a person uses it: a process of its own, a text file in."""

import asyncio
import sys
from datetime import date
from pathlib import Path

from service.campaigns.calendar.county_store import load_county
from service.storage.postgres import Connection, connect
from tests.harness.words import NOTICE


async def _tocsin(database_url: str, key_file: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "holidays", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_REDIS_URL": "redis://127.0.0.1:1",  # not asked
            "TOCSIN_KEY_FILE": str(key_file),
            "PATH": "",
        },
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def _holiday(conn: Connection, day: date) -> tuple[str, bool]:
    found = (await load_county(conn)).holidays.day(day)
    return found.kind, found.official


async def test_a_notice_is_imported_or_refused_whole(
    database_url: str, key_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notice.txt"
    conn = await connect(database_url)
    try:
        file.write_text(NOTICE.replace("共8天", "共7天"), "utf-8")
        code, _, err = await _tocsin(database_url, key_file, "import", str(file))
        assert (code, "is 8 days" in err) == (1, True)
        assert await _holiday(conn, date(2027, 2, 12)) == ("workday", False)
        file.write_text(NOTICE, "utf-8-sig")
        code, out, err = await _tocsin(database_url, key_file, "import", str(file))
        assert (code, err) == (0, "")
        assert "2027-02-20\tmakeup" in out.splitlines()
        assert await _holiday(conn, date(2027, 2, 12)) == ("holiday", True)
    finally:
        await conn.close()
