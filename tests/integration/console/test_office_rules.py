"""The county's rules: caps, hours, the calendar; who may set them, and what was set before."""

from typing import Any

import pytest
from aiohttp import FormData

from tests.harness.console import Browser, Seen, browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
HTML = "<script>alert(1)</script>"
NOTICE = (
    "国务院办公厅关于2028年部分节假日安排的通知\n国办发明电〔2027〕9号\n"
    "一、元旦：1月1日（周六）至3日（周一）放假调休，共3天。\n"
    "二、春节：1月25日（周二）至31日（周一）放假调休，共7天。"
    "1月22日（周六）、2月5日（周六）上班。\n"
)


async def _send(browser: Browser, path: str, action: str, typed: dict[str, Any]) -> Seen:
    return await browser.submit(await browser.get(path), action, typed)


async def test_the_caps_of_a_class_are_set_and_everybody_reads_why(api: Api) -> None:
    browser = await browser_of(api, "admin")
    form = "/office/rules/caps/public_interest"
    typed = {"per_day": "1", "per_week": "3", "per_month": "", "reason": HTML}
    seen = await _send(browser, form, form, typed)
    assert seen.path == "/office/rules/caps", seen.text
    assert "上限从下一条短信起生效。" in seen.text
    assert HTML not in seen.html
    assert "24 小时内 1 条 · 7 天内 3 条 · 30 天内 不限" in seen.text
    items = (await api.get("/caps", ADMIN)).json["items"]
    (cap,) = [one for one in items if one["class"] == "public_interest"]
    assert (cap["per_day"], cap["per_week"], cap["per_month"]) == (1, 3, None)
    assert cap["reason"] == HTML
    reader = await (await browser_of(api, "viewer", "en")).get("/office/rules/caps")
    assert form not in reader.links
    assert "An administrator of the county office changes the caps." in reader.text


async def test_caps_that_contradict_each_other_are_refused_at_their_field(api: Api) -> None:
    browser = await browser_of(api, "admin", "en")
    form = "/office/rules/caps/service"
    seen = await _send(browser, form, form, {"per_day": "5", "per_week": "2", "reason": "夏季"})
    assert seen.status == 422
    assert 'aria-invalid="true"' in seen.html.partition('name="per_week"')[2][:250]
    assert ("per_day", "5") in seen.form(form).fields, "what was typed stays"
    assert ("reason", "夏季") in seen.form(form).fields
    before = await api.get("/caps", ADMIN)
    seen = await _send(browser, form, form, {"per_day": "two", "reason": ""})
    assert seen.status == 422
    assert 'href="#f-per_day"' in seen.html
    assert 'href="#f-reason"' in seen.html
    assert (await api.get("/caps", ADMIN)).json == before.json


async def test_hours_are_set_as_people_write_them(api: Api) -> None:
    browser = await browser_of(api, "admin")
    form = "/office/rules/hours/edit"
    typed = {
        "classes.public_interest.allowed": "9:00至11:30、14:30–19:00",
        "classes.public_interest.preferred": "",
        "reason": "夏季作息",
    }
    seen = await _send(browser, form, form, typed)
    assert seen.path == "/office/rules/hours", seen.text
    assert "09:00-11:30, 14:30-19:00" in seen.text
    assert "夏季作息" in seen.text
    found = (await api.get("/send-hours", ADMIN)).json["classes"]["public_interest"]
    assert found["allowed"] == [["09:00", "11:30"], ["14:30", "19:00"]]
    assert found["preferred"] == []
    again = await _send(browser, form, form, {"audiences.parents": "17:00-18:00", "reason": "家长"})
    assert "发给家长 : 17:00-19:30 17:00-18:00" in again.text.replace("发给家长:", "发给家长 :")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("classes.public_interest.allowed", "from nine to five"),
        ("classes.public_interest.allowed", ""),
        ("classes.service.limit", "05:00-21:30"),
        ("audiences.elderly", "04:00-05:00"),
    ],
)
async def test_hours_that_cannot_be_are_refused_at_their_field(
    api: Api, field: str, text: str
) -> None:
    browser = await browser_of(api, "admin", "en")
    form = "/office/rules/hours/edit"
    seen = await _send(browser, form, form, {field: text, "reason": "r"})
    assert seen.status == 422, seen.text
    assert f'href="#f-{field}"' in seen.html
    assert (field, text) in seen.form(form).fields, "what was typed stays"
    assert (await api.get("/send-hours", ADMIN)).json["version"] == 0


