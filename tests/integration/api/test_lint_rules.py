"""Lint's rules as a county keeps them, and what they mean for a campaign and a direct send."""

from datetime import datetime
from typing import Any

import pytest

from service.accounts.people.proposals import WAITS
from service.messages.lint.lint import lint
from service.messages.policy import SHIPPED
from service.storage.postgres import CheckViolation, Connection
from tests.factories import make_team, make_template
from tests.harness.channels import channel
from tests.harness.keys import active_key, second_admin
from tests.harness.lint_rules import GOOD, RULES, campaign_with, confirm, put_rules, rules_of
from tests.harness.signatures import register_signature
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, APPROVER = ("county", "admin"), ("county", "operator"), ("county", "approver")
TO_REVIEW = "【旌德县反诈中心】公安不会打电话给群众，凡自称公安的来电，请拨110核实。"


async def test_what_is_stricter_holds_at_once_and_the_rest_by_two_persons(api: Api) -> None:
    text = "【旌德县反诈中心】锦鲤提醒：疑问拨9999。"
    assert set(await rules_of(api, text)) == {"R03", "R14"}
    asked = await put_rules(
        api,
        levels={"R14": "review", "R18": "review"},
        hotlines=["110", "9999"],
        never_words={"china_unicom": ["锦鲤"]},
    )
    assert asked.status == 200, asked.body
    rules = {rule["rule"]: rule for rule in asked.json["rules"]}
    assert (rules["R14"]["level"], rules["R14"]["shipped_level"]) == ("review", "warn")
    assert (rules["R18"]["level"], asked.json["hotlines"]) == ("block", ["110"])
    assert (await rules_of(api, text))["R03"] == "block"
    assert (await rules_of(api, text))["R19"] == "block"
    waiting = asked.json["waiting"]
    assert (waiting["state"], waiting["content"]["hotlines"]) == ("pending", ["110", "9999"])
    assert {"levels.R18", "hotlines.9999", "never_words.*.宗教"} <= set(waiting["weakens"])
    assert "levels.R14" not in waiting["weakens"]
    other = await second_admin(api)
    changed = await confirm(api, other, asked)
    assert changed.status == 200, changed.body
    assert changed.json["waiting"] is None
    assert set(await rules_of(api, text)) == {"R19"}
    assert "R03" in await rules_of(api, GOOD)
    assert (await api.get(RULES, ("school", "viewer"))).json == changed.json
    back = await put_rules(api)
    assert back.json["waiting"]["weakens"], "the word of the never list goes"
    assert (await rules_of(api, text))["R03"] == "block"
    history = (await api.get("/lint/rules/history", OPERATOR)).json["items"]
    first = str(api.teams["county"].admin.id)
    persons = [(change["changed_by"], change["confirmed_by"]) for change in history[:3]]
    assert [by for by, _ in persons] == [first] * 3
    assert [second is None for _, second in persons] == [True, False, True]
    assert persons[1][1] not in {None, first}
    assert history[1]["content"]["hotlines"] == ["110", "9999"]
    older = await api.get(f"/lint/rules/history?before={history[1]['no']}", OPERATOR)
    assert [change["no"] for change in older.json["items"]] == [c["no"] for c in history[2:]]


@pytest.mark.attack
@pytest.mark.parametrize(
    "changes",
    [
        {"levels": {"R02": "warn", "R07": "warn"}},
        {"levels": {"R02": "warn", "R25": "warn"}},
        {"levels": {"R02": "warn"}, "hotlines": ["110", "8848"]},
        {"levels": {"R02": "warn"}, "protected_names": []},
        {"levels": {"R02": "warn"}, "link_hosts": ["example.com"]},
        {"levels": {"R02": "warn"}, "never_words": {"*": []}},
    ],
)
async def test_one_administrator_weakens_no_rule(api: Api, changes: dict[str, Any]) -> None:
    before = (await api.get(RULES, ADMIN)).json
    asked = await put_rules(api, **changes)
    assert (asked.status, asked.json["waiting"]["state"]) == (200, "pending")
    shown = (await api.get(RULES, ADMIN)).json
    stricter = {"hotlines"} & {*changes}
    same = {"rules", "protected_names", "link_hosts", "never_words"}
    assert {name: shown[name] for name in same} == {name: before[name] for name in same}
    assert set(shown["hotlines"]) <= set(before["hotlines"])
    assert stricter or shown["hotlines"] == before["hotlines"]
    own = await confirm(api, ADMIN, asked)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert (await confirm(api, ("school", "admin"), asked)).status == 403
    assert (await api.get(RULES, ADMIN)).json == shown
    api.clock.at += WAITS
    late = await confirm(api, await second_admin(api), asked)
    assert (late.status, late.json["type"]) == (409, "/problems/wrong_state")


