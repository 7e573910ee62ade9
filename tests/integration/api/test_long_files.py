"""Files that take long: how far each is while it is made, and one whose process was killed."""

import asyncio
import signal
import sys
from typing import Any

import pytest

from service.accounts.long_acts.long_act import LongProgress
from service.api.http import downloads
from service.api.http.downloads import LongFile, noted
from tests.harness.campaigns import weekly_campaign
from tests.harness.console import browser_of
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

ADMIN, SCHOOL = ("county", "admin"), ("school", "admin")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is one that takes long."""
    monkeypatch.setattr(downloads, "SHOWN_AFTER", 0.0)


async def _shown(api: Api, who: tuple[str, str] = ADMIN, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("/long-acts", who, params=query)
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def _file(api: Api, about: str, *, total: int) -> LongFile:
    user = api.teams["county"].admin.id
    return LongFile("get_evidence", about, user, LongProgress(total=total))


async def test_an_archive_says_how_many_rows_of_all_are_written(api: Api) -> None:
    _, runs = await weekly_campaign(api, weeks=1)
    run = str(runs[0])
    taken = await api.get(f"/runs/{run}/evidence", SCHOOL)
    assert taken.status == 200
    target = await api.runtime.pool.fetchval("SELECT target FROM runs WHERE id = $1", runs[0])
    (act,) = await _shown(api, SCHOOL, object_id=run)
    assert (act["state"], act["done"], act["total"]) == ("done", target, target)
    assert act["plain"]["zh"] == f"{target} 行已全部写好"
    assert await _shown(api, ADMIN) == [], "nobody else's"


async def test_a_file_is_watched_while_it_is_made_and_says_when_it_failed(api: Api) -> None:
    _, (run,) = await weekly_campaign(api, weeks=1)
    file = _file(api, str(run), total=118_000)
    browser = await browser_of(api, "admin")

    async def seen() -> bool:
        page = await browser.get(f"/runs/{run}/report")
        return "已写 59,000 行，共 118,000 行" in page.text

    async def break_off() -> None:
        async with noted(api.runtime, file):
            file.progress.done = 59_000
            await until(seen, 30, "how far it is")
            part = await browser.ask("GET", f"/files/{run}?seen=running59000")
            assert part.status == 204, "it is as the page has it"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    (act,) = await _shown(api)
    assert (act["state"], act["done"]) == ("failed", 59_000)
    part = await browser.ask("GET", f"/files/{run}?seen=running59000")
    assert "第 59,000 行时出错" in part.text


KILLED = """
import asyncio, os, signal, sys, types, uuid
from service.accounts.long_acts.long_act import LongProgress
from service.api.http import downloads
from service.clock import Clock
from service.storage.postgres import connected

url, user, run = sys.argv[1:]
downloads.SHOWN_AFTER = 0.0
runtime = types.SimpleNamespace(
    clock=Clock(), pool=types.SimpleNamespace(acquire=lambda: connected(url)))

async def made():
    file = downloads.LongFile(
        "get_evidence", run, uuid.UUID(user), LongProgress(59_000, 118_000))
    async with downloads.noted(runtime, file), connected(url) as conn:
        while not await conn.fetchval("SELECT count(*) FROM long_acts WHERE done > 0"):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(made())
"""


async def test_a_file_whose_process_is_killed_is_not_made_for_ever(api: Api) -> None:
    _, (run,) = await weekly_campaign(api, weeks=1)
    url, user = api.runtime.settings.database_url, str(api.teams["county"].admin.id)
    before = await api.runtime.pool.fetchval("SELECT md5(string_agg(m::text, ',')) FROM messages m")
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, url, user, str(run))
    assert await died.wait() == -signal.SIGKILL
    (act,) = await _shown(api)
    assert act["state"] == "running", "its lease still holds"
    await api.runtime.pool.execute("UPDATE long_acts SET lives_until = clock_timestamp()")
    (act,) = await _shown(api)
    assert (act["state"], act["done"], act["total"]) == ("broken_off", 59_000, 118_000)
    after = await api.runtime.pool.fetchval("SELECT md5(string_agg(m::text, ',')) FROM messages m")
    assert before == after, "it only reads"


async def test_a_file_that_is_made_at_once_writes_nothing_down(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SHOWN_AFTER", 600.0)
    answer = await api.get("/receipts/unmatched/export", ADMIN)
    assert answer.status == 200
    assert await _shown(api) == []
