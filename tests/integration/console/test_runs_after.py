"""After a run: its report, its texts one by one, whom it missed; single texts, and the search."""

import csv
import io
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import FormData

from service.storage.postgres import transaction
from tests.factories import make_template, phone
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.sending import PEOPLE, Sending, begin_sending
from tests.integration.api.conftest import Api


@pytest.fixture
async def sent(api: Api) -> Sending:
    """A run that is handed off: 12 delivered, 3 off, 1 no number, 4 without word."""
    sending = await begin_sending(api)
    await sending.hand_off(range(1, PEOPLE + 1))
    await sending.become("delivered", range(1, 13))
    await sending.become("undelivered", range(13, 16), "powered_off")
    await sending.become("undelivered", [16], "empty_number")
    await api.runtime.pool.execute(
        "UPDATE runs SET state = 'sent', started_at = fire_at, finished_at = fire_at WHERE id = $1",
        sending.run,
    )
    await api.runtime.pool.execute("UPDATE slices SET done_at = $1", api.clock.at)
    return sending


def told(page: Seen) -> str:
    return " ".join(page.text.split())


async def fetch(browser: Browser, page: Seen, action: str) -> tuple[int, bytes, str]:
    """A file that a form of a page gives."""
    data = FormData(page.form(action).fields)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Origin": browser.origin, "Cookie": cookie, "Accept-Language": browser.language}
    async with browser.api.client.request(
        "POST", action, data=data, headers=headers, allow_redirects=False
    ) as response:
        kind = response.headers.get("Content-Type", "")
        return response.status, await response.read(), kind


async def test_a_report_adds_up_and_says_why(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "inspector")
    page = await browser.get(f"/runs/{sent.run}/report")
    assert page.status == 200, page.text
    assert "60.0 %" in page.text, "12 of 20"
    assert "手机关机或不在服务区 3" in told(page)
    assert "相符" in page.text
    assert "不相符" not in page.text
    assert f"/runs/{sent.run}/ledger" not in page.links, "an inspector sees counts alone"


async def test_the_file_of_a_report_has_the_same_figures(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "viewer")
    path = f"/runs/{sent.run}/report"
    page = await browser.get(path)
    status, body, kind = await fetch(browser, page, f"{path}/file")
    assert (status, kind) == (200, "text/csv; charset=utf-8")
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    whole = dict(zip(rows[0], rows[1], strict=True))
    assert (whole["目标"], whole["已送达"]) == ("20", "12")
    assert sum(int(part) for part in rows[1][3:]) == PEOPLE
    viewer = api.teams["county"].viewer.id
    noted = await api.runtime.pool.fetch(
        "SELECT actor_id, via FROM audit_entries WHERE action = 'export_run_report'"
    )
    assert [(row["actor_id"], row["via"]) for row in noted] == [(viewer, "console")]


async def test_evidence_is_for_whoever_reads_the_trail(api: Api, sent: Sending) -> None:
    path = f"/runs/{sent.run}/report"
    viewer = await browser_of(api, "viewer")
    page = await viewer.get(path)
    assert f"{path}/evidence" not in [form.action for form in page.forms]
    fields = page.form("/logout").fields
    assert (await viewer.post(f"{path}/evidence", FormData(fields))).status == 403
    admin = await browser_of(api, "admin")
    status, body, _ = await fetch(admin, await admin.get(path), f"{path}/evidence")
    assert status == 200
    assert body.startswith(b"PK")


