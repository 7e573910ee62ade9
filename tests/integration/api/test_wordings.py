"""The words of a text elsewhere: made, edited, approved by a second person, taken as files."""

import io
import zipfile
from typing import Any

import pytest

from service.messages.wordings.wording import KINDS
from service.storage.postgres import CheckViolation
from tests.integration.api.conftest import Answer, Api

TEXT = "【旌德县公安局】公检法不会电话办案，没有“安全账户”。接到来电请先挂断，再拨110核实。"
WRITER, APPROVER, OTHER = ("county", "operator"), ("county", "approver"), ("county", "admin")
EDITED = "公检法不会打电话办案。\n接到来电请先挂断，再拨110核实。"


@pytest.fixture
async def path(api: Api) -> str:
    """An approved text, and where its wordings are."""
    made = (await api.post("/templates", WRITER, {"name": "公检法", "text": TEXT})).json
    template = f"/templates/{made['id']}"
    approved = await api.post(f"{template}/approve", APPROVER, {"version": 1})
    assert approved.status == 200, approved.body
    return f"{template}/versions/1/wordings"


async def add(api: Api, path: str, who: tuple[str, str] = WRITER, **body: Any) -> Answer:
    return await api.post(path, who, body)


async def of_kind(api: Api, path: str, kind: str) -> dict[str, Any]:
    items = (await api.get(path, WRITER)).json["items"]
    (found,) = [one for one in items if one["kind"] == kind]
    made: dict[str, Any] = found
    return made


async def test_each_kind_is_shown_before_it_is_made_and_then_bears_the_mark(
    api: Api, path: str
) -> None:
    listed = (await api.get(path, ("county", "viewer"))).json
    assert [one["kind"] for one in listed["items"]] == list(KINDS)
    assert {(one["id"], one["mark"], one["may_be_shown"]) for one in listed["items"]} == {
        (None, "", False)
    }
    for kind in KINDS:
        answer = await add(api, path, kind=kind)
        assert answer.status == 201, answer.body
        made = answer.json
        assert (made["same_words"], made["may_be_shown"]) == (True, True)
        assert made["text"] == "\n".join(made["lines"])
        assert made["mark"] == (await of_kind(api, path, kind))["mark"] != ""
        assert (made["seconds"] is not None) == (kind == "loudspeaker")
    marks = {one["mark"] for one in (await api.get(path, WRITER)).json["items"]}
    assert len(marks) == 1
    assert marks.pop().endswith("-1")


async def test_lines_of_a_screen_keep_to_its_width(api: Api, path: str) -> None:
    made = (await add(api, path, kind="led", width=8)).json
    assert max(map(len, made["lines"])) <= 8
    for width in (5, 41):
        assert (await add(api, path, kind="led", width=width)).status == 422


@pytest.mark.attack
async def test_only_an_approved_version_has_wordings(api: Api, path: str) -> None:
    template = path.partition("/versions")[0]
    await api.post(f"{template}/versions", WRITER, {"text": TEXT.replace("请先", "先")})
    refused = await add(api, path.replace("/1/", "/2/"), kind="led")
    assert (refused.status, refused.json["type"]) == (409, "/problems/text_not_approved")
    assert (await add(api, path, kind="led")).status == 201, "the first version still is"
    assert (await add(api, path.replace("/1/", "/3/"), kind="led")).status == 404
    assert (await api.get(path, ("school", "viewer"))).status == 404


async def test_a_text_that_has_none_says_why(api: Api) -> None:
    text = "【旌德县公安局】{姓名}您好，公检法不会电话办案，请先挂断再拨110核实。"
    made = (await api.post("/templates", WRITER, {"name": "称呼", "text": text})).json
    template = f"/templates/{made['id']}"
    await api.post(f"{template}/approve", APPROVER, {"version": 1})
    path = f"{template}/versions/1/wordings"
    assert (await of_kind(api, path, "led"))["refused"]
    refused = await add(api, path, kind="led")
    assert (refused.status, refused.json["type"]) == (422, "/problems/no_such_wording")