@pytest.mark.attack
async def test_a_later_change_takes_the_place_of_one_that_waits(api: Api) -> None:
    """Nobody confirms what would undo it."""
    waits = await put_rules(api, levels={"R02": "warn", "R07": "warn"})
    await put_rules(api, levels={"R02": "warn", "R14": "block"})
    other = await second_admin(api)
    refused = await confirm(api, other, waits)
    assert (refused.status, refused.json["type"]) == (409, "/problems/wrong_state")
    rules = {rule["rule"]: rule["level"] for rule in (await api.get(RULES, ADMIN)).json["rules"]}
    assert (rules["R07"], rules["R14"]) == ("block", "block")


@pytest.mark.attack
async def test_the_database_wants_two_persons_for_a_change_too(api: Api) -> None:
    await put_rules(api, levels={"R02": "warn", "R07": "warn"})
    pool = api.runtime.pool
    with pytest.raises(CheckViolation, match="lint_proposals_two_persons"):
        await pool.execute(
            "UPDATE lint_proposals SET confirmed_by = proposed_by, confirmed_at = proposed_at"
        )
    for table, values in (
        ("lint_policies (changes, reason,", "'{}', 'r',"),
        ("lint_senders (department_id, no, landlines, links, reason,", "$2, 1, '{}', true, 'r',"),
    ):
        with pytest.raises(CheckViolation, match="two_persons"):
            await pool.execute(
                f"INSERT INTO {table} changed_by, confirmed_by, changed_at)"
                f" SELECT {values} $1, $1, now() WHERE $2::uuid IS NOT NULL",
                api.teams["county"].admin.id,
                api.teams["county"].department_id,
            )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"levels": {"R99": "warn"}}, "levels.R99"),
        ({"levels": {"R01": "off"}}, "levels.R01"),
        ({"hotlines": ["1390000"]}, "hotlines.0"),
        ({"never_words": {"vodafone": []}}, "never_words.vodafone"),
    ],
)
async def test_nonsense_is_refused(api: Api, changes: dict[str, Any], field: str) -> None:
    refused = await put_rules(api, **changes)
    assert refused.status == 422
    assert any(name.startswith(field) for name in refused.json["fields"])


async def test_only_the_county_changes_them(api: Api) -> None:
    assert (await put_rules(api, ("school", "admin"))).status == 403
    assert (await put_rules(api, OPERATOR)).status == 403


@pytest.mark.attack
async def test_a_department_writes_its_own_number_once_two_persons_registered_it(api: Api) -> None:
    path = f"/departments/{api.teams['school'].department_id}/sender"
    text = "【旌德中学】家长会改期，请向班主任核实，电话0563-0600111。"
    school = ("school", "operator")
    assert (await rules_of(api, text, school))["R03"] == "block"
    body = {"landlines": ["0563-0600111"], "reason": "校办公室"}
    assert (await api.call("PUT", path, ("school", "admin"), json=body)).status == 403
    asked = await api.call("PUT", path, ADMIN, json=body)
    assert (asked.json["landlines"], asked.json["waiting"]["weakens"]) == (
        [],
        ["landlines.05630600111"],
    )
    assert (await rules_of(api, text, school))["R03"] == "block"
    own = await confirm(api, ADMIN, asked, path)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    other = await second_admin(api)
    elsewhere = f"/departments/{api.teams['county'].department_id}/sender"
    assert (await confirm(api, other, asked, elsewhere)).status == 404
    registered = await confirm(api, other, asked, path)
    assert registered.json["landlines"] == ["05630600111"]
    assert [change["reason"] for change in registered.json["history"]] == ["校办公室"]
    assert "R03" not in await rules_of(api, text, school)
    assert (await rules_of(api, text, OPERATOR))["R03"] == "block"
    bad = await api.call("PUT", path, ADMIN, json={"landlines": ["x"], "reason": "r"})
    assert (bad.status, list(bad.json["fields"])) == (422, ["landlines.0"])
    links = {"landlines": [], "links": True, "reason": "r"}
    less = await api.call("PUT", path, ADMIN, json=links)
    assert (less.json["landlines"], less.json["links"]) == ([], False)
    assert less.json["waiting"]["weakens"] == ["links"]


