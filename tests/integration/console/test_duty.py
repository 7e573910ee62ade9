"""What needs a person on duty: the queue, the stop of everything, uncertain texts, handsets."""

import re
from datetime import timedelta

import pytest
from aiohttp import FormData

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.runs.firing import fire_due
from service.campaigns.stops import stop_store
from service.campaigns.stops.stop_all import hold_all
from service.campaigns.stops.stop_store import KnownGap, MissingTexts
from service.console.duty.uncertain_texts import AGAIN, SETTLING
from service.storage.postgres import transaction
from tests.factories import make_scheduled, phone
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.inbound import send_to_four, write
from tests.harness.sending import begin_sending
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run
from tests.integration.api.conftest import Api


@pytest.fixture
async def doubts(api: Api) -> UncertainRun:
    """A run of the county of whose four texts the first three are uncertain, and may be decided."""
    runtime = api.runtime
    on = await start_uncertain_run(runtime.pool, runtime.keyring, api.clock.at)
    county = api.teams["county"].department_id
    await runtime.pool.execute("UPDATE runs SET department_id = $1", county)
    await runtime.pool.execute("UPDATE campaigns SET department_id = $1", county)
    await on.make_uncertain(1)
    await on.make_uncertain(2)
    await on.make_uncertain(3)
    api.clock.at += timedelta(minutes=11)
    return on


@pytest.fixture
async def clue(api: Api) -> str:
    """A clue from a handset to the county."""
    await send_to_four(api)
    county = api.teams["county"].department_id
    await api.runtime.pool.execute("UPDATE runs SET department_id = $1", county)
    await write(api, (0, "我举报：有人冒充公检法让我转账，账号 6222000011112222"))
    await api.runtime.pool.execute("UPDATE inbound_texts SET department_id = $1", county)
    return str(await api.runtime.pool.fetchval("SELECT id FROM inbound_texts"))


async def states(on: UncertainRun) -> list[str]:
    rows = await on.pool.fetch("SELECT state::text FROM messages ORDER BY no")
    return [row["state"] for row in rows]


def ids(page: Seen) -> list[str]:
    """The texts that can be ticked."""
    return re.findall(r'name="ids" value="([^"]+)"', page.html)


# ---- stopping everything ----


async def test_everything_is_stopped_in_two_presses_from_any_page_and_goes_on_again(
    api: Api,
) -> None:
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["county"], now=now, schedule=Schedule())
    browser = await browser_of(api, "operator")
    today = await browser.get("/today")
    assert "/duty/stop" in today.links
    page = await browser.get("/duty/stop")
    stopped = await browser.submit(page, "/duty/stop", {"reason": "<i>错号</i>"})
    assert "全部停发中" in stopped.text
    assert "&lt;i&gt;错号" in stopped.html
    assert "<i>错号" not in stopped.html
    assert await fire_due(api.runtime.pool, now) == []
    for path in ("/today", "/runs", "/account"):
        assert "band-stop" in (await browser.get(path)).html, "a band says so on every page"
    lifted = await browser.submit(stopped, "/duty/stop/lift", {"reason": "已改正"})
    assert f"/plans/{campaign.id}" in lifted.links, "what was held is listed"
    assert "band-stop" not in (await browser.get("/today")).html
    trail = await api.runtime.pool.fetch("SELECT via FROM audit_entries WHERE action LIKE '%stop%'")
    assert [row["via"] for row in trail] == ["console", "console"]


async def test_after_a_restore_what_may_have_left_becomes_uncertain_unless_somebody_says_otherwise(
    api: Api, doubts: UncertainRun
) -> None:
    pool, now = api.runtime.pool, api.clock.at
    await pool.execute("UPDATE messages SET state = 'queued'")
    await pool.execute("DELETE FROM uncertain")
    (channel,) = await pool.fetch("SELECT id, name FROM channels")
    async with transaction(pool) as conn:
        await stop_store.beat(conn, await stop_store.present_cluster(conn), now)
        gap = KnownGap([MissingTexts(channel["id"], 1, 1234)], now)
        await hold_all(conn, "restored", now, gap)
        await stop_store.begin_era(conn)
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty/stop")
    queued = await pool.fetchval("SELECT count(*) FROM messages")
    assert f"{channel['name']} 第 2 条连接：1,234 条" in page.text
    assert f"最多 {queued} 条" in page.text
    lifted = await browser.submit(page, "/duty/stop/lift", {"reason": "已查看"})
    assert f"{queued} 条短信去向不明" in lifted.text
    assert "/duty/doubt" in lifted.links
    assert set(await states(doubts)) == {"uncertain"}


