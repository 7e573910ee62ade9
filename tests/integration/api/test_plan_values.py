"""What a plan gives its texts over HTTP: checked, shown, approved with the plan, and sent."""

import json
import re
from typing import Any
from uuid import UUID

import pytest

from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import CheckViolation, one, transaction
from tests.factories import RULE, make_contact
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
TEXT = (
    "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，损失{金额}万元，以{类型}为主，疑问拨96110。"
)
VALUES = {"周期": "1月10日至16日", "起数": "12", "金额": "35.6", "类型": "刷单返利、虚假征信"}
SAID = TEXT
for _name, _value in VALUES.items():
    SAID = SAID.replace(f"{{{_name}}}", _value)
LATER = "【旌德县公安局】{姓名}：本周又有{起数}起，仍以{类型}为主，疑问拨96110。"


async def _template(api: Api, text: str = TEXT, who: tuple[str, str] = OPERATOR) -> str:
    made = await api.post("/templates", who, {"name": f"通报{len(text)}", "text": text})
    assert made.status == 201, made.body
    return str(made.json["id"])


async def _body(api: Api, who: tuple[str, str] = OPERATOR, **more: Any) -> dict[str, Any]:
    segment = await api.post("/segments", who, {"name": "全体", "rule": RULE})
    return {
        "name": "一周通报",
        "template_id": await _template(api, who=who),
        "segment_id": segment.json["id"],
        **more,
    }


async def _people(api: Api, count: int = 2) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        for n in range(count):
            await make_contact(
                conn, api.runtime.keyring, api.teams["county"].department_id, n, now=api.clock.at
            )


async def _act(api: Api, who: tuple[str, str], campaign: str, act: str, body: Any = None) -> Any:
    answer = await api.post(f"/campaigns/{campaign}/{act}", who, body)
    assert answer.status == 200, answer.body
    return answer.json


async def _fired(api: Api) -> UUID:
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    assert await expand_run(api.runtime.pool, run, api.clock.at, api.runtime.keyring) is not None
    return run


async def test_what_a_plan_says_is_read_approved_and_sent(api: Api) -> None:
    await _people(api)
    made = await api.post("/campaigns", OPERATOR, await _body(api, values=VALUES))
    assert made.status == 201, made.body
    assert (made.json["text"], made.json["values"]) == (SAID, VALUES)
    campaign = made.json["id"]
    preview = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json
    assert (preview["text"], preview["characters"]) == (SAID, len(SAID))
    assert preview["variables"] == []
    submitted = await _act(api, OPERATOR, campaign, "submit")
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert (approved["text"], approved["values"]) == (SAID, VALUES)
    assert approved["content_hash"] == submitted["content_hash"]
    run = await _fired(api)
    found = await api.runtime.pool.fetchrow("SELECT text, content FROM runs WHERE id = $1", run)
    row = one(found)
    assert row["text"] == SAID
    bound = json.loads(row["content"])
    assert (bound["text"], bound["values"]) == (SAID, [VALUES])
    assert (await api.get(f"/runs/{run}/evidence", ("county", "admin"))).status == 200


async def test_each_wrong_value_is_named_in_both_languages(api: Api) -> None:
    body = await _body(api)
    for values, wrong in (
        ({}, {"周期", "起数", "金额", "类型"}),
        (VALUES | {"起数": "很多"}, {"起数"}),
        (VALUES | {"周期": "请转账"}, {"周期"}),
        (VALUES | {"类型": "别的"}, {"类型"}),
        (VALUES | {"群名": "三幢群"}, {"群名"}),
        (VALUES | {"姓名": "王安"}, {"姓名"}),
    ):
        for language, words in (("zh", "[一-鿿]{2}"), ("en", "[a-z]{2} [a-z]{2}")):
            refused = await api.post(
                "/campaigns",
                OPERATOR,
                body | {"values": values},
                headers={"Accept-Language": language},
            )
            assert refused.status == 422, refused.body
            fields = refused.json["fields"]
            assert fields.keys() == {f"values.{name}" for name in wrong}
            assert all(re.search(words, problem) for problem in fields.values())
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []
    many = {f"变量{n}": "1" for n in range(7)}
    assert (await api.post("/campaigns", OPERATOR, body | {"values": many})).status == 422


