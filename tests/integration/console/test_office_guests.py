"""Guests of trial keys on a page: added, refused line by line, taken off."""

import pytest

from tests.harness.console import browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

GUESTS = "/office/guests"


async def test_guests_are_added_masked_and_taken_off(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get(GUESTS)
    seen = await browser.submit(
        page, GUESTS, {"phones": "19790000001\n\n197 9000 0002\n", "note": "<b>试用</b>"}
    )
    assert "已添加 2 个试用号码" in seen.text
    assert "197****0001" in seen.text
    assert "19790000001" not in seen.html
    assert "<b>试用</b>" not in seen.html
    off = [form.action for form in seen.forms if form.action.endswith("/delete")]
    gone = await browser.submit(seen, off[0])
    assert len([form for form in gone.forms if form.action.endswith("/delete")]) == 1


async def test_a_line_that_is_no_number_is_named_and_the_others_are_taken(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get(GUESTS)
    typed = {"phones": "19790000001\n\n0563-8600110\n19790000001"}
    seen = await browser.submit(page, GUESTS, typed)
    assert seen.status == 200
    for said in ("新添加 1", "未采纳 2", "第 3 行", "第 4 行"):
        assert said in seen.text, said
    empty = await browser.submit(page, GUESTS, {"phones": " \n ", "note": "甲"})
    assert (empty.status, 'id="e-phones"' in empty.html) == (422, True)
    assert ("note", "甲") in empty.form(GUESTS).fields


async def test_whoever_may_not_import_only_reads(api: Api) -> None:
    viewer = await browser_of(api, "viewer")
    seen = await viewer.get(GUESTS)
    assert seen.status == 200
    assert not [form for form in seen.forms if form.action == GUESTS]
