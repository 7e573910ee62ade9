"""The notice of a bulletin to staff: a draft with the release's figures, and nothing more."""

from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from tests.harness.case_api import OFFICER, import_truth
from tests.integration.api.conftest import Answer, Api

W3, W38 = "2027-W03", "2026-W38"
FIGURES = (
    "【旌德县公安局】各村注意：{周期}全县接报电诈{起数}起，以{类型}为主，请入户讲清，疑问拨96110。"
)
WITH_LOSS = "【旌德县公安局】各村注意：{周期}全县接报电诈{起数}起，损失{金额}万元，请入户讲清。"
PLAIN = "【旌德县公安局】各村注意：本周警情通报已发，请入户讲清刷单骗局，疑问拨96110。"


@pytest.fixture(autouse=True)
async def _figures(api: Api) -> None:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    await import_truth(api)
    for week in (W3, W38):
        assert (await api.post(f"/bulletins/{week}/issue", OFFICER)).status == 200


async def text(
    api: Api, words: str, *, kind: str = "service", topic: str = "", ok: bool = True
) -> str:
    """A template of the county, approved unless `ok` is false; returns its id."""
    body = {"name": f"{kind} {topic} {words}"[:60], "text": words, "class": kind, "topic": topic}
    made = await api.post("/templates", OFFICER, body)
    assert made.status == 201, made.body
    if ok:
        path = f"/templates/{made.json['id']}/approve"
        done = await api.post(
            path,
            (OFFICER[0], "approver"),
            {"version": made.json["version"], "acknowledged": []},
        )
        assert done.status == 200, done.body
    return str(made.json["id"])


async def draft(api: Api, week: str = W3, **body: Any) -> Answer:
    return await api.post(f"/bulletins/{week}/notice", OFFICER, body)


async def notice(api: Api, week: str = W3) -> dict[str, Any]:
    answer = await api.get(f"/bulletins/{week}/notice", OFFICER)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_a_notice_is_a_draft_with_the_figures_of_the_release(api: Api) -> None:
    template = await text(api, FIGURES)
    made = await draft(api)
    assert made.status == 201, made.body
    assert (made.json["state"], made.json["class"]) == ("draft", "service")
    assert (made.json["template_id"], made.json["figures_from"]) == (template, W3)
    assert made.json["values"] == (await api.get(f"/bulletins/{W3}", OFFICER)).json["values"]
    rule = (await api.get(f"/segments/{made.json['segment_id']}", OFFICER)).json["rule"]
    assert rule == "role in (village_staff, liaison, leader)"
    drafts = (await notice(api))["drafts"]
    assert [(one["campaign_id"], one["state"]) for one in drafts] == [(made.json["id"], "draft")]
    for table in ("runs", "messages"):
        assert not await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}")
    again = await draft(api, roles=["liaison", "leader", "village_staff"])
    assert again.json["segment_id"] == made.json["segment_id"], "the same people, in any order"


async def test_only_texts_are_offered_of_which_all_figures_may_be_said(api: Api) -> None:
    loss = await text(api, WITH_LOSS)
    await text(api, FIGURES, kind="public_interest")
    await text(api, FIGURES.replace("各村", "各组"), ok=False)
    await text(api, PLAIN.replace("刷单", "网贷"))
    assert (await notice(api))["texts"] == []
    none = await draft(api)
    assert (none.status, list(none.json["fields"])) == (422, ["template_id"])
    plain = await text(api, PLAIN, topic="weekly_bulletin")
    assert [one["template_id"] for one in (await notice(api))["texts"]] == [plain]
    shown = (await notice(api, W38))["texts"]
    assert [one["template_id"] for one in shown] == [loss, plain], "that week's loss is public"
    assert shown[0]["figures"] == sorted(["周期", "起数", "金额"])
    hidden = await draft(api, template_id=loss)
    assert (hidden.status, list(hidden.json["fields"])) == (422, ["template_id"])
    assert (await draft(api, W38)).json["template_id"] == loss
    made = await draft(api)
    assert (made.json["template_id"], made.json["values"]) == (plain, {})


async def test_no_notice_of_what_is_not_issued_or_for_who_is_no_staff(api: Api) -> None:
    await text(api, FIGURES)
    early = await draft(api, "2027-W02")
    assert early.status == 404
    wrong = await draft(api, roles=["parent"])
    assert (wrong.status, list(wrong.json["fields"])) == (422, ["roles"])
    assert (await notice(api))["drafts"] == []