async def test_who_set_the_hours_meanwhile_is_not_overwritten(api: Api) -> None:
    browser = await browser_of(api, "admin")
    form = "/office/rules/hours/edit"
    page = await browser.get(form)
    shown = (await api.get("/send-hours", ADMIN)).json
    body = {name: shown[name] for name in ("classes", "audiences")} | {"reason": "先改"}
    body["audiences"]["elderly"] = [["09:00", "17:00"]]
    assert (await api.call("PUT", "/send-hours", ADMIN, json=body)).status == 200
    seen = await browser.submit(page, form, {"reason": "后改"})
    assert seen.status == 412
    found = (await api.get("/send-hours", ADMIN)).json["audiences"]["elderly"]
    assert found == [["09:00", "17:00"]]


async def test_a_notice_makes_its_year_official(api: Api) -> None:
    browser = await browser_of(api, "admin")
    path = "/office/rules/holidays/notice"
    assert "推算" in (await browser.get("/office/rules/holidays?year=2028")).text
    broken = NOTICE.replace("共7天", "共8天")
    seen = await _send(browser, path, path, {"text": broken})
    assert seen.status == 422
    assert 'href="#f-text"' in seen.html
    assert dict(seen.form(path).fields)["text"] == broken.replace("\n", "\n"), "it stays"
    seen = await _send(browser, path, path, {"text": NOTICE})
    assert seen.path == "/office/rules/holidays?year=2028", seen.text
    assert "2028 年已是官方公布" in seen.text
    assert "2028年1月25日(周二) – 2028年1月31日(周一)" in seen.text
    assert "国办发明电〔2027〕9号" in seen.text
    back = "/office/rules/holidays/2028/notice"
    assert back in seen.links
    gone = await _send(browser, back, back, {"reason": "录错了"})
    assert "通知已撤回。" in gone.text
    assert (await api.get("/holidays?year=2028", ADMIN)).json["official"] is False
    history = await browser.get("/office/rules/holidays/history")
    assert "录错了" in history.text
    assert "2028 年通知" in history.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
async def test_a_notice_comes_as_a_file_too(api: Api, encoding: str) -> None:
    browser = await browser_of(api, "admin", "en")
    seen = await _file(browser, NOTICE.encode(encoding))
    assert seen.path == "/office/rules/holidays?year=2028", seen.text
    assert (await api.get("/holidays?year=2028", ADMIN)).json["official"] is True


@pytest.mark.parametrize("octets", [b"", b"%PDF-1.7 \xff\xff\x80", b"no notice", b"x" * 90_000])
async def test_a_file_that_is_no_notice_is_refused(api: Api, octets: bytes) -> None:
    seen = await _file(await browser_of(api, "admin", "en"), octets)
    assert seen.status == 422, seen.text
    assert 'href="#f-file"' in seen.html


async def _file(browser: Browser, octets: bytes) -> Seen:
    page = await browser.get("/office/rules/holidays/notice")
    form = page.form("/office/rules/holidays/notice/file")
    data = FormData()
    for name, value in form.fields:
        data.add_field(name, value)
    data.add_field("file", octets, filename="notice.txt", content_type="text/plain")
    return await browser.post(form.action, data)


QUIET = {"name": "悼念日", "first": "2027-03-01", "last": "2027-03-02", "reason": "县里决定"}


