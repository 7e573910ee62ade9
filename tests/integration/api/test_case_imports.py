"""Files of case figures: what is read, refused, taken, taken over and taken back."""

import io
import json
import zipfile
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.cases.case_file import REJECTED
from service.words.phrase import translated
from tests.harness.case_api import (
    AFTER,
    HEAD,
    OFFICER,
    by_key,
    figures_of,
    hire,
    import_truth,
    lines,
    send,
)
from tests.harness.case_data import COUNTY, COVER, TOWNS, WEEKLY, truth
from tests.harness.things import everything
from tests.integration.api.conftest import Api

W3 = "2027-W03"


@pytest.fixture(autouse=True)
async def _areas(api: Api) -> None:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)


async def test_the_counties_file_gives_its_truth(api: Api) -> None:
    await import_truth(api)
    for period in truth()["periods"]:
        first, last = period["weeks"]
        span = {"from": first, "to": last}
        weeks = await figures_of(api, by="week", **span)
        assert sum(cases for cases, _ in weeks.values()) == period["county"]["cases"]
        assert sum(loss or 0 for _, loss in weeks.values()) == period["county"]["loss_yuan"]
        towns = await figures_of(api, by="town", **span)
        assert towns == {
            town: (told["cases"], told["loss_yuan"]) for town, told in period["by_town"].items()
        }
        kinds = await figures_of(api, by="type", **span)
        for kind, told in period["by_type"].items():
            assert kinds[kind] == (told["cases"], told["loss_yuan"])
    for bulletin in truth()["bulletins"]:
        span = {"from": bulletin["week"], "to": bulletin["week"]}
        villages = await figures_of(api, by="village", **span)
        assert {area: found for area, found in villages.items() if found[0]} == {
            area: (told["cases"], told["loss_yuan"]) for area, told in bulletin["villages"].items()
        }


async def test_weeks_that_nothing_covers_are_named_and_no_zero(api: Api) -> None:
    await import_truth(api)
    found = (await api.get("/cases", OFFICER, params={"from": "2027-W12", "to": "2027-W15"})).json
    assert (found["covered"], found["uncovered"]) == (
        ["2027-W12", "2027-W13"],
        ["2027-W14", "2027-W15"],
    )
    assert [item["week"] for item in found["items"]] == ["2027-W12", "2027-W13"]


ROW = "2027-W03,三溪镇,霍家桥村,刷单返利,1,2.63"


@pytest.mark.parametrize(
    ("row", "code", "header", "value"),
    [
        ("第三周,三溪镇,,T01,1,0", "week_invalid", "周次", "第三周"),
        ("2027-W04,三溪镇,,T01,1,0", "week_not_covered", "周次", "2027-W04"),
        ("2027-W40,三溪镇,,T01,1,0", "week_in_future", "周次", "2027-W40"),
        ("2027-W03,三里镇,,T01,1,0", "area_unknown", "乡镇", "三里镇"),
        ("2027-W03,三溪镇,新村,T01,1,0", "area_unknown", "乡镇", "三溪镇"),
        ("2027-W03,,,T01,1,0", "area_unknown", "乡镇", ""),
        ("2027-W03,三溪镇,,中奖,1,0", "type_unknown", "诈骗类型", "中奖"),
        ("2027-W03,三溪镇,,T01,一,0", "count_invalid", "起数", "一"),
        ("2027-W03,三溪镇,,T01,-1,0", "count_invalid", "起数", "-1"),
        ("2027-W03,三溪镇,,T01,1,", "loss_invalid", "损失金额（万元）", ""),
        ("2027-W03,三溪镇,,T01,1,0.00001", "loss_invalid", "损失金额（万元）", "0.00001"),
        ("2027-W03,三溪镇,,T01,0,1", "loss_without_case", "起数", "0"),
        ("2027-W03,三溪镇,霍家桥村委会,task,2,1", "duplicate_key", "周次", "2027-W03"),
        ("2027-W03,19790000001,,T01,1,0", "area_unknown", "乡镇", "197********"),
    ],
)
async def test_a_row_that_is_rejected_says_why_in_the_readers_language(
    api: Api, row: str, code: str, header: str, value: str
) -> None:
    api.clock.at = AFTER
    answer = await send(api, lines(ROW, row), W3)
    assert (answer.status, answer.json["type"]) == (422, "/problems/rows_rejected")
    report = answer.json["report"]
    assert report["rows"] == {"read": 2, "accepted": 1, "rejected": 1, "skipped": 0}
    (reject,) = report["rejects"]
    assert (reject["row"], reject["code"], reject["header"], reject["value"]) == (
        3, code, header, value,
    )  # fmt: skip
    assert reject["why"] == translated(REJECTED[code], "en")
    assert await figures_of(api) == {}
    chinese = await send(api, lines(ROW, row), W3, language="zh")
    assert chinese.json["report"]["rejects"][0]["why"] == translated(REJECTED[code], "zh")


