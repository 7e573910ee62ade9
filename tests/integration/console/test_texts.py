"""Texts: written with what lint says beside them, compared, and approved by another."""

from multidict import MultiDict

from service.api.content.templates import LintedOut
from service.console.texts.pages import room
from tests.harness.console import Browser, Seen, browser_of
from tests.integration.api.conftest import Api

GOOD = "【旌德县公安局】正规贷款放款前不收钱。要您先交保证金的都是诈骗，请拨96110核实。"
BAD = "【旌德县公安局】领取补贴请点 t.cn/x。"
CHECK = {"HX-Request": "true"}


async def _write(browser: Browser, text: str, name: str = "贷款·1") -> Seen:
    page = await browser.get("/texts/new")
    return await browser.submit(page, "/texts/new", {"name": name, "text": text})


async def test_a_text_is_written_and_shown_as_on_a_phone(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _write(browser, GOOD)
    assert seen.status == 200, seen.text
    assert seen.path.startswith("/texts/")
    assert GOOD in seen.text
    listed = await browser.get("/texts")
    assert "贷款·1" in listed.text
    (entry,) = (await api.get("/audit?limit=1", ("county", "admin"))).json["items"]
    assert (entry["action"], entry["via"]) == ("create_template", "console")


async def test_what_is_typed_is_checked_without_being_kept(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/texts/new")
    form = [(n, v) for n, v in page.form("/texts/new").fields if n != "text"]
    seen = await browser.post("/texts/check", dict([*form, ("text", BAD)]), headers=CHECK)
    assert seen.status == 200
    assert "含链接" in seen.text
    assert "a link" not in seen.text, "one language at a time"
    assert 'data-do="jump"' in seen.html
    assert (await api.get("/templates", ("county", "operator"))).json["items"] == []


async def test_a_script_in_a_text_is_text(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _write(browser, GOOD + "<script>alert(1)</script>", "<b>x</b>")
    assert "<script>alert" not in seen.html
    assert "<b>x</b>" not in seen.html
    assert "<b>x</b>" in seen.text


async def test_a_refused_text_is_shown_again_as_it_was_typed(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _write(browser, "【旌德县公安局】您好{", name="")
    assert seen.status == 422
    assert "您好{" in seen.html
    assert 'id="e-name"' in seen.html


async def test_two_versions_are_compared_with_who_wrote_each(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _write(browser, GOOD)
    page = await browser.get(f"{seen.path}/edit")
    seen = await browser.submit(page, f"{seen.path}/edit", {"text": GOOD.replace("请拨", "请打")})
    (link,) = [link for link in seen.links if "/compare/" in link]
    shown = await browser.get(link)
    assert "<del>拨</del><ins>打</ins>" in shown.html
    assert api.teams["county"].operator.name in shown.text


async def test_what_somebody_else_wrote_meanwhile_is_read_beside_ones_own(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _write(browser, GOOD)
    edit = f"{seen.path}/edit"
    page = await browser.get(edit)
    versions = f"/templates/{seen.path.rpartition('/')[2]}/versions"
    theirs = {"text": GOOD.replace("请拨", "先拨")}
    assert (await api.post(versions, ("county", "admin"), theirs)).status == 201
    refused = await browser.submit(page, edit, {"text": GOOD.replace("请拨", "快拨")})
    assert refused.status == 409
    assert "<del>快</del><ins>先</ins>" in refused.html
    assert api.teams["county"].admin.name in refused.text
    assert len((await api.get(versions, ("county", "operator"))).json["items"]) == 2
    seen = await browser.submit(refused, edit, {"text": GOOD.replace("请拨", "快拨")})
    assert seen.status == 200, seen.text
    assert len((await api.get(versions, ("county", "operator"))).json["items"]) == 3


async def test_another_approves_a_text(api: Api) -> None:
    made = await api.post("/templates", ("county", "operator"), {"name": "x", "text": GOOD})
    action = f"/texts/{made.json['id']}"
    browser = await browser_of(api, "approver")
    done = await browser.submit(await browser.get(action), f"{action}/approve", {})
    assert done.status == 200, done.text[200:900]
    assert "短信已审核，可以单发。" in done.text


async def test_who_wrote_it_is_not_asked_to_approve_it(api: Api) -> None:
    browser = await browser_of(api, "admin")
    seen = await _write(browser, GOOD)
    assert f"{seen.path}/approve" not in [form.action for form in seen.forms]


async def test_who_counts_as_its_writer_is_told_why_on_the_page(api: Api) -> None:
    """Both got their passwords from the same administrators."""
    writer, other = await browser_of(api, "operator"), await browser_of(api, "approver")
    seen = await _write(writer, GOOD)
    page = await other.get(seen.path)
    assert f"{seen.path}/approve" not in [form.action for form in page.forms]
    assert "视同一人" in page.text
    token = dict(page.form("/logout").fields)
    refused = await other.post(f"{seen.path}/approve", MultiDict({**token, "version": "1"}))
    assert refused.status == 403
    assert GOOD in refused.text, "the page is shown again"


async def test_a_ready_text_is_where_one_begins(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await browser.get("/texts/library")
    link = next(link for link in seen.links if "starter=" in link)
    page = await browser.get(link)
    fields = dict(page.form("/texts/new").fields)
    assert fields["text"].startswith("【")
    assert fields["name"]


def test_the_room_that_is_left() -> None:
    def said(characters: int, parts: int, encoding: str = "UCS2") -> int | None:
        return room(
            LintedOut(lint=[], characters=characters, encoding=encoding, parts=parts, variables=[])
        )

    assert said(60, 1) == 10
    assert said(71, 2) == 63
    assert said(10, 1, "8BIT") is None