async def test_quiet_days_are_added_and_ended(api: Api) -> None:
    browser = await browser_of(api, "admin")
    path = "/office/rules/holidays/quiet/new"
    typed = QUIET | {"hours": "12:00-14:00", "classes": ["public_interest", "service"]}
    seen = await _send(browser, path, path, typed)
    assert seen.path == "/office/rules/holidays?year=2027", seen.text
    assert "悼念日" in seen.text
    (quiet,) = (await api.get("/holidays", ADMIN)).json["quiet"]
    assert (quiet["first"], quiet["last"]) == ("2027-03-01", "2027-03-02")
    assert quiet["hours"] == [["12:00", "14:00"]]
    assert (quiet["classes"], quiet["binding"]) == (["public_interest", "service"], True)
    gone = await _send(browser, "/office/rules/holidays/quiet/0", "/office/rules/holidays/quiet/0",
                       {"reason": "结束"})  # fmt: skip
    assert "这些静默日已取消。" in gone.text
    assert (await api.get("/holidays", ADMIN)).json["quiet"] == []
    assert (await browser.get("/office/rules/holidays/quiet/0")).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"last": "2027-02-01"}, "last"),
        ({"first": "soon"}, "first"),
        ({"hours": "29:99-30:00"}, "hours"),
        ({"hours": "14:00-12:00"}, "hours"),
        ({"classes": []}, "classes"),
        ({"name": ""}, "name"),
        ({"reason": ""}, "reason"),
    ],
)
async def test_quiet_days_that_cannot_be_are_refused_at_their_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    browser = await browser_of(api, "admin", "en")
    path = "/office/rules/holidays/quiet/new"
    seen = await _send(browser, path, path, QUIET | change)
    assert seen.status == 422, seen.text
    assert f'href="#f-{field}"' in seen.html
    assert (await api.get("/holidays", ADMIN)).json["quiet"] == []


async def test_who_set_the_calendar_meanwhile_is_not_overwritten(api: Api) -> None:
    browser = await browser_of(api, "admin")
    path = "/office/rules/holidays/quiet/new"
    page = await browser.get(path)
    await _send(browser, path, path, QUIET | {"name": "先加的"})
    seen = await browser.submit(page, path, QUIET)
    assert seen.status == 409
    assert dict(seen.form(path).fields)["name"] == "悼念日"
    (quiet,) = (await api.get("/holidays", ADMIN)).json["quiet"]
    assert quiet["name"] == "先加的"


async def test_built_in_quiet_days_are_left_and_kept_again(api: Api) -> None:
    browser = await browser_of(api, "admin")
    path = "/office/rules/holidays/built-in"
    seen = await _send(browser, path, path, {"kept": ["除夕", "高考"], "reason": "本县做法"})
    assert "内置但本县不采用：春节初一、除夕夜" in seen.text
    assert (await api.get("/holidays", ADMIN)).json["without"] == ["春节初一", "除夕夜"]
    await _send(
        browser, path, path, {"kept": ["除夕", "春节初一", "除夕夜", "高考"], "reason": "恢复"}
    )
    assert (await api.get("/holidays", ADMIN)).json["without"] == []


async def test_days_of_school_are_entered_for_one_year(api: Api) -> None:
    browser = await browser_of(api, "admin")
    path = "/office/rules/holidays/{}/school-days"
    for year in (2027, 2028):
        action = path.format(year)
        seen = await _send(
            browser, action, action, {"autumn_term": f"{year}-09-01", "reason": "省厅"}
        )
        assert seen.path == f"/office/rules/holidays?year={year}", seen.text
    action = path.format(2027)
    seen = await _send(browser, action, action, {"autumn_term": "2028-09-01", "reason": "省厅"})
    assert seen.status == 422
    assert 'href="#f-autumn_term"' in seen.html
    await _send(browser, action, action, {"autumn_term": "", "reason": "没定"})
    found = (await api.get("/holidays", ADMIN)).json["school_days"]
    assert found == [{"festival": "autumn_term", "date": "2028-09-01"}]


@pytest.mark.parametrize("role", ["operator", "viewer"])
async def test_others_read_the_rules_and_find_no_form(api: Api, role: str) -> None:
    browser = await browser_of(api, role)
    for path in ("/office/rules", "/office/rules/hours", "/office/rules/holidays"):
        seen = await browser.get(path)
        assert seen.status == 200
        assert not [form for form in seen.forms if form.action.startswith("/office")]
        assert not [link for link in seen.links if link.endswith(("/edit", "/notice", "/new"))]
    for path in ("/office/rules/hours/edit", "/office/rules/holidays/notice",
                 "/office/rules/caps/service"):  # fmt: skip
        assert (await browser.get(path)).status == 403