async def test_the_rest_is_taken_only_where_that_was_asked_for(api: Api) -> None:
    api.clock.at = AFTER
    content = lines(ROW, "2027-W03,三里镇,,T01,1,0")
    assert (await send(api, content, W3)).status == 422
    made = await send(api, content, W3, accept_partial="true")
    assert made.status == 201
    assert made.json["report"]["rows"]["rejected"] == 1
    assert await figures_of(api) == {W3: (1, 26_300)}
    path = f"/cases/imports/{made.json['id']}"
    assert (await api.get(path, OFFICER)).json["report"]["rows"] == made.json["report"]["rows"]
    (reject,) = (await api.get(path + "/rejects", OFFICER)).json["items"]
    assert (reject["row"], reject["code"], reject["value"]) == (3, "area_unknown", None)


async def test_cells_that_are_typed_anew_count_in_place_of_the_files(api: Api) -> None:
    api.clock.at = AFTER
    content = lines(ROW, "2027-W03,三里镇,下村,中奖,一,1")
    repairs = {"3": {"town": "三溪镇", "fraud_type": "T18", "cases": "1"}}
    made = await send(api, content, W3, repairs=json.dumps(repairs))
    assert made.status == 201, made.body
    assert await figures_of(api) == {W3: (2, 36_300)}
    assert (await send(api, content, W3, repairs="{")).status == 422


async def test_a_dry_run_keeps_nothing(api: Api) -> None:
    api.clock.at = AFTER
    made = await send(api, lines(ROW, "第三周,,,,,"), W3, dry_run="true")
    assert (made.status, made.json["id"], made.json["state"]) == (201, None, "read")
    assert made.json["report"]["by_week"] == {W3: {"cases": 1, "loss_yuan": 26_300}}
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM case_imports") == 0


async def test_rows_without_a_column_of_cases_are_a_case_each(api: Api) -> None:
    api.clock.at = AFTER
    rows = ["2027年1月18日,三溪镇霍家桥村,T01,1.2万", '2027/1/24,三溪,刷单返利,"13,000元"']
    made = await send(api, lines(*rows, head="发案日期,乡镇,类别,涉案金额"), W3)
    assert made.status == 201, made.body
    assert made.json["report"]["tables"][0]["one_case_a_row"] is True
    span = {"from": W3, "to": W3}
    assert (await figures_of(api, OFFICER, by="town", **span))["341825102000"] == (2, 25_000)
    found = (await api.get("/cases", OFFICER, params={**span, "by": "village"})).json
    assert by_key(found["items"])["341825102201"] == (1, 12_000)
    assert found["by_town_only"] == {"cases": 1, "loss_yuan": 13_000}