async def test_a_signature_is_registered_or_nobody_signs_with_it(api: Api) -> None:
    await put_rules(api)  # R02 as it is shipped
    school = api.teams["school"].department_id
    text = "【旌德中学】家长会改期，请向班主任核实。"
    assert (await rules_of(api, text, ("school", "operator")))["R02"] == "block"
    campaign, _ = await campaign_with(api, text, "school")
    refused = await api.post(f"/campaigns/{campaign}/submit", ("school", "operator"))
    assert {f["rule"] for f in refused.json["findings"]} == {"R02"}
    await register_signature(api, school, "旌德中学")
    assert (await api.post(f"/campaigns/{campaign}/submit", ("school", "operator"))).status == 200
    # The county's own office may take what is nobody's, and not what is somebody's.
    assert "R02" not in await rules_of(api, GOOD)
    assert (await rules_of(api, text))["R02"] == "block"


async def test_a_finding_of_level_review_needs_the_approvers_word_and_is_kept(
    api: Api, conn: Connection
) -> None:
    campaign, _ = await campaign_with(api, TO_REVIEW)
    path = f"/campaigns/{campaign}"
    assert (await api.post(f"{path}/submit", OPERATOR)).status == 200
    refused = await api.post(f"{path}/approve", APPROVER, {"reason": "好"})
    assert (refused.status, refused.json["type"]) == (409, "/problems/review_needed")
    assert [finding["rule"] for finding in refused.json["findings"]] == ["R21"]
    assert (await api.post(f"{path}/approve", APPROVER, {"acknowledged": ["R12"]})).status == 409
    approved = await api.post(f"{path}/approve", APPROVER, {"acknowledged": ["R21"]})
    assert (approved.status, approved.json["state"]) == (200, "scheduled")
    async with api.runtime.pool.acquire() as own:
        kept = await own.fetch("SELECT * FROM acknowledgements")
    assert [(row["user_id"], row["findings"][0]["rule"]) for row in kept] == [
        (api.teams["county"].approver.id, "R21")
    ]


async def test_the_verdict_is_part_of_what_is_approved(api: Api) -> None:
    """Rules that have grown stricter meanwhile void a submission, as an edit would."""
    campaign, _ = await campaign_with(api, TO_REVIEW)
    path = f"/campaigns/{campaign}"
    await api.post(f"{path}/submit", OPERATOR)
    await put_rules(api, levels={"R21": "block", "R02": "warn"})
    refused = await api.post(f"{path}/approve", APPROVER, {"acknowledged": ["R21"]})
    assert refused.json["type"] == "/problems/changed_since_submission"
    await api.post(f"{path}/return", APPROVER, {"reason": "改"})
    again = await api.post(f"{path}/submit", OPERATOR)
    assert again.json["type"] == "/problems/text_blocked"


