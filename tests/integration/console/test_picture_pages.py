"""Pictures of a report on pages: sent, seen, masked, handed in; the reviewer is told what was seen
before.
"""

from uuid import UUID

import pytest
from aiohttp import FormData

from tests.harness.console import Browser, Seen, browser_at
from tests.harness.logins import with_own_password
from tests.harness.owed import SCHOOL, made_duty
from tests.harness.photos import HEIC, opened, photo, scene, send_photo, written
from tests.integration.api.conftest import Api


async def own_browser(
    api: Api, role: str, team: str = "county", language: str = "zh-CN"
) -> Browser:
    login = await with_own_password(api, getattr(api.teams[team], role))
    return await browser_at(api, login, language)


async def send(browser: Browser, page: Seen, path: str, octets: bytes) -> Seen:
    data = FormData(page.form(path).fields)
    data.add_field("file", octets, filename="现场.jpg", content_type="image/jpeg")
    return await browser.post(path, data)


async def test_a_picture_is_sent_masked_and_handed_in_and_the_reviewer_sees_it(api: Api) -> None:
    before, duty = await made_duty(api, title="台账"), await made_duty(api, needs={"photos": 1})
    octets = written(scene(seed=3))
    earlier = (await send_photo(api, SCHOOL, octets)).json["id"]
    body = {"narrative": "宣讲。", "pictures": [earlier], "pictures_checked": True}
    assert (await api.post(f"/duties/{before}/submit", SCHOOL, body)).status == 200
    school = await own_browser(api, "operator", "school")
    here = f"/duties/{duty}"
    page = await school.get(here)
    assert f"{here}/pictures" in page.links
    assert "至少 1 张" in page.text
    refused = await school.submit(page, f"{here}/submit", {"narrative": "两场。"})
    assert refused.status == 422
    assert "这份材料需要 1 张图片，现有 0 张" in refused.text
    sending = await school.get(f"{here}/pictures")
    shown = await send(school, sending, f"{here}/pictures", octets)
    assert shown.status == 200, shown.text
    assert "图片已保存" in shown.text
    assert "曾经出现过" in shown.text
    (large,) = {link for link in shown.links if link.startswith("/pictures/")}
    picture = await school.get(large)
    assert f'src="{large}/jpeg?px=1600"' in picture.html
    assert "style=" not in picture.html
    for typed, why in (("", "画方框"), ("1 2 3", "每行一个方框"), ("0 0 5000 5", "超出图片范围")):
        wrong = await school.submit(picture, f"{large}/mask", {"boxes": typed})
        assert wrong.status == 422
        assert why in wrong.text
    masked = await school.submit(picture, f"{large}/mask", {"boxes": "0 0 200 200\n500，400,80 90"})
    assert masked.status == 200, masked.text
    assert "已打码" in masked.text
    page = await school.get(here)
    form = page.form(f"{here}/submit")
    assert ("pictures", large.removeprefix("/pictures/")) in form.fields, "it is ticked"
    unread = await school.submit(page, f"{here}/submit", {"narrative": "两场。"})
    assert unread.status == 422
    assert "请逐张查看" in unread.text
    done = await school.submit(
        page, f"{here}/submit", {"narrative": "两场。", "pictures_checked": "true"}
    )
    assert done.status == 200, done.text
    reviewer = await own_browser(api, "operator")
    seen = await reviewer.get(here)
    assert large in seen.links
    assert f'src="{large}/thumbnail"' in seen.html
    assert "同一文件曾出现在" in seen.text
    detail = await reviewer.get(large)
    assert f"{large}/mask" not in [one.action for one in detail.forms]


async def test_a_returned_report_is_offered_with_its_words_and_pictures(api: Api) -> None:
    duty = await made_duty(api, needs={"photos": 1})
    picture = await photo(api, SCHOOL, duty_id=str(duty))
    body = {"narrative": "集市宣讲两场。", "pictures": [picture], "pictures_checked": True}
    assert (await api.post(f"/duties/{duty}/submit", SCHOOL, body)).status == 200
    back = {"reason": "写明人数", "due_at": "2027-01-20T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", ("county", "operator"), back)).status == 200
    school = await own_browser(api, "operator", "school")
    here = f"/duties/{duty}"
    page = await school.get(here)
    fields = page.form(f"{here}/submit").fields
    assert ("narrative", "集市宣讲两场。") in fields
    assert ("pictures", picture) in fields
    again = {"narrative": "集市宣讲两场，80人。", "pictures_checked": "true"}
    done = await school.submit(page, f"{here}/submit", again)
    assert done.status == 200, done.text


async def test_the_pixels_of_a_page_are_those_of_the_api(api: Api) -> None:
    picture = await photo(api, SCHOOL)
    school = await own_browser(api, "viewer", "school")
    cookie = "; ".join(f"{name}={value}" for name, value in school.cookies.items())
    async with api.client.get(
        f"/pictures/{picture}/jpeg?px=800&masked=1", headers={"Cookie": cookie}
    ) as answer:
        octets = await answer.read()
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    assert max(opened(octets).size) == 800
    async with api.client.get(
        f"/pictures/{picture}/thumbnail", headers={"Cookie": cookie}
    ) as answer:
        assert max(opened(await answer.read()).size) == 320
    entries = await api.runtime.pool.fetch(
        "SELECT via, object_id FROM audit_entries WHERE action LIKE 'get_picture%'"
    )
    assert [tuple(entry) for entry in entries] == [("console", picture)]
    county = await own_browser(api, "operator")
    assert (await county.get(f"/pictures/{picture}/jpeg")).status == 404
    assert (await county.get(f"/pictures/{picture}")).status == 404


@pytest.mark.parametrize(("language", "why"), [("zh-CN", "HEIC 格式"), ("en", "HEIC picture")])
async def test_what_is_no_picture_is_refused_beside_its_field(
    api: Api, language: str, why: str
) -> None:
    duty = await made_duty(api)
    path = f"/duties/{duty}/pictures"
    school = await own_browser(api, "operator", "school", language)
    page = await school.get(path)
    refused = await send(school, page, path, HEIC)
    assert refused.status == 415
    assert why in refused.text
    empty = await send(school, page, path, b"")
    assert empty.status == 422


async def test_a_picture_that_was_not_handed_in_is_deleted(api: Api) -> None:
    duty = await made_duty(api)
    picture = await photo(api, SCHOOL, duty_id=str(duty))
    school = await own_browser(api, "operator", "school")
    page = await school.get(f"/pictures/{picture}")
    gone = await school.submit(page, f"/pictures/{picture}/delete")
    assert gone.path == f"/duties/{duty}/pictures"
    found = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM pictures WHERE id = $1", UUID(picture)
    )
    assert found == 0