async def test_what_is_skipped_is_counted(api: Api) -> None:
    api.clock.at = AFTER
    made = await send(api, lines(ROW, ",,,,,", HEAD, "合计,,,,1,2.63", "", ""), W3)
    assert made.status == 201, made.body
    assert made.json["report"]["rows"] == {"read": 4, "accepted": 1, "rejected": 0, "skipped": 3}
    assert made.json["report"]["skipped"] == {"blank": 1, "repeated_header": 1, "total": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
async def test_encodings(api: Api, encoding: str) -> None:
    api.clock.at = AFTER
    made = await send(api, lines(ROW).decode().encode(encoding), W3)
    assert made.status == 201, made.body
    assert await figures_of(api) == {W3: (1, 26_300)}


async def test_a_workbook(api: Api) -> None:
    api.clock.at = AFTER
    made = await send(api, workbook([HEAD.split(","), ROW.split(",")]), W3)
    assert made.status == 201, made.body
    assert made.json["report"]["file"]["format"] == "xlsx"
    assert await figures_of(api) == {W3: (1, 26_300)}


VICTIM = "王受害人甲"
DIRTY = "周次,乡镇,受害人姓名,联系电话,身份证号,开户账号,详细地址,简要案情,性别,类型,损失,备注"


async def test_no_column_of_persons_is_stored(api: Api) -> None:
    """Looked for in every row of every table."""
    api.clock.at = AFTER
    secrets = (VICTIM, "19790004321", "34182519990101", "62220001", "三溪街9号", "被骗经过", "加急")
    row = ",".join(["2027-W03", "三溪镇", *secrets[:6], "女,T01,800", secrets[6]])
    made = await send(api, lines(row, head=DIRTY), W3)
    assert made.status == 201, made.body
    refused = {c["header"]: c["kind"] for c in made.json["report"]["tables"][0]["refused"]}
    assert refused == {
        "受害人姓名": "victim",
        "联系电话": "phone_number",
        "身份证号": "id_number",
        "开户账号": "bank_account",
        "详细地址": "home_address",
        "简要案情": "case_details",
        "性别": "person",
    }
    whole = await everything(api)
    assert "341825102000" in whole
    for secret in secrets:
        assert secret not in whole
        assert secret not in json.dumps(made.json, ensure_ascii=False)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        ("姓名,手机号\n甲,19790000001".encode(), "no_week_column"),
        ("周次,乡镇,损失\n2027-W03,三溪镇,1".encode(), "column_missing"),
        ("周次,类型,损失\n2027-W03,T01,1".encode(), "column_missing"),
        ("周次,乡镇,类型\n2027-W03,三溪镇,T01".encode(), "column_missing"),
        (b"\xd0\xcf\x11\xe0old", "unsupported_format"),
    ],
)
async def test_a_file_that_is_no_table_of_cases(api: Api, content: bytes, code: str) -> None:
    api.clock.at = AFTER
    answer = await send(api, content, W3)
    assert (answer.status, answer.json["type"]) == (422, f"/problems/{code}")


async def test_a_week_that_has_not_begun_is_not_covered(api: Api) -> None:
    api.clock.at = AFTER
    answer = await send(api, lines(ROW), "2027-W03..2027-W15")
    assert (answer.status, answer.json["type"]) == (422, "/problems/week_in_future")
    assert list(answer.json["fields"]) == ["weeks"]


async def test_a_later_file_takes_over_whole_weeks_and_gives_them_back(api: Api) -> None:
    first = await import_truth(api)
    before = await figures_of(api)
    second = (await send(api, lines(ROW), "2027-W03, 2027-W04")).json
    assert second["replaced"] == 2
    after = await figures_of(api)
    assert (after["2027-W03"], after["2027-W04"]) == ((1, 26_300), (0, 0))
    refused = await api.post(f"/cases/imports/{first}/undo", OFFICER)
    assert (refused.status, refused.json["type"]) == (409, "/problems/replaced_since")
    undone = await api.post(f"/cases/imports/{second['id']}/undo", OFFICER)
    assert (undone.status, undone.json["restored"]) == (200, 2)
    assert await figures_of(api) == before
    again = await api.post(f"/cases/imports/{second['id']}/undo", OFFICER)
    assert (again.status, again.json["type"]) == (409, "/problems/already_undone")
    assert (await api.post(f"/cases/imports/{first}/undo", OFFICER)).json["restored"] == 0
    assert await figures_of(api) == {}
    listed = (await api.get("/cases/imports", OFFICER)).json["items"]
    assert [item["state"] for item in listed] == ["undone", "undone"]


