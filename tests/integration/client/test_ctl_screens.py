"""What `tocsin ctl` shows a person: an import, what an approval binds, acts of one request."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tocsin_client.ctl.nouns import WEEKLY

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.factories import TEXT, phone
from tests.harness.channels import channel
from tests.harness.inbound import Sent, send_to_four, write
from tests.harness.instants import instant
from tests.integration.api.conftest import Api
from tests.integration.client.conftest import Shell, one

pytestmark = pytest.mark.slow  # each command's screens

RULE = "carrier in (mobile, unicom, telecom, broadnet)"
DIRTY = """序号,手机号,姓名,身份,乡镇,身份证号,标签
1,19790000001,王小明,财务,旌阳镇,1,重点
2,0563-8021234,李四,财务,,1,
3,19790000002,张三老师,船长,火星,,
4,19790000001,王小明,财务,旌阳镇,1,重点
合计,,,,,,
"""


@pytest.fixture
async def sent(api: Api) -> Sent:
    return await send_to_four(api)


async def _import(api: Api, shell: Shell, file: Path, *words: str) -> str:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    taken = await one(shell, "imports", "add", str(file), "--roster", "r", "--no-wait", *words)
    async with api.runtime.pool.acquire() as conn:
        await run_import(conn, api.runtime.keyring, taken["id"], api.clock.at)
    return str(taken["id"])


async def test_the_report_of_an_import_is_for_a_person(
    api: Api, shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "全县 名单.csv"
    file.write_text(DIRTY, "utf-8")
    made = await _import(api, shell, file)
    told = (await shell("--lang", "zh", "imports", "show", made)).out
    assert told.splitlines()[:3] == [
        f"全县 名单.csv → r  [已完成]  {made}",
        "共 5 行：接受 2（新增 2，合并 0），拒绝 1，重复 1，跳过 1",
        "共 2 人：已停发 0，14–17 岁 0，携号转网 0",
    ]
    for line in (
        "  拒绝：固定电话或服务号码 1",
        "  跳过：合计行 1",
        "  警告：地名无法识别 1，姓名带职务 1，身份无法识别 1",
        "  按乡镇：旌阳镇 1，无 1",
        "  敏感列未导入：身份证号（证件号），3 格",
        "  未识别的列，未导入：序号",
        "  按身份：财务人员 1，无 1",
        "  名单变化：新增 2，变更 0，退出 0",
    ):
        assert line in told.splitlines()
    told = (await shell("--lang", "en", "imports", "show", made)).out
    assert "  rejected: a landline or service number 1" in told.splitlines()
    assert not [line for line in told.splitlines()[1:] if "拒绝" in line]
    assert (
        "  按身份：财务人员 1，无 1" in (await shell("--lang", "zh", "imports", "show", made)).out
    )
    assert told.splitlines()[-1].endswith(f"tocsin ctl imports rejects {made}")
    rows = (await shell("--lang", "zh", "imports", "rejects", made)).out.splitlines()
    assert rows[0].split() == ["工作表", "行", "原因", "值", "建议"]
    assert "固定电话或服务号码" in rows[1]
    listed = (await shell("--lang", "zh", "rosters", "list")).out.splitlines()
    assert listed[0].split() == ["编号", "名称", "人数", "依据", "有效至", "已过期"]
    preview = (await shell("--lang", "zh", "segments", "preview", RULE)).out
    assert "旌阳镇 1" in preview
    whole = await one(shell, "imports", "show", made)
    assert whole["report"]["rows"]["read"] == 5, "a program gets the report as it is"


async def test_a_file_that_cannot_be_read_says_why(api: Api, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("姓名\n王小明\n", "utf-8")
    made = await _import(api, shell, file)
    told = (await shell("--lang", "zh", "imports", "show", made)).out
    assert "[失败：未存入任何人]" in told
    assert "没有手机号列（no_phone_column）" in told
    assert "--column phone=表头" in told


async def test_a_column_is_named_by_its_header(api: Api, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(f"称呼,哪个号\n王小明,{phone(1)}\n", "utf-8")
    named = ("--column", "phone=哪个号", "--column", "name=称呼")
    made = await _import(api, shell, file, *named)
    report = (await one(shell, "imports", "show", made))["report"]
    assert report["rows"]["accepted"] == 1, report
    wrong = await shell("imports", "add", str(file), "--roster", "r", "--column", "phone")
    assert (wrong.code, "NAME=HEADER" in wrong.err) == (2, True)


async def test_the_weekly_plan_of_the_help_is_taken(api: Api, shell: Shell, tmp_path: Path) -> None:
    campaign = await _submitted(api, shell, tmp_path)
    told = (await shell("--lang", "zh", "campaigns", "create", "--help")).out
    assert WEEKLY in told
    plan = tmp_path / "weekly.json"
    plan.write_text(told[told.rindex(WEEKLY) :])
    made = await one(
        *(shell, "campaigns", "create", "每周", "--template", campaign["template_id"]),
        *("--segment", campaign["segment_id"], "--plan", str(plan)),
    )
    assert made["schedule"]["rrule"] == "FREQ=WEEKLY;BYDAY=WE"
    assert made["next_fires"], made


async def test_where_nothing_waits_it_says_so(shell: Shell) -> None:
    assert (await shell("--lang", "zh", "work")).out == "没有待办。\n"
    assert (await shell("--json", "work")).out == ""


async def _submitted(api: Api, shell: Shell, tmp_path: Path) -> dict[str, Any]:
    """A sequence of two texts over one channel, submitted, with everything that can be bound."""
    channel_id = await channel(api, "cmpp", "china_mobile")
    file = tmp_path / "people.csv"
    file.write_text(f"phone,name\n{phone(1)},王小明\n{phone(2)},李四\n", "utf-8")
    await _import(api, shell, file)
    words = ["templates", "create", "t", TEXT, "--topic", "refund", "--class", "public_interest"]
    first = await one(shell, *words)
    assert first["topic"] == "refund"
    second = await one(shell, "templates", "create", "u", TEXT.replace("诈骗", "骗局"))
    segment = await one(shell, "segments", "create", "s", RULE)
    plan = tmp_path / "plan.json"
    more = [{"template_id": second["id"], "after_days": 3}]
    hours = {"send_hours": [["09:00", "17:30"]], "validity_minutes": 90, "late": "skip"}
    plan.write_text(json.dumps({"more_texts": more, "schedule": hours, "over_cap": "stop"}))
    made = await one(
        *(shell, "campaigns", "create", "提醒", "--template", first["id"]),
        *("--segment", segment["id"], "--plan", str(plan), "--channel", str(channel_id)),
        *("--start-at", "2027-01-20T09:30:00+08:00", "--max-tps", "7"),
    )
    return dict(await one(shell, "campaigns", "submit", made["id"]))


async def test_an_approver_sees_all_that_is_bound_before_the_question(
    api: Api, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await _submitted(api, shell, tmp_path)
    asked: list[str] = []
    answers = iter(["no", "yes"])

    def answer(question: str) -> str:
        asked.append(question)
        return next(answers)

    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    approve = ("--lang", "zh", "campaigns", "approve", campaign["id"])
    for unseen in (approve, ("--json", *approve)):  # no terminal, and a program
        silent = await shell(*unseen, who="approver")
        assert (silent.code, silent.out) == (1, "")
        assert "campaigns review" in silent.err
        assert "--yes" in silent.err
    refused = await shell(*approve, who="approver", terminal=terminal)
    assert refused.code == 1
    assert refused.out.splitlines()[-1] == "未批准。"
    assert (await one(shell, "campaigns", "show", campaign["id"]))["state"] == "pending_approval"
    told = refused.out
    for shown in (
        TEXT,
        TEXT.replace("诈骗", "骗局"),
        "── 短信 2，3 天后",
        "类别：公益",
        "状态：待签发",
        f"规则：{campaign['frozen_rule']}",
        "含义：满足以下条件的人：运营商是",
        "提交时人数：2",
        "下次发送人数：2",
        "方式：一次",
        "开始：2027-01-20T09:30:00+08:00",
        "时段：09:00–17:30",
        "错过时：不发",
        "有效期：90 分钟",
        "每秒上限：7",
        "达接收上限者：不发",
        "cmpp",
        f"内容指纹：{campaign['content_hash']}",
        "审查：",
    ):
        assert shown in told, shown
    seen = await one(shell, "--lang", "zh", "campaigns", "show", campaign["id"])
    assert seen["schedule_notes"]
    for note in seen["schedule_notes"]:
        assert note in told
    assert asked == ["批准以上内容吗？请输入 yes："]
    done = await shell(*approve, who="approver", terminal=terminal)
    assert (done.code, done.out.count("已排期")) == (0, 1), done.err


async def test_what_was_changed_while_it_was_read_is_not_approved(
    api: Api, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await _submitted(api, shell, tmp_path)
    path = f"/campaigns/{campaign['id']}"
    loop = asyncio.get_running_loop()

    async def change() -> None:
        assert (await api.patch(path, ("school", "operator"), {"max_tps": 9})).status == 200
        assert (await api.post(f"{path}/submit", ("school", "operator"))).status == 200

    def answer(_: str) -> str:
        asyncio.run_coroutine_threadsafe(change(), loop).result(10)
        return "yes"

    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    ended = await shell("campaigns", "approve", campaign["id"], who="approver", terminal=terminal)
    assert ended.code == 1
    assert "it was changed while you read it" in ended.err
    state = (await api.get(path, ("school", "operator"))).json["state"]
    assert state == "pending_approval"


async def test_an_edit_of_one_value_keeps_the_others(api: Api, shell: Shell) -> None:
    text = "【旌德县某校】{群名}本周有{件数:数量}件事，请按{日期:日期}的通知办理，详情问班主任。"
    template = await one(shell, "templates", "create", "通知", text)
    shown = (await shell("--lang", "zh", "templates", "show", template["id"])).out
    assert "已收回" in shown
    segment = await one(shell, "segments", "create", "all", RULE)
    given = ("--value", "群名=三幢群", "--value", "件数=3", "--value", "日期=1月20日")
    whom = ("--template", template["id"], "--segment", segment["id"])
    made = await one(shell, "campaigns", "create", "通知", *whom, *given)
    edited = await one(shell, "campaigns", "edit", made["id"], "--value", "件数=5")
    assert edited["values"] == {"群名": "三幢群", "件数": "5", "日期": "1月20日"}
    whole = ("--template", template["id"], "--value", "件数=5")
    refused = await shell("campaigns", "edit", made["id"], *whole)
    assert (refused.code, "values.群名" in refused.err) == (1, True), refused.err


async def test_a_plan_is_edited_cloned_and_corrected(
    api: Api, shell: Shell, tmp_path: Path
) -> None:
    campaign = await _submitted(api, shell, tmp_path)
    words = ("--name", "改名", "--start-at", "2027-01-21T10:00:00+08:00")
    edited = await one(shell, "campaigns", "edit", campaign["id"], *words)
    assert (edited["name"], edited["state"]) == ("改名", "draft")
    assert edited["schedule"]["start_at"] == instant("2027-01-21T10:00:00+08:00")
    assert edited["schedule"]["send_hours"] == [["09:00", "17:30"]], "the rest stays"
    assert (await shell("campaigns", "edit", campaign["id"])).code == 2
    copy = await one(shell, "campaigns", "clone", campaign["id"], "--name", "又一次")
    assert (copy["name"], copy["cloned_from"]) == ("又一次", campaign["id"])
    told = (await shell("--lang", "zh", "campaigns", "clone", campaign["id"])).out
    assert "无人可收" not in told
    assert "适用日 每天" in told
    assert "错过时 不发" in told
    await shell("suppressions", "add", stdin=f"{phone(1)}\n{phone(2)}")
    told = (await shell("--lang", "zh", "campaigns", "clone", campaign["id"])).out
    assert "2 次无人可收" in told.splitlines()[-1]
    assert "已退订 2" in told.splitlines()[-1]
    added = await one(
        *(shell, "campaigns", "add-milestone", campaign["id"]),
        *("--name", "首轮", "--due-on", "2027-01-31"),
    )
    await one(shell, "campaigns", "finish-milestone", campaign["id"], added["id"], "--note", "好")
    assert "首轮" in (await shell("campaigns", "milestones", campaign["id"])).out
    assert (await shell("campaigns", "fires", campaign["id"])).out.startswith("planned_at")
    version = await one(shell, "templates", "add-version", campaign["template_id"], "--text", TEXT)
    assert version["version"] == 2
    rule = await one(shell, "segments", "edit", campaign["segment_id"], "--rule", "年龄 >= 60")
    assert rule["canonical"] == "age >= 60"
    assert "满足" in (await one(shell, "segments", "explain", "--rule", "年龄 >= 60"))["chinese"]
    assert "满足" in (await one(shell, "segments", "explain", "年龄 >= 60"))["chinese"]
    assert (await shell("segments", "explain")).code == 2
    export = tmp_path / "report.csv"
    assert (await shell("campaigns", "export", campaign["id"], str(export))).code == 0
    assert export.read_bytes().startswith(b"\xef\xbb\xbfweek,")


async def test_texts_of_people_are_listed_and_settled(api: Api, shell: Shell, sent: Sent) -> None:
    await write(api, (1, "请问这是真的吗"), (2, "1"))
    (text,) = (await shell("--json", "inbound", "list", "--kind", "other")).rows
    assert "请问这是真的吗" in (await shell("inbound", "list")).out
    assert (await one(shell, "inbound", "take", text["id"]))["state"] == "taken"
    done = await one(shell, "inbound", "done", text["id"], "--note", "已回电", "--opt-out")
    assert (done["state"], done["note"]) == ("done", "已回电")
    counts = await one(shell, "runs", "inbound", sent.run)
    assert counts["kinds"]
    drafted = await one(shell, "templates", "create", "更正", TEXT)
    words = ("runs", "correction", sent.run, "更正", "--template", drafted["id"])
    correction = await one(shell, *words)
    assert correction["corrects"] == sent.run
    await one(shell, "campaigns", "submit", correction["id"])
    reviewed = await shell("--lang", "zh", "campaigns", "review", correction["id"])
    assert reviewed.code == 0, reviewed.err
    assert "达接收上限者：照发" in reviewed.out
    approve = ("campaigns", "approve", correction["id"], "--yes")
    approved = await shell(*approve, who="approver", stdin="")
    assert approved.code == 0, approved.err


async def test_calendar_and_festivals_answer_a_shell(shell: Shell) -> None:
    assert (await shell("calendar", "list", "--from", "2027-01-01")).code == 0
    days = (await shell("--json", "calendar", "days", "--from", "2027-02-01")).rows
    assert any(day["kind"] != "day" for day in days)
    around = await one(
        *(shell, "schedules", "festival", "--year", "2027"),
        *("--festival", "春节", "--days", "-20", "--days", "-7", "--time", "09:30"),
    )
    assert len(around["fires"]) == 2
    assert (await shell("holidays", "show", "--year", "2027")).code == 0
    assert (await shell("send-hours", "show")).code == 0
    number = await one(shell, "routes", "explain", stdin=phone(1))
    assert number["carrier"] == "china_mobile"
    person = json.dumps({"phone": phone(3), "roster": "手工", "roles": ["teacher"]})
    made = await one(shell, "contacts", "add", person)
    assert (await one(shell, "contacts", "show", made["id"]))["roles"] == ["teacher"]
    assert (await shell("contacts", "remove", made["id"])).code == 0
    assert (await shell("contacts", "add", "[1]")).code == 2
