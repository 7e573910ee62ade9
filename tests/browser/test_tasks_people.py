"""What operators do with people: a dirty file is imported and mended, a group is ticked."""

import csv
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import expect

from tests.browser.conftest import Finish, Visit
from tests.browser.contacts import DIRTY, LISTED, UNLISTED
from tests.browser.downloads import downloaded
from tests.browser.office import Office
from tests.browser.pieces import fold, is_sound, main_button, menu, ticked, to
from tests.harness.waiting import until

CUT, READ, REFUSED = 160, 20_000, 650
"""What is true of the dirty file (its truth file): rows cut by a spreadsheet, read, refused."""


async def test_a_dirty_roster_is_imported_and_its_page_adds_up(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/people"))
    await visitor.press(to(visitor, "/people/imports"))
    await visitor.press(to(visitor, "/people/imports/new"))
    await is_sound(visitor)
    await visitor.attach(visitor.field("file"), DIRTY)
    await visitor.type(visitor.field("roster"), "群众")
    await visitor.press(main_button(visitor))
    refused = visitor.page.locator("#refused")
    row = refused.locator("tr").filter(has=visitor.page.get_by_role("rowheader", name="被表格截断"))
    await expect(row.locator("td").first).to_have_text(str(CUT))
    await expect(visitor.page.locator("main .sum")).to_contain_text("✓")
    await expect(visitor.page.locator("main .sum")).to_contain_text(f"{READ:,}")
    finish("2", visitor)
    await is_sound(visitor)
    made = await office.ask("operator", "GET", f"/imports/{visitor.page.url.rpartition('/')[2]}")
    assert made["report"]["rows"]["read"] == READ
    assert made["report"]["rows"]["rejected"] == REFUSED
    assert made["report"]["rejected"]["excel_truncated"] == CUT


async def _with_refused_rows(office: Office, roster: str) -> str:
    """The id of an import with refused rows: the first of the dirty file."""
    lines = DIRTY.read_bytes().split(b"\n")[:400]
    async with office.client("operator") as operator:
        fields = {"roster": roster, "basis": "duty"}
        made = await operator.upload("/imports", b"\n".join(lines), fields)

        async def read() -> bool:
            return bool((await operator.get(f"/imports/{made['id']}"))["state"] == "done")

        await until(read)
    return str(made["id"])


def _mended(rejects: Path, numbers: list[str], folder: Path) -> Path:
    """The file of refused rows with the right number in the last column of its first ones."""
    header, *rows = csv.reader(io.StringIO(rejects.read_text("utf-8-sig")))
    for row, number in zip(rows, numbers, strict=False):
        row[header.index("手机号")] = number
    mended = folder / "改好的.csv"
    with mended.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return mended


async def test_refused_rows_are_mended_in_their_file_and_nobody_is_doubled(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish, tmp_path: Path
) -> None:
    roster = f"群众 {uuid4().hex[:6]}"
    refused = await _with_refused_rows(office, roster)
    sql = "SELECT count(*) FROM contacts"
    people = await office.live.query(sql)
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/people"))
    await visitor.press(to(visitor, "/people/imports"))
    await is_sound(visitor)
    await visitor.press(to(visitor, f"/people/imports/{refused}"))
    file = tmp_path / "拒绝的行.csv"
    rejects = await downloaded(visitor, visitor.button("下载这些行"), file)
    numbers = [next(UNLISTED), next(UNLISTED), LISTED[0]]
    mended = _mended(rejects, numbers, tmp_path)
    await visitor.press(visitor.link("导入改好的文件"))
    await expect(visitor.field("roster")).to_have_value(roster)
    await visitor.attach(visitor.field("file"), mended)
    await visitor.press(main_button(visitor))
    await expect(visitor.says("新增 2")).to_be_visible()
    await expect(visitor.page.locator("main .sum")).to_contain_text("✓")
    finish("3", visitor)
    await is_sound(visitor)
    assert await office.live.query(sql) == people + 2, "nobody is doubled"
    made = await office.ask("operator", "GET", f"/imports/{visitor.page.url.rpartition('/')[2]}")
    assert made["roster"] == roster
    assert made["report"]["rows"]["accepted"] == len(numbers)


GROUP_RULE = (
    "area in (341825100000, 341825102000) and role = finance and carrier not in (china_unicom)"
)
"""Finance staff of 旌阳镇 and 三溪镇, but for subscribers of China Unicom."""


async def test_a_group_is_ticked_and_read_in_words_and_five_of_it_are_seen(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    name = f"两镇财务 {uuid4().hex[:6]}"
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/people"))
    await visitor.press(to(visitor, "/people/groups"))
    await visitor.press(to(visitor, "/people/groups/new"))
    await visitor.type(visitor.field("name"), name)
    await visitor.press(ticked(visitor, "area", "旌阳镇"))
    await visitor.press(ticked(visitor, "area", "三溪镇"))
    await visitor.press(ticked(visitor, "role", "财务人员"))
    unicom = ticked(visitor, "not_carrier", "中国联通")
    await visitor.press(fold(unicom))
    await visitor.press(unicom)
    counted = visitor.page.locator("#group-count")
    await expect(counted.locator("strong")).to_contain_text("运营商不是中国联通")
    for said in ("旌阳镇", "三溪镇", "财务人员"):
        await expect(counted.locator("strong")).to_contain_text(said)
    await expect(counted.locator("tbody tr")).to_have_count(5)
    await is_sound(visitor)
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator("h1")).to_have_text(name)
    finish("4", visitor)
    listed = await office.ask("operator", "GET", "/segments?limit=100")
    (made,) = [one for one in listed["items"] if one["name"] == name]
    meant, saved = [
        (await office.ask("operator", "POST", "/segments/preview", {"rule": rule}))["target"]
        for rule in (GROUP_RULE, made["rule"])
    ]
    assert meant == saved > 0
    await expect(counted).to_contain_text(f"{saved:,}")
