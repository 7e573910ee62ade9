"""The audit trail verified on a page: how far it is, what it found, a process that was killed."""

import asyncio
import signal
import sys
from uuid import UUID

import pytest

from service.accounts.audit.sealing import seal_committed
from service.accounts.audit.trail_checks import run_check
from service.accounts.long_acts import store
from service.accounts.long_acts.keeping import kept
from service.accounts.long_acts.long_act import LongProgress
from service.storage.postgres import Connection
from tests.harness.console import Seen, browser_of
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

PAGE = "/reports/audit/check"
ADMIN, INSPECTOR = ("county", "admin"), ("county", "inspector")


async def _asked(api: Api) -> UUID:
    """The check that waits."""
    found: UUID = await api.runtime.pool.fetchval("SELECT id FROM long_acts WHERE NOT begun")
    return found


async def _carry_out(api: Api) -> None:
    """What a worker does."""
    runtime = api.runtime
    assert await run_check(
        runtime.settings.database_url, runtime.keyring, runtime.clock, await _asked(api)
    )


async def _begin(
    api: Api, role: str = "inspector", language: str = "zh-CN", head: str = ""
) -> Seen:
    browser = await browser_of(api, role, language)
    page = await browser.get(PAGE)
    return await browser.submit(page, PAGE, {"head": head})


@pytest.mark.parametrize(
    ("language", "waits", "whole"),
    [
        ("zh-CN", "等待进程处理", "审计记录完整，核对到第 {} 号封印"),
        ("en", "it waits for a process", "the trail is whole up to seal {}"),
    ],
)
async def test_an_inspector_has_the_trail_verified_and_reads_that_it_is_whole(
    api: Api, language: str, waits: str, whole: str
) -> None:
    seen = await _begin(api, language=language)
    assert seen.status == 200, seen.text
    assert waits in seen.text
    assert not [form for form in seen.forms if form.action == PAGE], "one at a time"
    sealed = await seal_committed(api.runtime.pool, api.runtime.keyring)
    await _carry_out(api)
    browser = await browser_of(api, "inspector", language)
    assert whole.format(sealed) in (await browser.get(PAGE)).text
    trail = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM audit_entries WHERE action = 'check_trail'"
    )
    assert trail == 1, "that somebody had it verified stands in the trail, too"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh-CN", ("在第 2 号封印处断开", "第 2 号封印: 记录与封存时不符")),
        ("en", ("the trail is broken at seal 2", "seal 2: the entry is not as it was sealed")),
    ],
)
async def test_the_first_broken_entry_is_named(
    api: Api, owner: Connection, language: str, said: tuple[str, str]
) -> None:
    for name in ("a", "b", "c"):
        answer = await api.post("/segments", ADMIN, {"name": name, "rule": "身份 = 家长"})
        assert answer.status == 201, answer.body
    await seal_committed(api.runtime.pool, api.runtime.keyring)
    await owner.execute("SET session_replication_role = replica")  # a superuser's
    await owner.execute(
        "UPDATE audit_entries SET object_id = 'x' WHERE id ="
        " (SELECT entry_id FROM audit_seals WHERE no = 2)"
    )
    await owner.execute("RESET session_replication_role")
    await _begin(api, language=language)
    await _carry_out(api)
    seen = await (await browser_of(api, "inspector", language)).get(PAGE)
    assert [one for one in said if one not in seen.html] == []
    (check, *_) = (await api.get("/audit/checks", INSPECTOR)).json["items"]
    assert (check["found"]["broken"]["no"], check["found"]["entries"]) == (2, 1)


KILLED = """
import asyncio, os, signal, sys, uuid
from service.accounts.audit import audit_store, trail_checks
from service.clock import Clock
from service.crypto import Keyring

walk = audit_store.walk_seals

async def killed(conn):
    async for found in walk(conn):
        os.kill(os.getpid(), signal.SIGKILL)
        yield found

audit_store.walk_seals = killed
asyncio.run(trail_checks.run_check(
    sys.argv[1], Keyring(bytes.fromhex(sys.argv[2])), Clock(), uuid.UUID(sys.argv[3])))
"""


async def test_a_check_whose_process_is_killed_says_so_and_another_is_begun(
    api: Api,
) -> None:
    await _begin(api)
    await seal_committed(api.runtime.pool, api.runtime.keyring)
    url, wanted = api.runtime.settings.database_url, await _asked(api)
    died = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, url, "01" * 32, str(wanted)
    )
    assert await died.wait() == -signal.SIGKILL
    browser = await browser_of(api, "inspector")
    assert "正在" in (await browser.get(PAGE)).text, "its lease still holds"
    await api.runtime.pool.execute("UPDATE long_acts SET lives_until = clock_timestamp()")
    seen = await browser.get(PAGE)
    assert "核对中断" in seen.text
    assert (await api.get(f"/audit/checks/{wanted}", INSPECTOR)).json["state"] == "broken_off"
    await browser.submit(seen, PAGE, {"head": ""})
    await _carry_out(api)
    seen = await browser.get(PAGE)
    assert "审计记录完整" in seen.text
    assert "核对中断" in seen.text, "that one stands among those before"


async def test_who_looks_from_another_process_sees_how_much_is_done_of_all(api: Api) -> None:
    await _begin(api)
    act_id, progress = await _asked(api), LongProgress()
    browser = await browser_of(api, "inspector")
    async with api.runtime.pool.acquire() as conn:
        assert await store.take_up(conn, act_id)
        assert await store.take_up(conn, act_id) is None, "nobody else takes it up"
        async with kept(conn, act_id, progress, every=0.01):
            progress.done, progress.total = 4_711, 118_000

            async def seen() -> bool:
                return "已核对 4,711 个封印，共 118,000 个" in (await browser.get(PAGE)).text

            await until(seen, 30, "how far it is")
            part = await browser.ask("GET", f"{PAGE}/{act_id}?done=4711")
            assert part.status == 204, "it is as the page has it"
    assert (await browser.ask("GET", f"{PAGE}/{act_id}?done=4")).status == 200


async def test_a_seal_that_was_written_down_is_held_against_the_trail(api: Api) -> None:
    seen = await _begin(api, head="7")
    assert seen.status == 422
    assert "64 位十六进制" in seen.text
    seen = await _begin(api, head=f"9999:{'ab' * 32}")
    await seal_committed(api.runtime.pool, api.runtime.keyring)
    await _carry_out(api)
    seen = await (await browser_of(api, "inspector")).get(PAGE)
    assert "早于抄下的封印" in seen.text


async def test_who_may_not_is_refused_and_sees_no_tab(api: Api) -> None:
    for role, shows in (("viewer", False), ("operator", False), ("admin", True)):
        browser = await browser_of(api, role)
        assert (PAGE in (await browser.get("/reports")).links) is shows
        assert ((await browser.ask("GET", PAGE)).status == 200) is shows
