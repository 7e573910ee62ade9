"""Pages of duties: an obligation, its duty handed in, returned, accepted; the late list."""

import re

from service.clock import CHINA
from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.harness.owed import FRIDAY, made_duty, name_people, set_obligation, turn
from tests.integration.api.conftest import Api


async def own_browser(api: Api, role: str, team: str = "county") -> Browser:
    """Of somebody whose password nobody else has given: two of them are two persons."""
    return await browser_at(api, await with_own_password(api, getattr(api.teams[team], role)))


async def test_from_an_obligation_to_an_accepted_report(api: Api) -> None:
    county = await own_browser(api, "operator")
    new = await county.get("/obligations/new")
    gone = await county.submit(
        new,
        "/obligations/new",
        {"title": "反诈周报", "kinds": ["school"], "needs.narrative": "true"},
    )
    assert gone.status == 200, gone.text
    assert "反诈周报" in gone.text
    assert "每周五 16:00" in gone.text
    await turn(api)
    school = await own_browser(api, "operator", "school")
    mine = await school.get("/duties")
    (here,) = {link for link in mine.links if re.fullmatch(r"/duties/[0-9a-f-]{36}", link)}
    page = await school.get(here)
    refused = await school.submit(page, f"{here}/submit", {"narrative": ""})
    assert refused.status == 422, refused.text
    handed = await school.submit(page, f"{here}/submit", {"narrative": "集市宣讲两场。"})
    assert handed.status == 200, handed.text
    assert "集市宣讲两场。" in handed.text
    assert f"{here}/submit" not in [form.action for form in handed.forms]
    shown = await county.get(here)
    back = {"reason": "缺图", "due_at.day": "2027-01-18", "due_at.time": "12:00"}
    returned = await county.submit(shown, f"{here}/return", back)
    assert returned.status == 200, returned.text
    again = await school.submit(await school.get(here), f"{here}/submit", {"narrative": "补图。"})
    assert again.status == 200
    accepted = await county.submit(await county.get(here), f"{here}/accept", {"note": ""})
    assert accepted.status == 200
    assert "已接收" in accepted.text


async def test_the_late_list_begins_with_units_that_nobody_can_be_told_of(api: Api) -> None:
    duty = await made_duty(api)
    await turn(api, FRIDAY.astimezone(CHINA).replace(hour=17))
    county = await own_browser(api, "operator")
    late = await county.get("/duties/late")
    assert late.status == 200, late.text
    assert f"/duties/{duty}" in late.links
    assert late.text.index("无法通知的单位") < late.text.rindex("周报")
    await name_people(api)
    assert "无法通知" not in (await county.get("/duties/late")).text
    page = await county.get(f"/duties/{duty}")
    excused = await county.submit(page, f"/duties/{duty}/excuse", {"reason": "停电"})
    assert excused.status == 200, excused.text
    assert f"/duties/{duty}" not in (await county.get("/duties/late")).links


async def test_a_reader_sees_all_of_it_and_has_nothing_to_press(api: Api) -> None:
    obligation = await set_obligation(api)
    duty = await made_duty(api, title="台账")
    viewer = await own_browser(api, "inspector")
    for address in (
        "/duties",
        "/duties/all",
        "/duties/late",
        "/duties/calendar",
        f"/duties/{duty}",
        "/obligations",
        "/obligations/texts",
        f"/obligations/{obligation}",
    ):
        page = await viewer.get(address)
        assert page.status == 200, address
        acts = {form.action for form in page.forms if form.action.startswith(("/dut", "/obl"))}
        assert acts <= {"/duties/file", "/duties/all", "/duties/calendar"}, address


async def test_an_obligation_is_changed_and_ended_and_texts_are_chosen(api: Api) -> None:
    obligation = await set_obligation(api)
    county = await own_browser(api, "operator")
    page = await county.get(f"/obligations/{obligation}")
    fields = {"title": "新周报", "until": "2027-06-30", "remind": ["-2h"], "ladder": ["late"]}
    saved = await county.submit(page, f"/obligations/{obligation}", fields)
    assert saved.status == 200, saved.text
    shown = (await api.get(f"/obligations/{obligation}", ("county", "operator"))).json
    assert (shown["title"], shown["remind"], shown["ladder"]) == ("新周报", ["-2h"], ["late"])
    assert shown["until"] == "2027-06-30"
    texts = await county.get("/obligations/texts")
    assert [form.action for form in texts.forms].count("/obligations/texts") == 5
    ask = await county.get(f"/obligations/{obligation}/end")
    ended = await county.submit(ask, f"/obligations/{obligation}/end", {})
    assert ended.status == 200, ended.text
    shown = (await api.get(f"/obligations/{obligation}", ("county", "operator"))).json
    assert shown["ended_at"] is not None
