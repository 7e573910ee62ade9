"""Documents over the API: as each reader may see the figures, in each form, and nobody waits."""

import asyncio
import io
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import docx
import pytest

from service.audience.areas.area_store import load_areas
from service.documents.document import MEDIA_TYPES
from service.storage.postgres import transaction
from tests.harness.case_api import OFFICER, import_truth, lines, send
from tests.harness.pauses import repeatedly
from tests.integration.api.conftest import Answer, Api

W3, W13 = "2027-W03", "2027-W13"
SCHOOL = ("school", "viewer")


@pytest.fixture
async def _issued(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    await import_truth(api)
    for week in (W3, W13):
        assert (await api.post(f"/bulletins/{week}/issue", OFFICER)).status == 200


async def taken(api: Api, path: str, who: tuple[str, str] = OFFICER) -> Answer:
    answer = await api.get(path, who)
    assert answer.status == 200, answer.body
    return answer


def words(answer: Answer) -> str:
    """All words of a Word file."""
    made = docx.Document(io.BytesIO(answer.body))
    cells = [cell.text for table in made.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in made.paragraphs), *cells])


@pytest.mark.usefixtures("_issued")
@pytest.mark.parametrize("form", ["docx", "xlsx", "html"])
async def test_a_bulletin_and_the_goals_come_in_each_form(api: Api, form: str) -> None:
    for path, name in (
        (f"/bulletins/{W3}/document?", f"bulletin-{W3}.{form}"),
        (f"/bulletins/{W3}/document?sheet=public&", f"bulletin-{W3}-public.{form}"),
        ("/goals/document?", f"goals-2027-W13.{form}"),
    ):
        answer = await taken(api, f"{path}format={form}")
        assert answer.headers["Content-Type"].partition(";")[0] == MEDIA_TYPES[form]
        assert f'filename="{name}"' in answer.headers["Content-Disposition"]
        assert (await taken(api, f"{path}format={form}")).body == answer.body, "the same octets"


@pytest.mark.usefixtures("_issued")
async def test_a_document_holds_what_its_reader_may_see(api: Api) -> None:
    office = words(await taken(api, f"/bulletins/{W13}/document"))
    other = words(await taken(api, f"/bulletins/{W13}/document", SCHOOL))
    found = (await api.get(f"/bulletins/{W13}", OFFICER)).json
    village = next(place["name"] for place in found["villages"] if place["cases"])
    for text in (f"{found['loss_yuan']:,}", "损失", village):
        assert text in office
        assert text not in other
    assert "警情通报 〔2027〕13号（内部）" in other
    assert found["versions"][0]["sha256"] in other


@pytest.mark.usefixtures("_issued")
async def test_the_public_sheet_holds_the_release_and_no_more(api: Api) -> None:
    sheet = words(await taken(api, f"/bulletins/{W13}/document?sheet=public", SCHOOL))
    shown = (await api.get(f"/bulletins/{W13}/public", None)).json
    for key, count in shown["quarter"]["towns"]["shown"].items():
        assert f"{shown['names'][key]}\n{count}" in sheet
    assert "其余8个合计\n22" in sheet
    hidden = {"庙首镇", "孙村镇"} - set(shown["names"].values())
    assert hidden
    assert not any(town in sheet for town in hidden)
    assert "96110" in sheet


@pytest.mark.usefixtures("_issued")
async def test_a_draft_is_for_the_office_and_says_that_it_is_one(api: Api) -> None:
    assert "草稿" in words(await taken(api, "/bulletins/2027-W04/document"))
    assert (await api.get("/bulletins/2027-W04/document", SCHOOL)).status == 404
    assert (await api.get("/bulletins/2027-W04/document?sheet=public", OFFICER)).status == 404


@pytest.mark.usefixtures("_issued")
async def test_a_corrected_bulletin_lists_why(api: Api) -> None:
    await send(api, lines("2027-W03,三溪镇,,T01,3,1"), W3)
    reason = {"reason": "=一起补录"}
    assert (await api.post(f"/bulletins/{W3}/correct", OFFICER, reason)).status == 200
    answer = await taken(api, f"/bulletins/{W3}/document?format=xlsx")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as parts:
        assert "=一起补录" in parts.read("xl/sharedStrings.xml").decode()
        sheets = [name for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
        assert not any(b"<f>" in parts.read(name) for name in sheets)


@pytest.mark.usefixtures("_issued")
async def test_goals_without_losses_for_other_departments(api: Api) -> None:
    body = {
        "items": [{"key": "G1", "title": "一季度发案", "period": "Q1", "year": 2027,
                   "target_change_pct": -20.0}],
        "reason": "年初",
    }  # fmt: skip
    assert (await api.call("PUT", "/goals", OFFICER, json=body)).status == 200
    office = words(await taken(api, "/goals/document?as_of=2027-W13"))
    other = words(await taken(api, "/goals/document?as_of=2027-W13", SCHOOL))
    assert "-27.6" in office
    assert "-27.9" in office
    assert "-27.9" not in other
    wrong = await api.get("/goals/document?as_of=2027", OFFICER)
    assert wrong.status == 422


@pytest.mark.usefixtures("_issued")
async def test_a_bad_file_of_the_county_is_a_problem_in_both_languages(
    api: Api, tmp_path: Path
) -> None:
    (tmp_path / "bulletin.docx").write_bytes(b"no Word file")
    object.__setattr__(api.runtime.settings, "document_folder", tmp_path)
    for language, told in (("zh", "不是 Word 文件"), ("en", "no Word document")):
        spoken = {"Accept-Language": language}
        answer = await api.get(f"/bulletins/{W3}/document", OFFICER, headers=spoken)
        assert (answer.status, answer.json["type"]) == (409, "/problems/document_file_bad")
        assert told in answer.json["detail"]
    await taken(api, f"/bulletins/{W3}/document?format=xlsx")


@pytest.mark.slow
@pytest.mark.usefixtures("_issued")
async def test_others_are_served_while_documents_are_made(api: Api) -> None:
    """The event loop turns while ten documents are made; one takes less than a second."""
    await taken(api, f"/bulletins/{W13}/document")
    turns: list[float] = []

    async def turn() -> None:
        turns.append(time.perf_counter())

    watching = asyncio.create_task(repeatedly(turn, 0.001))
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        await taken(api, f"/bulletins/{W13}/document")
        times.append(time.perf_counter() - begun)
    watching.cancel()
    late = sorted(after - before for before, after in pairwise(turns))
    slow, rest = max(times), late[-len(late) // 20 - 1]
    print(f"a document {slow:.3f} s, the loop late {late[-1]:.3f} s, of 95 % {rest:.3f} s")
    assert sorted(times)[5] < 1
    assert rest < 0.05
