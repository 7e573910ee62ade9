"""What a relay came to as a file: three forms, two languages, the same bytes, nobody named."""

import io
import zipfile

import pytest
from python_calamine import CalamineWorkbook

from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.relayed import VIEWER, answer, begun, hand_off, turn
from tests.integration.api.conftest import Api


async def passed_on(api: Api) -> str:
    """A relay whose a has passed it on; the three groups below have the text."""
    station = await begun(api)
    await hand_off(api)
    await answer(api, "a", "1")
    await turn(api)
    return station.relay


async def take(api: Api, relay: str, query: str) -> bytes:
    found = await api.get(f"/relays/{relay}/document?{query}", VIEWER)
    assert found.status == 200, found.body
    assert 'filename="relay-2027-W02.' in found.headers["Content-Disposition"]
    return found.body


async def test_a_workbook_has_the_counts_by_level_and_area(api: Api) -> None:
    relay = await passed_on(api)
    made = await take(api, relay, "format=xlsx")
    assert made == await take(api, relay, "format=xlsx"), "the same facts, the same bytes"
    book = CalamineWorkbook.from_filelike(io.BytesIO(made))
    rows = [row for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python()]
    by_level = {row[0]: row[1:8] for row in rows if row[0] in {"村居干部", "群主"}}
    assert by_level == {"村居干部": [2, 1, 1, 0, 0, 0, 0], "群主": [5, 0, 3, 0, 0, 2, 0]}
    of_areas = [row[2:9] for row in rows if row[1:2] == ["群主"]]
    assert [sum(column) for column in zip(*of_areas, strict=True)] == [5, 0, 3, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", ["按时确认的群：0/5（0.0 %）", "请于2027-01-17 20:00前答复", "村居干部"]),
        ("en", ["Groups confirmed in time: 0 of 5 (0.0 %)", "village staff"]),
    ],
)
async def test_a_page_and_a_word_file_say_the_same_in_both_languages(
    api: Api, language: str, words: list[str]
) -> None:
    relay = await passed_on(api)
    page = (await take(api, relay, f"format=html&language={language}")).decode()
    packed = await take(api, relay, f"format=docx&language={language}")
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        written = file.read("word/document.xml").decode()
    for word in words:
        assert word in page
        assert word in written
    for secret in ("王小明", "1979", "g1群"):
        assert secret not in page + written


async def test_it_is_taken_on_the_page_by_whoever_reads_reports(api: Api) -> None:
    relay = await passed_on(api)
    stranger = await api.get(f"/relays/{relay}/document", ("school", "operator"))
    assert stranger.status == 404
    login = await with_own_password(api, api.teams["county"].operator)
    browser = await browser_at(api, login, "zh-CN")
    page = await browser.get(f"/relays/{relay}")
    taken = await browser.submit(page, f"/relays/{relay}/file", {"format": "html"})
    assert taken.status == 200
    assert "按时确认的群" in taken.html