async def test_what_was_sent_before_is_named_and_voids_no_submission(api: Api) -> None:
    first, _ = await campaign_with(api, GOOD)
    await api.post(f"/campaigns/{first}/submit", OPERATOR)
    async with api.runtime.pool.acquire() as conn:
        await conn.execute(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, created_at)
            SELECT id, department_id, $2, 'sent', 'normal', 'public_interest', $3, '', '[]',
                   'Asia/Shanghai', $2
            FROM campaigns WHERE id = $1
            """,
            *(first, api.clock.now(), GOOD),
        )
    preview = (await api.get(f"/campaigns/{first}/preview", OPERATOR)).json
    assert ("R24", "warn") in {(f["rule"], f["level"]) for f in preview["lint"]}
    assert (await api.post(f"/campaigns/{first}/approve", APPROVER, {})).status == 200


@pytest.mark.attack
async def test_a_direct_send_takes_a_text_that_somebody_else_approved(api: Api) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    _, template = await campaign_with(api, GOOD)
    send = {"to": ["19790000001"], "template_id": template}
    refused = await api.post("/messages", OPERATOR, send)
    assert (refused.status, refused.json["type"]) == (
        409,
        "/problems/template_not_approved",
    )
    path = f"/templates/{template}/approve"
    assert (await api.post(path, APPROVER, {"version": 2})).json["type"].endswith("newer_version")
    approved = await api.post(path, APPROVER, {"version": 1})
    assert approved.json["approved_by"] == str(api.teams["county"].approver.id)
    assert (await api.post(path, APPROVER, {"version": 1})).status == 409
    assert (await api.post("/messages", OPERATOR, send)).status == 202
    edited = await api.post(
        f"/templates/{template}/versions", OPERATOR, {"text": GOOD + "转告家人。"}
    )
    assert (edited.json["version"], edited.json["approved_by"]) == (2, None)
    assert (await api.post("/messages", OPERATOR, send)).status == 409


OWN = "【旌德县反诈中心】老人家您好：{}。"


@pytest.mark.attack
async def test_words_of_ones_own_are_held_to_the_shipped_levels(api: Api) -> None:
    """Whatever two persons have agreed on for texts that a second one reads."""
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    await register_signature(api, api.teams["county"].department_id, "旌德县反诈中心")
    token = (await active_key(api, role="admin", scopes=["send:text"]))["token"]
    weak = {f"R{number:02}": "warn" for number in range(1, 26)}
    asked = await put_rules(api, levels=weak, never_words={"*": ["锦鲤"]})
    assert (await confirm(api, await second_admin(api), asked)).status == 200
    for words in ("请把验证码发给民警", "明天请速到银行汇款", "祝您做锦鲤", "国家级的好消息"):
        assert "block" not in (await rules_of(api, OWN.format(words))).values() or "锦鲤" in words
        send = {"to": ["19790000001"], "text": OWN.format(words)}
        refused = await api.post("/messages", token, send)
        assert (refused.status, refused.json["type"]) == (422, "/problems/text_blocked"), words
    send = {"to": ["19790000001"], "text": OWN.format("家长会改在周五")}
    assert (await api.post("/messages", token, send)).status == 202


@pytest.mark.attack
async def test_never_words_hold_for_the_values_of_a_direct_send(api: Api) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    assert (await put_rules(api, levels={"R02": "warn"}, never_words=NEVER)).json["waiting"] is None
    body = {
        "name": "t",
        "class": "service",
        "text": "【旌德县反诈中心】您的{事项}已办好，疑问拨96110。",
    }
    template = (await api.post("/templates", OPERATOR, body)).json["id"]
    approved = await api.post(f"/templates/{template}/approve", APPROVER, {"version": 1})
    assert approved.status == 200, approved.body
    to = [
        {"phone": f"1979000001{n}", "variables": {"事项": value}}
        for n, value in enumerate(("低保申请", "锦 鲤卡", "国徽章"))
    ]
    sent = await api.post("/messages", OPERATOR, {"to": to, "template_id": template})
    assert sent.status == 202, sent.json
    assert [(one["index"], one["reason"]) for one in sent.json["rejected"]] == [
        (1, "variables"),
        (2, "variables"),
    ]
    assert all("R19" in one["message"] for one in sent.json["rejected"])


NEVER = {**SHIPPED.as_json()["never_words"], "china_unicom": ["锦鲤"]}


@pytest.mark.attack
async def test_neither_author_nor_blocked_nor_questionable_text_is_approved(api: Api) -> None:
    body = {"name": "自己", "class": "service", "text": GOOD}
    own = (await api.post("/templates", ADMIN, body)).json["id"]
    refused = await api.post(f"/templates/{own}/approve", ADMIN, {"version": 1})
    assert refused.json["type"] == "/problems/second_person_needed"
    _, blocked = await campaign_with(api, GOOD + "详见t.cn。")
    refused = await api.post(f"/templates/{blocked}/approve", APPROVER, {"version": 1})
    assert refused.json["type"] == "/problems/text_blocked"
    body = {"name": "疑", "class": "service", "text": TO_REVIEW}
    to_review = (await api.post("/templates", OPERATOR, body)).json["id"]
    path = f"/templates/{to_review}/approve"
    assert (await api.post(path, APPROVER, {"version": 1})).json["type"].endswith("review_needed")
    good = await api.post(path, APPROVER, {"version": 1, "acknowledged": ["R21"]})
    assert good.status == 200


@pytest.mark.attack
@pytest.mark.parametrize("column", ["approved_by", "approved_for"])
async def test_the_database_refuses_an_author_too(
    conn: Connection, now: datetime, column: str
) -> None:
    team = await make_team(conn, now=now)
    template = await make_template(conn, team.operator, now=now)
    values = {"approved_by": team.approver.id, "approved_for": None, column: team.operator.id}
    with pytest.raises(CheckViolation, match="two_persons"):
        await conn.execute(
            """
            UPDATE template_versions
            SET approved_by = $2, approved_for = $3, approved_at = $4, approved_lint = $5
            WHERE id = $1
            """,
            template.version_id,
            values["approved_by"],
            values["approved_for"],
            now,
            lint(GOOD),
        )


@pytest.mark.attack
@pytest.mark.parametrize("table", ["lint_policies", "lint_senders"])
async def test_the_history_is_only_added_to(conn: Connection, now: datetime, table: str) -> None:
    team = await make_team(conn, now=now)
    await conn.execute(
        "INSERT INTO lint_senders VALUES ($1, 1, '{}', false, 'r', NULL, $2)",
        team.department_id,
        now,
    )
    with pytest.raises(CheckViolation, match="only added to"):
        await conn.execute(f"UPDATE {table} SET reason = 'x'")


@pytest.mark.attack
async def test_what_a_direct_send_brings_names_something_and_tells_nobody_anything(
    api: Api,
) -> None:
    """In a text that says what fills a variable, only that does; elsewhere a value neither asks for
    anything, alone or with the next one, nor has a number that is not the department's own."""
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    path = f"/departments/{api.teams['county'].department_id}/sender"
    own = await api.call(
        "PUT", path, ADMIN, json={"landlines": ["0563-0600111"], "reason": "值班室"}
    )
    assert (await confirm(api, await second_admin(api), own, path)).status == 200
    text = "【旌德县反诈中心】{姓名}您好，{事项:社保卡换领|档案查询}已办好，窗口：{窗口}。"
    template = (
        await api.post("/templates", OPERATOR, {"name": "t", "class": "service", "text": text})
    ).json
    assert template["variables"] == ["姓名", "事项", "窗口"]
    approved = await api.post(
        f"/templates/{template['id']}/approve", APPROVER, {"version": 1, "acknowledged": ["R25"]}
    )
    assert approved.status == 200, approved.body
    tried = (
        ("王建国", "社保卡换领", "三楼值班室0563-0600111"),
        ("王建国", "档案查询", "三楼值班室0563-0600112"),
        ("王建国", "社保补缴", "三楼"),
        ("王建国", "档案查询", "到门口小店领鸡蛋"),
        ("王建国", "档案查询", "带上存折来三楼"),
        ("李叔加微", "档案查询", "三楼"),
    )
    to = [
        {"phone": f"1979000001{n}", "variables": dict(zip(template["variables"], row, strict=True))}
        for n, row in enumerate(tried)
    ]
    sent = await api.post("/messages", OPERATOR, {"to": to, "template_id": template["id"]})
    assert sent.status == 202, sent.json
    assert [(one["index"], one["reason"]) for one in sent.json["rejected"]] == [
        (n, "variables") for n in range(1, 6)
    ]