@pytest.mark.attack
async def test_other_words_need_a_second_person(api: Api, path: str) -> None:
    made = (await add(api, path, kind="poster", text=EDITED)).json
    assert (made["same_words"], made["may_be_shown"], made["approved_by"]) == (False, False, None)
    assert (await api.get(f"{path}/poster", WRITER)).status == 404
    assert (await api.get(f"{path}/document", WRITER)).status == 404
    approve = f"{path}/{made['id']}/approve"
    assert (await api.post(approve, WRITER, {})).status == 403
    approved = await api.post(approve, APPROVER, {})
    assert approved.status == 200, approved.body
    assert approved.json["may_be_shown"] is True
    assert (await api.get(f"{path}/poster", WRITER)).status == 200
    assert (await api.post(approve, APPROVER, {})).status == 409
    other = f"{path}/{approve.split('/')[2]}/approve"
    assert (await api.post(other, APPROVER, {})).status == 404


@pytest.mark.attack
async def test_whoever_wrote_it_is_no_second_person_not_even_for_the_database(
    api: Api, path: str
) -> None:
    made = (await add(api, path, who=OTHER, kind="poster", text=EDITED)).json
    refused = await api.post(f"{path}/{made['id']}/approve", OTHER, {})
    assert refused.status == 403
    team = api.teams["county"]
    for approver, same in ((team.admin.id, False), (team.approver.id, True)):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(
                "UPDATE wordings SET approved_at = now(), approved_by = $2, same_words = $3"
                " WHERE id = $1",
                made["id"],
                approver,
                same,
            )


@pytest.mark.attack
async def test_lint_stops_other_words_that_no_text_may_have(api: Api, path: str) -> None:
    made = (await add(api, path, kind="led", text="请点t.cn/a1领取补贴。")).json
    assert {finding["level"] for finding in made["lint"]} >= {"block"}
    refused = await api.post(f"{path}/{made['id']}/approve", APPROVER, {})
    assert (refused.status, refused.json["type"]) == (409, "/problems/text_blocked")


async def test_an_edit_that_only_breaks_lines_keeps_the_words(api: Api, path: str) -> None:
    text = "公检法不会电话办案，\n没有“安全账户”。"
    made = (await add(api, path, kind="led", text=text)).json
    assert (made["same_words"], made["text"]) == (True, text)
    for kind, wrong in (("led", "  "), ("atm", "国" * 41), ("led", "国" * 1_001)):
        assert (await add(api, path, kind=kind, text=wrong)).status == 422


async def test_all_that_may_be_put_up_as_a_document(api: Api, path: str) -> None:
    for kind in ("led", "loudspeaker", "poster"):
        await add(api, path, kind=kind)
    await add(api, path, kind="wechat", text="别的话，请拨110核实。")
    mark = (await of_kind(api, path, "led"))["mark"]
    text = (await api.get(f"{path}/document?format=txt", WRITER)).body.decode("utf-8-sig")
    assert mark in text
    assert "再拨一一零核实" in text
    assert "别的话" not in text
    assert "\r\n" in text
    page = (await api.get(f"{path}/document?format=html", WRITER)).body.decode()
    assert "LED" in page
    word = await api.get(f"{path}/document?format=docx", WRITER)
    with zipfile.ZipFile(io.BytesIO(word.body)) as file:
        assert mark in file.read("word/document.xml").decode()
    again = await api.get(f"{path}/document?format=docx", WRITER)
    assert again.body == word.body


async def test_the_poster_has_the_countys_name_and_the_mark(api: Api, path: str) -> None:
    await add(api, path, kind="poster")
    drawn = await api.get(f"{path}/poster", WRITER)
    assert drawn.headers["Content-Type"].startswith("image/svg+xml")
    svg = drawn.body.decode()
    name = await api.runtime.pool.fetchval("SELECT name FROM departments WHERE kind = 'county'")
    assert name in svg
    assert (await of_kind(api, path, "poster"))["mark"] in svg
    page = await api.get(f"{path}/poster?format=html", WRITER)
    assert "@page { size: A3" in page.body.decode()


async def test_a_text_sent_and_put_up_is_known_by_its_mark(api: Api, path: str) -> None:
    """The mark of a wording is the one that the page for citizens takes."""
    mark = (await add(api, path, kind="led")).json["mark"]
    asked = await api.post("/public/check", None, {"mark": mark})
    assert (asked.status, asked.json["answer"]) == (200, "unknown"), "nobody sent it"
