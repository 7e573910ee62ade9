"""`tocsin holidays` as a person uses it: a text file in."""

from datetime import date
from pathlib import Path

from service.campaigns.calendar.county_store import load_county
from service.storage.postgres import Connection, connect
from tests.harness.shell import Shell
from tests.harness.words import NOTICE


async def _holiday(conn: Connection, day: date) -> tuple[str, bool]:
    found = (await load_county(conn)).holidays.day(day)
    return found.kind, found.official


async def test_a_notice_is_imported_or_refused_whole(database_url: str, tmp_path: Path) -> None:
    shell = Shell(database_url, tmp_path)
    file = tmp_path / "notice.txt"
    conn = await connect(database_url)
    try:
        file.write_text(NOTICE.replace("共8天", "共7天"), "utf-8")
        refused = await shell.run("holidays", "import", file)
        assert (refused.code, "is 8 days" in refused.err) == (1, True)
        assert await _holiday(conn, date(2027, 2, 12)) == ("workday", False)
        file.write_text(NOTICE, "utf-8-sig")
        said = await shell.run("holidays", "import", file)
        assert (said.code, said.err) == (0, "")
        assert "2027-02-20\tmakeup" in said.out.splitlines()
        assert await _holiday(conn, date(2027, 2, 12)) == ("holiday", True)
    finally:
        await conn.close()
