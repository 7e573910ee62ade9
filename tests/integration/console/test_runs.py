"""What is being sent, and a run as it goes on: figures, pauses between polls, steering."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from service.api.sending import run_progress
from service.console.runs.pages import pause_after
from service.dispatch.expansion.expansion_notes import ExpansionNotes
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.sending import PEOPLE, Sending, begin_sending
from tests.integration.api.conftest import Api


@pytest.fixture
async def sending(api: Api) -> Sending:
    run_progress._COUNTS.clear()
    return await begin_sending(api)


def polls(seen: Seen) -> str:
    """Where the page asks next; "" if it does not."""
    found = re.search(r'hx-get="([^"]+)" hx-trigger="every', seen.html)
    return found[1].replace("&amp;", "&") if found else ""


async def state_of(api: Api, sending: Sending) -> str:
    return str(await api.runtime.pool.fetchval("SELECT state FROM runs WHERE id = $1", sending.run))


async def test_the_list_says_what_is_being_sent_and_how_far(api: Api, sending: Sending) -> None:
    browser = await browser_of(api, "operator")
    seen = await browser.get("/runs")
    assert f"/runs/{sending.run}" in seen.links
    assert f"0 / {PEOPLE}" in seen.text
    assert "发送中" in seen.text


async def test_the_list_has_the_figures_of_the_page_of_the_run(api: Api, sending: Sending) -> None:
    await sending.hand_off(range(1, 13))
    await sending.become("suppressed", [12], "opted_out")
    browser = await browser_of(api, "operator")
    listed = (await browser.get("/runs")).text
    one = (await browser.get(f"/runs/{sending.run}")).text
    assert f"11 / {PEOPLE}" in listed
    assert "已交 11" in re.sub(r"\s+", " ", one), one


async def test_the_figures_of_a_run_add_up_and_name_what_waits(api: Api, sending: Sending) -> None:
    await sending.hand_off(range(1, 13))
    await sending.become("delivered", range(1, 8))
    await sending.become("undelivered", range(8, 10), "powered_off")
    await sending.become("rejected", [10], "rejected")
    browser = await browser_of(api, "operator")
    seen = await browser.get(f"/runs/{sending.run}")
    assert seen.status == 200, seen.text
    for words in ("排队 8", "运营商已收 2", "已送达 7", "未送达 3", "相符"):
        assert words in re.sub(r"[=+\s]+", " ", seen.text), words
    assert "不相符" not in seen.text


async def test_what_waits_for_another_try_is_not_called_handed_off(
    api: Api, sending: Sending
) -> None:
    await sending.hand_off(range(1, PEOPLE + 1))
    await api.runtime.pool.execute("UPDATE slices SET done_at = $1", api.clock.at)
    await sending.become("queued", [1, 2])
    browser = await browser_of(api, "operator")
    page = await browser.get(f"/runs/{sending.run}")
    assert "全部交给运营商了" not in page.text
    assert "2 条等着再发" in page.text
    asked = await browser.get(f"/runs/{sending.run}/cancel")
    assert "终止，2 条不再发出" in asked.html


async def test_a_poll_of_what_has_not_changed_is_answered_without_a_page(
    api: Api, sending: Sending
) -> None:
    browser = await browser_of(api, "operator")
    address = polls(await browser.get(f"/runs/{sending.run}"))
    assert address.startswith(f"/runs/{sending.run}/progress?")
    assert (await browser.ask("GET", address)).status == 204
    run_progress._COUNTS.clear()
    await sending.hand_off(range(1, 4))
    changed = await browser.ask("GET", address)
    assert changed.status == 200
    assert "<html" not in changed.html
    assert polls(changed) != address


async def test_a_run_of_which_nothing_changes_is_asked_for_less(api: Api, sending: Sending) -> None:
    browser = await browser_of(api, "operator")
    address = polls(await browser.get(f"/runs/{sending.run}"))
    every = int(parse_qs(urlsplit(address).query)["every"][0])
    assert 2 <= every < 10
    api.clock.at += timedelta(minutes=2)
    quiet = await browser.ask("GET", address)
    assert 'hx-trigger="every 10s"' in quiet.html
    assert (await browser.ask("GET", polls(quiet))).status == 204


async def test_a_run_that_is_over_is_not_asked_for_again(api: Api, sending: Sending) -> None:
    await sending.hand_off(range(1, PEOPLE + 1))
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", sending.run)
    browser = await browser_of(api, "operator")
    assert polls(await browser.get(f"/runs/{sending.run}")), "receipts are still to come"
    await sending.become("delivered", range(1, PEOPLE + 1))
    run_progress._COUNTS.clear()
    assert polls(await browser.get(f"/runs/{sending.run}")) == ""


@pytest.mark.parametrize(
    ("took", "quiet", "is_over", "pause"),
    [(0.01, 0, False, 2), (0.2, 0, False, 4), (0.01, 120, False, 10), (1.0, 120, False, 20),
     (9.0, 0, True, 0)],
)  # fmt: skip
def test_what_is_watched_costs_a_twentieth_of_a_core_at_most(
    took: float, quiet: int, is_over: bool, pause: int
) -> None:
    assert pause_after(took, timedelta(seconds=quiet), is_over=is_over) == pause


async def test_a_poll_keeps_no_session_alive(api: Api, sending: Sending) -> None:
    browser = await browser_of(api, "operator")
    address = polls(await browser.get(f"/runs/{sending.run}"))
    for _ in range(5):
        api.clock.at += timedelta(minutes=29)
        seen = await browser.ask("GET", address, headers={"HX-Request": "true"})
    assert seen.headers["HX-Session"] == "over"


async def test_pause_resume_and_end_are_one_press_each_and_leave_their_entry(
    api: Api, sending: Sending
) -> None:
    browser = await browser_of(api, "operator")
    path = f"/runs/{sending.run}"
    page = await browser.get(path)
    address = polls(page)
    paused = await browser.submit(page, f"{path}/pause")
    assert paused.path == path
    assert await state_of(api, sending) == "paused"
    assert f"还有 {PEOPLE} 条没有发出" in paused.text
    part = await browser.ask("GET", address)
    assert 'id="run-acts"' in part.html, "whoever else watches gets the other buttons"
    assert f"{path}/resume" in part.html
    again = await browser.submit(paused, f"{path}/resume")
    assert again.path == path
    assert await state_of(api, sending) == "running"
    asked = await browser.get(f"{path}/cancel")
    assert f"终止，{PEOPLE} 条不再发出" in asked.html
    ended = await browser.submit(asked, f"{path}/cancel", {"reason": "<b>wrong</b> text"})
    assert ended.path == path
    assert await state_of(api, sending) == "cancelled"
    found = await api.runtime.pool.fetch(
        "SELECT action, via FROM audit_entries WHERE object_id = $1 ORDER BY id",
        str(sending.campaign),
    )
    assert [row["via"] for row in found] == ["console"] * 3


@pytest.mark.parametrize("role", ["viewer", "inspector"])
async def test_who_may_not_steer_sees_no_button_and_is_refused(
    api: Api, sending: Sending, role: str
) -> None:
    browser = await browser_of(api, role)
    path = f"/runs/{sending.run}"
    page = await browser.get(path)
    assert page.status == 200
    assert not [form for form in page.forms if form.action.startswith(path)]
    assert f"{path}/cancel" not in page.links
    for act in ("pause", "resume", "cancel"):
        fields = page.form("/logout").fields
        seen = await browser.post(f"{path}/{act}", dict(fields))
        assert seen.status == 403, act
    assert await state_of(api, sending) == "running"


async def test_a_run_of_nobody_is_not_there(api: Api) -> None:
    browser = await browser_of(api, "operator")
    for path in ("/runs/0", "/runs/01939393-0000-7000-8000-000000000000"):
        assert (await browser.get(path)).status == 404


async def _names(browser: Browser, path: str) -> str:
    return (await browser.get(path)).html


async def test_a_name_with_script_in_it_is_text(api: Api, sending: Sending) -> None:
    await api.runtime.pool.execute(
        "UPDATE campaigns SET name = '<script>alert(1)</script>' WHERE id = $1", sending.campaign
    )
    browser = await browser_of(api, "operator")
    for path in ("/runs", f"/runs/{sending.run}", f"/runs/{sending.run}/cancel"):
        html = await _names(browser, path)
        assert "<script>alert" not in html, path
        assert "&lt;script&gt;alert" in html, path


async def test_a_list_that_is_being_written_says_how_far_it_is(api: Api, sending: Sending) -> None:
    await api.runtime.pool.execute("DELETE FROM slices")
    await api.runtime.pool.execute("DELETE FROM messages")
    await api.runtime.pool.execute("UPDATE runs SET state = 'expanding', target = NULL")
    run_progress._COUNTS.clear()
    browser = await browser_of(api, "operator")
    page = f"/runs/{sending.run}"
    seen = await browser.get(page)
    assert "正在选人" in seen.text, seen.text
    notes = ExpansionNotes(api.runtime.redis, sending.run)
    await notes.tell(2_500, 7_137)
    part = await browser.get(polls(seen))
    assert "已写入 2,500 / 7,137 人" in part.text, part.text
    told = (await api.get(f"{page}/progress", ("county", "operator"))).json["expansion"]
    assert (told["done"], told["people"]) == (2_500, 7_137)
    assert (await browser.get(polls(part))).status == 204, "nothing has changed"
    await notes.end()
    english = await (await browser_of(api, "operator", "en")).get(page)
    assert "being chosen" in english.text