@pytest.mark.attack
async def test_figures_on_cases_are_typed_by_the_police_and_the_county_alone(api: Api) -> None:
    """In code and in the database, also for a department that was the police when it planned."""
    school = ("school", "operator")
    refused = await api.post("/campaigns", school, await _body(api, school, values=VALUES))
    assert refused.status == 422, refused.body
    assert refused.json["fields"].keys() == {f"values.{name}" for name in VALUES}
    assert "the police" in refused.json["fields"]["values.起数"]
    made = await api.post("/campaigns", OPERATOR, await _body(api, values=VALUES))
    county = api.teams["county"].department_id
    await api.runtime.pool.execute("UPDATE departments SET kind = 'town' WHERE id = $1", county)
    refused = await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)
    assert refused.status == 422, refused.body
    assert "values.起数" in refused.json["fields"]
    for statement in (
        'UPDATE campaigns SET text_values = \'{"起数": "1"}\'',
        (
            "INSERT INTO campaign_texts (campaign_id, no, template_version_id, text_values)"
            " SELECT id, 2, template_version_id, text_values FROM campaigns"
        ),
    ):
        with pytest.raises(CheckViolation, match="figures on cases"):
            await api.runtime.pool.execute(statement)


@pytest.mark.attack
async def test_a_value_that_is_changed_after_the_submission_voids_it(api: Api) -> None:
    """Over the API it is an edit; behind the approval, nothing fires."""
    await _people(api)
    made = await api.post("/campaigns", OPERATOR, await _body(api, values=VALUES))
    campaign = made.json["id"]
    first = await _act(api, OPERATOR, campaign, "submit")
    edited = await api.patch(
        f"/campaigns/{campaign}", OPERATOR, {"values": VALUES | {"起数": "13"}}
    )
    assert (edited.status, edited.json["state"]) == (200, "draft")
    assert "13起" in edited.json["text"]
    again = await _act(api, OPERATOR, campaign, "submit")
    assert again["content_hash"] != first["content_hash"]
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert approved["state"] == "scheduled"
    changed = json.dumps(VALUES | {"起数": "99"})
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("UPDATE campaigns SET text_values = $1::text::jsonb", changed)
    assert await fire_due(api.runtime.pool, api.clock.at) == []
    held = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert held["state"] == "held"
    assert held["held_fires"][0]["code"] == "not_approved"


async def test_each_text_of_a_sequence_has_its_own_values(api: Api) -> None:
    await _people(api)
    later = await _template(api, LATER)
    more = [{"template_id": later, "after_days": 7, "values": {"起数": "9", "类型": "网贷"}}]
    body = await _body(api, values=VALUES, more_texts=[{**more[0], "values": {"起数": "9"}}])
    refused = await api.post("/campaigns", OPERATOR, body)
    assert refused.json["fields"].keys() == {"more_texts.0.values.类型"}
    made = await api.post("/campaigns", OPERATOR, body | {"more_texts": more})
    assert made.status == 201, made.body
    (second,) = made.json["more_texts"]
    assert second["values"] == {"起数": "9", "类型": "网贷"}
    assert second["text"] == LATER.replace("{起数}", "9").replace("{类型}", "网贷")
    campaign = made.json["id"]
    copied = await api.post(f"/campaigns/{campaign}/clone", OPERATOR, {"name": "下周"})
    assert (copied.json["values"], copied.json["more_texts"][0]["values"]) == (
        VALUES,
        more[0]["values"],
    )
    await _act(api, OPERATOR, campaign, "submit")
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert approved["state"] == "scheduled"
    run = await _fired(api)
    content = json.loads(
        await api.runtime.pool.fetchval("SELECT content FROM runs WHERE id = $1", run)
    )
    assert content["values"] == [VALUES, more[0]["values"]]
    assert content["further"][0]["text"] == second["text"]


async def test_lint_reads_the_text_as_it_will_be_read(api: Api) -> None:
    """Two cases in a village point to people (R20): the figure, not the text, is what blocks."""
    text = "【旌德县公安局】霍家桥村本周刷单被骗案{起数}起，疑问拨96110。"
    body = await _body(api) | {"template_id": await _template(api, text)}
    made = await api.post("/campaigns", OPERATOR, body | {"values": {"起数": "2"}})
    refused = await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)
    assert refused.status == 409, refused.body
    assert [finding["rule"] for finding in refused.json["findings"]] == ["R20"]
    await api.patch(f"/campaigns/{made.json['id']}", OPERATOR, {"values": {"起数": "5"}})
    assert (await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)).status == 200


async def test_a_correction_says_the_right_figures(api: Api) -> None:
    await _people(api)
    made = await api.post("/campaigns", OPERATOR, await _body(api, values=VALUES))
    await _act(api, OPERATOR, made.json["id"], "submit")
    await _act(api, APPROVER, made.json["id"], "approve", {"acknowledged": ["R25"]})
    run = await _fired(api)
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run)
    body = {"name": "更正", "template_id": made.json["template_id"]}
    refused = await api.post(f"/runs/{run}/correction", OPERATOR, body)
    assert (refused.status, len(refused.json["fields"])) == (422, 4)
    corrected = await api.post(
        f"/runs/{run}/correction", OPERATOR, body | {"values": VALUES | {"起数": "21"}}
    )
    assert corrected.status == 201, corrected.body
    assert "21起" in corrected.json["text"]