async def test_a_stop_without_a_reason_is_told_beside_its_field(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty/stop")
    seen = await browser.submit(page, "/duty/stop", {"reason": ""})
    assert seen.status == 422
    assert 'id="e-reason"' in seen.html
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM stops") == 0


async def test_who_may_not_stop_sees_no_button_and_is_refused(api: Api) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get("/duty/stop")
    assert not [form for form in page.forms if form.action.startswith("/duty/stop")]
    fields = page.form("/logout").fields
    for path in ("/duty/stop", "/duty/stop/lift"):
        seen = await browser.post(path, FormData([*fields, ("reason", "r")]))
        assert seen.status == 403
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM stops") == 0


# ---- the queue ----


async def test_the_queue_has_the_most_urgent_first_with_its_next_step(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty")
    assert f"/duty/doubt?run={doubts.on.run}" in page.links
    await browser.submit(await browser.get("/duty/stop"), "/duty/stop", {"reason": "x"})
    page = await browser.get("/duty")
    inside = page.html.partition('<ul class="work"')[2]
    assert inside.index("/duty/stop") < inside.index("/duty/doubt")


# ---- uncertain texts ----


async def _ask(browser: Browser, chosen: slice, decision: str, reason: str = "对账单") -> Seen:
    page = await browser.get("/duty/doubt")
    named = re.findall(r' id="([^"]+)"', page.html)
    assert len(named) == len(set(named)), "a label belongs to one field"
    typed = {"ids": ids(page)[chosen], "decision": decision, "reason": reason}
    return await browser.submit(page, "/duty/doubt/ask", typed)


async def test_a_decision_says_its_number_and_what_follows_before_it_is_made(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "operator")
    asked = await _ask(browser, slice(0, 2), "delivered")
    assert "认定 2 条" in asked.text
    assert "不再补发" in asked.text
    assert (await states(doubts))[:3] == ["uncertain"] * 3, "nothing is decided by asking"
    done = await browser.submit(asked, "/duty/doubt")
    assert done.path == "/duty/doubt"
    assert (await states(doubts))[:3] == ["delivered", "delivered", "uncertain"]
    assert len(ids(done)) == 1


async def test_nothing_ticked_or_no_reason_is_told_and_the_ticks_stay(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "operator")
    nothing = await _ask(browser, slice(0, 0), "delivered")
    assert nothing.status == 422
    assert "至少选一条" in nothing.text
    silent = await _ask(browser, slice(0, 2), "delivered", "")
    assert silent.status == 422
    ticked = [value for name, value in silent.form("/duty/doubt/ask").fields if name == "ids"]
    assert len(ticked) == 2
    assert (await states(doubts))[:3] == ["uncertain"] * 3


async def test_a_decision_that_comes_too_late_is_said_with_its_reason(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "operator")
    assert "not_sent" not in (await browser.get("/duty/doubt")).html, "it would be refused"
    rule = {"class": "public_interest", "allowed": True, "reason": "县里同意"}
    answer = await api.call("PUT", "/uncertain/policies", ("county", "admin"), json=rule)
    assert answer.status == 200
    asked = await _ask(browser, slice(0, 2), "not_sent")
    await browser.submit(await _ask(browser, slice(0, 1), "delivered"), "/duty/doubt")
    done = await browser.submit(asked, "/duty/doubt")
    assert "已经认定过" in done.text
    assert (await states(doubts))[:2] == ["delivered", "queued"]


async def test_a_statement_settles_what_it_fits(api: Api, doubts: UncertainRun) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty/doubt")
    numbers = await _numbers(api, doubts)
    when = (doubts.on.now + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    lines = ["手机号,提交时间,状态", *(f"{number},{when},DELIVRD" for number in numbers[:2])]
    form = FormData(page.form("/duty/doubt/statement").fields)
    form.add_field("file", "\n".join(lines).encode(), filename="s.csv", content_type="text/csv")
    done = await browser.post("/duty/doubt/statement", form)
    assert done.status == 200, done.text
    assert (await states(doubts))[:3] == ["delivered", "delivered", "uncertain"]
    assert numbers[0] not in done.html, "nothing of the file is shown"


async def _numbers(api: Api, doubts: UncertainRun) -> list[str]:
    rows = await api.runtime.pool.fetch("SELECT phone_cipher FROM messages ORDER BY no")
    return [api.runtime.keyring.decrypt("phone", row["phone_cipher"]) for row in rows]


async def test_who_may_not_decide_sees_the_texts_and_no_form(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get("/duty/doubt")
    assert page.status == 200
    assert not [form for form in page.forms if form.action.startswith("/duty/doubt")]
    fields = page.form("/logout").fields
    seen = await browser.post("/duty/doubt", FormData([*fields, ("decision", "delivered")]))
    assert seen.status == 403


async def test_whether_a_class_may_be_sent_again_is_set_with_a_reason(
    api: Api, doubts: UncertainRun
) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get("/duty/doubt")
    fields = page.form("/logout").fields
    data = FormData(
        [*fields, ("class", "public_interest"), ("allowed", "true"), ("reason", "洪水"), ]
    )  # fmt: skip
    seen = await browser.post("/duty/doubt/policy", data)
    assert seen.path == "/duty/doubt"
    assert 'value="resend"' in seen.html


@pytest.mark.parametrize(("role", "language"), [("operator", "zh-CN"), ("viewer", "en")])
async def test_what_each_decision_does_is_explained_although_nothing_is_uncertain(
    api: Api, role: str, language: str
) -> None:
    page = await (await browser_of(api, role, language=language)).get("/duty/doubt")
    assert not ids(page)
    for choice in SETTLING + AGAIN:
        assert choice.word.in_language(language[:2]) in page.text
        assert choice.follows.in_language(language[:2]) in page.text


# ---- texts from handsets ----


async def test_a_clue_is_taken_seen_in_full_and_closed(api: Api, clue: str) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get("/duty/replies")
    path = f"/duty/replies/{clue}"
    assert "冒充公检法" in page.text
    number = phone(0)
    assert number not in page.html
    mine = await browser.submit(page, f"{path}/take")
    assert mine.path == path
    refused = await browser.submit(mine, f"{path}/unmask", {"reason": ""})
    assert refused.status == 422
    assert number not in refused.html
    full = await browser.submit(mine, f"{path}/unmask", {"reason": "回拨核实"})
    assert number in full.html
    assert 'hx-trigger="load delay:60s"' in full.html
    assert f'content="60; url={path}"' in full.html, "without script the page before comes back"
    assert number not in full.path
    assert number not in (await browser.get(path)).html, "only this once"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 1
    again = await browser.get(path)
    swapped = await browser.submit(
        again, f"{path}/unmask", {"reason": "核对"}, headers={"HX-Request": "true"}
    )
    assert number in swapped.html
    assert "http-equiv" not in swapped.html, "swapped in, it would load the page anew"
    done = await browser.submit(full, f"{path}/done", {"note": "已转反诈中心", "opt_out": "true"})
    assert done.path == "/duty/replies"
    assert "冒充公检法" not in done.text
    suppressed = await api.runtime.pool.fetchval("SELECT count(*) FROM suppressions")
    assert suppressed == 1


async def test_what_a_handset_writes_is_text(api: Api, clue: str) -> None:
    await write(api, (1, "<img src=x onerror=alert(1)> 举报"))
    county = api.teams["county"].department_id
    await api.runtime.pool.execute("UPDATE inbound_texts SET department_id = $1", county)
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty/replies")
    assert "<img" not in page.html
    assert "&lt;img" in page.html


async def test_a_viewer_reads_no_text_and_works_none_off(api: Api, clue: str) -> None:
    browser = await browser_of(api, "viewer")
    path = f"/duty/replies/{clue}"
    for page in (await browser.get("/duty/replies"), await browser.get(path)):
        assert "冒充公检法" not in page.html
        assert not [form for form in page.forms if form.action.startswith("/duty/")]
    fields = page.form("/logout").fields
    for act in ("take", "done", "unmask"):
        seen = await browser.post(f"{path}/{act}", FormData([*fields, ("reason", "r")]))
        assert seen.status == 403, act


async def test_a_run_that_goes_on_leaves_the_queue_empty(api: Api) -> None:
    await begin_sending(api)
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty")
    assert page.status == 200