async def test_texts_are_shown_masked_and_by_state(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get(f"/runs/{sent.run}/ledger?state=undelivered")
    links = [link for link in page.links if f"/runs/{sent.run}/ledger/" in link]
    assert len(links) == 4
    whole = await browser.get(f"/runs/{sent.run}/ledger")
    assert not [n for n in range(PEOPLE) if phone(n) in whole.html]
    assert "197****" in whole.html


async def test_a_number_is_seen_once_for_a_reason_and_noted(api: Api, sent: Sending) -> None:
    admin = await browser_of(api, "admin")
    path = f"/runs/{sent.run}/ledger/1"
    page = await admin.get(path)
    number = api.runtime.keyring.decrypt(
        "phone",
        await api.runtime.pool.fetchval("SELECT phone_cipher FROM messages WHERE no = 1"),
    )
    silent = await admin.submit(page, f"{path}/unmask", {"reason": " "})
    assert silent.status == 422
    assert number not in silent.html
    full = await admin.submit(page, f"{path}/unmask", {"reason": "回访"})
    assert number in full.html
    assert number not in (await admin.get(path)).html
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 1
    viewer = await browser_of(api, "viewer")
    shown = await viewer.get(path)
    assert f"{path}/unmask" not in [form.action for form in shown.forms]
    fields = shown.form("/logout").fields
    refused = await viewer.post(f"{path}/unmask", FormData([*fields, ("reason", "r")]))
    assert refused.status == 403


async def test_who_was_missed_gets_it_again_and_nobody_else(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "operator")
    path = f"/runs/{sent.run}"
    page = await browser.get(f"{path}/after")
    assert "补发给 3 人" in page.text, "the one without a number is not sent to again"
    asked = await browser.get(f"{path}/resend")
    assert "补发给 3 人" in asked.html
    api.clock.at += timedelta(minutes=1)
    gone = await browser.submit(asked, f"{path}/resend", {"reason": "再试"})
    assert gone.path != path
    assert gone.path.startswith("/runs/")
    made = await api.runtime.pool.fetchrow(
        "SELECT relation, follows FROM runs ORDER BY id DESC LIMIT 1"
    )
    assert made is not None
    assert (made["relation"], made["follows"]) == ("resend", sent.run)
    again = await browser.submit(asked, f"{path}/resend", {"reason": "再试"})
    assert again.path == gone.path, "pressed twice, it is one run"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 2


async def test_a_correction_is_drafted_for_those_who_got_it(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get(f"/runs/{sent.run}/correct")
    assert page.status == 200
    template = await api.runtime.pool.fetchval("SELECT id FROM templates LIMIT 1")
    await browser.submit(
        page, f"/runs/{sent.run}/correct", {"name": "更正", "template_id": str(template)}
    )
    corrects = await api.runtime.pool.fetchval(
        "SELECT corrects FROM campaigns WHERE name = '更正' AND state = 'draft'"
    )
    assert corrects == sent.run


async def test_who_may_only_read_is_offered_nothing_after_a_run(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get(f"/runs/{sent.run}/after")
    assert page.status == 200
    for act in ("resend", "top-up", "correct"):
        assert f"/runs/{sent.run}/{act}" not in page.links
        assert (await browser.get(f"/runs/{sent.run}/{act}")).status == 403


# ---- single texts and the search ----


async def test_a_number_is_looked_up_without_standing_in_any_address(
    api: Api, sent: Sending
) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/runs/single")
    seen = await browser.submit(page, "/runs/single/arrived", {"phone": phone(7)})
    assert seen.status == 200, seen.text
    assert "已送达手机" in seen.text or "未送达" in seen.text or "运营商已接收" in seen.text
    assert phone(7) not in seen.html
    assert "197****" in seen.html
    by_box = await browser.submit(page, "/search", {"words": f" {phone(7)[:3]} {phone(7)[3:]} "})
    assert by_box.path == "/search"
    assert [link for link in by_box.links if link.startswith(f"/runs/{sent.run}/ledger/")]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 2


async def _direct(api: Api, people: int = 2) -> list[str]:
    """The ids of texts of a direct send of the county that wait."""
    async with transaction(api.runtime.pool) as conn:
        template = await make_template(conn, api.teams["county"].operator, now=api.clock.at)
    approve = f"/templates/{template.id}/approve"
    assert (await api.post(approve, ("county", "approver"), {"version": 1})).status == 200
    body = {"template_id": str(template.id), "to": [phone(41 + n) for n in range(people)]}
    made = await api.post("/messages", ("county", "operator"), body)
    assert made.status == 202, made.body
    return list(made.json["ids"])


async def test_texts_are_looked_up_by_their_ids_and_one_that_waits_is_cancelled(
    api: Api, sent: Sending
) -> None:
    first, second = await _direct(api)
    browser = await browser_of(api, "operator")
    page = await browser.get("/runs/single")
    gone = f"{sent.run}.999"
    typed = {"ids": f"{first}\n{second}\n{sent.run}.1\n{gone}"}
    seen = await browser.submit(page, "/runs/single/status", typed)
    assert seen.status == 200, seen.text
    assert gone in seen.text
    addresses = ["/runs/{}/ledger/{}/cancel".format(*one.split(".")) for one in (first, second)]
    cancels = [form.action for form in seen.forms if form.action.endswith("/cancel")]
    assert cancels == addresses, "none of a campaign"
    assert phone(41) not in seen.html
    done = await browser.submit(seen, addresses[0])
    assert "短信已取消，不会发出" in done.text
    assert addresses[0] not in [form.action for form in done.forms]
    states = await api.runtime.pool.fetch(
        "SELECT state FROM messages WHERE run_id = $1 ORDER BY no", UUID(first.split(".")[0])
    )
    assert [row["state"] for row in states] == ["cancelled", "queued"]
    found = await browser.submit(page, "/runs/single/arrived", {"phone": phone(42)})
    assert addresses[1].removesuffix("/cancel") in found.links


async def test_what_is_no_id_of_a_text_is_told_at_the_field(api: Api, sent: Sending) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/runs/single")
    refused = await browser.submit(page, "/runs/single/status", {"ids": f"{sent.run}.1\n19790"})
    assert refused.status == 422
    assert "第 2 行不是短信编号" in refused.text
    assert 'id="e-ids"' in refused.html
    assert "19790" in dict(refused.form("/runs/single/status").fields)["ids"]
    empty = await browser.submit(page, "/runs/single/status", {"ids": " "})
    assert (empty.status, 'id="e-ids"' in empty.html) == (422, True)


async def test_whoever_may_not_send_cancels_no_text(api: Api, sent: Sending) -> None:
    (text,) = await _direct(api, 1)
    viewer = await browser_of(api, "viewer")
    address = "/runs/{}/ledger/{}".format(*text.split("."))
    seen = await viewer.get(address)
    assert seen.status == 200
    assert f"{address}/cancel" not in [form.action for form in seen.forms]
    fields = seen.form("/logout").fields
    assert (await viewer.post(f"{address}/cancel", FormData(fields))).status == 403


async def test_a_wrong_number_is_told_and_what_was_typed_stays(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/runs/single")
    seen = await browser.submit(page, "/runs/single/arrived", {"phone": "12345"})
    assert seen.status == 422
    assert ("phone", "12345") in seen.form("/runs/single/arrived").fields


async def test_words_find_campaigns_and_texts_by_name(api: Api, sent: Sending) -> None:
    await api.runtime.pool.execute("UPDATE campaigns SET name = '冬季<b>防骗</b>'")
    browser = await browser_of(api, "operator")
    page = await browser.get("/today")
    seen = await browser.submit(page, "/search", {"words": "防骗"})
    assert f"/plans/{sent.campaign}" in seen.links
    assert "<b>防骗" not in seen.html
    nothing = await browser.submit(page, "/search", {"words": "没有这样的"})
    assert "没有名称里有这些字的" in nothing.text


async def test_a_text_is_sent_to_a_few_people_and_who_is_refused_is_told(
    api: Api, sent: Sending
) -> None:
    async with transaction(api.runtime.pool) as conn:
        template = await make_template(conn, api.teams["county"].operator, now=api.clock.at)
    approve = f"/templates/{template.id}/approve"
    answer = await api.post(approve, ("county", "approver"), {"version": 1})
    assert answer.status == 200, answer.body
    browser = await browser_of(api, "operator")
    page = await browser.get("/runs/single")
    typed = {"template_id": str(template.id), "to": f"{phone(41)}\n123"}
    seen = await browser.submit(page, "/runs/single", typed)
    assert seen.status == 200, seen.text
    assert "已发 1" in told(seen)
    assert "未发 1" in told(seen)
    run = await api.runtime.pool.fetchrow("SELECT id, kind FROM runs ORDER BY id DESC LIMIT 1")
    assert run is not None
    assert run["kind"] == "direct"
    assert f"/runs/{run['id']}" in seen.links
    shown = await browser.get(f"/runs/{run['id']}")
    assert "单独发送" in shown.text
    asked = await browser.get(f"/runs/{run['id']}/cancel")
    ended = await browser.submit(asked, f"/runs/{run['id']}/cancel")
    assert ended.path == f"/runs/{run['id']}"
    state = await api.runtime.pool.fetchval("SELECT state FROM runs WHERE id = $1", run["id"])
    assert state == "cancelled"