async def test_who_sees_what(api: Api) -> None:
    await import_truth(api)
    town = await hire(api, "town", area="341825102000")
    school = ("school", "operator")
    span = {"from": "2027-W01", "to": "2027-W13"}
    exact = await figures_of(api, OFFICER, by="town", **span)
    of_town = await figures_of(api, town, by="town", **span)
    assert of_town == {
        area: (cases, loss if area == "341825102000" else None)
        for area, (cases, loss) in exact.items()
    }
    of_school = await figures_of(api, school, by="town", **span)
    assert of_school == {area: (cases, None) for area, (cases, _) in exact.items()}
    villages = await figures_of(api, town, by="village", **span)
    assert {area[:9] for area in villages} == {"341825102"}
    assert {loss for _, loss in villages.values()} == {None}
    for who, query in [
        (school, {"by": "village"}),
        (school, {"area": "341825102200"}),
        (town, {"by": "village", "area": "341825100000"}),
        (school, {"by": "type", "area": TOWNS[0]}),
        (town, {"by": "week", "area": TOWNS[2], "types": "T01"}),
        (school, {"by": "town", "types": "T01"}),
    ]:
        answer = await api.get("/cases", who, params={**span, **query})
        assert answer.status == 403, (who, query)
    inspector = await figures_of(api, ("school", "inspector"), by="village", **span)
    assert sum(cases for cases, _ in inspector.values()) == 42


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2027"},
        {"from": "2027-W05", "to": "2027-W03"},
        {"from": "2020-W01", "to": "2027-W03"},
        {"from": W3, "area": COUNTY},
        {"from": W3, "area": "341899999999"},
        {"from": W3, "types": "T99"},
    ],
)
async def test_a_question_that_is_none(api: Api, query: dict[str, str]) -> None:
    assert (await api.get("/cases", OFFICER, params=query)).status == 422


async def test_kinds_of_fraud(api: Api) -> None:
    await import_truth(api)
    found = (await api.get("/fraud-types", ("school", "viewer"))).json["items"]
    assert (len(found), found[0]["name"]) == (18, "刷单返利")
    renamed: list[dict[str, Any]] = [{**found[0], "name": "刷单"}, *found[1:]]
    answer = await api.call("PUT", "/fraud-types", OFFICER, json={"items": renamed})
    assert answer.status == 200, answer.body
    assert answer.json["items"][0]["name"] == "刷单"
    without = await api.call("PUT", "/fraud-types", OFFICER, json={"items": found[1:]})
    assert (without.status, without.json["type"]) == (409, "/problems/fraud_type_in_use")
    unsaid = [{**found[0], "in_texts": "杀猪盘"}, *found[1:]]
    assert (await api.call("PUT", "/fraud-types", OFFICER, json={"items": unsaid})).status == 422
    twice = [found[0], found[0]]
    assert (await api.call("PUT", "/fraud-types", OFFICER, json={"items": twice})).status == 422


def workbook(rows: list[list[str]]) -> bytes:
    """The smallest workbook with these cells."""
    cells = "".join(
        f'<row r="{n}">'
        + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row)
        + "</row>"
        for n, row in enumerate(rows, 1)
    )
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    spread = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{spread}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{spread}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1"'
        f' Type="{rels}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{rels}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{rels}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{cells}</sheetData></worksheet>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_the_file_of_the_county_is_the_one_of_the_truth() -> None:
    assert WEEKLY.read_text("utf-8").startswith("week,village_code,fraud_type,cases,loss_yuan")
    assert "..".join(truth()["definitions"]["covered"]) == COVER
