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
from tests.harness.bulletins import RELEASED, WEEK, give_bulletin
from tests.harness.ledger import add_channel
from tests.harness.owner import as_owner
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
TEXT = (
    "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，损失{金额}万元，以{类型}为主，疑问拨96110。"
)
SAID = TEXT
for _name, _value in RELEASED.items():
    SAID = SAID.replace(f"{{{_name}}}", _value)
LATER = "【旌德县公安局】{姓名}：本周又有{起数}起，仍以{类型}为主，疑问拨96110。"
OTHER = "【旌德县公安局】{群名}请看：本周宣传{件数:数量}，疑问拨96110。"
TYPED = {"群名": "三幢群", "件数": "12次"}


async def _template(api: Api, text: str = TEXT, who: tuple[str, str] = OPERATOR) -> str:
    made = await api.post("/templates", who, {"name": f"通报{len(text)}", "text": text})
    assert made.status == 201, made.body
    return str(made.json["id"])


@pytest.fixture(autouse=True)
async def _bulletin(api: Api) -> None:
    await _issue(api)


async def _issue(api: Api, **figures: Any) -> None:
    async with transaction(api.runtime.pool) as conn:
        await give_bulletin(conn, api.teams["county"].operator.id, api.clock.at, **figures)


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
    made = await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))
    assert made.status == 201, made.body
    assert (made.json["text"], made.json["values"]) == (SAID, RELEASED)
    campaign = made.json["id"]
    preview = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json
    assert (preview["text"], preview["characters"]) == (SAID, len(SAID))
    assert preview["variables"] == []
    submitted = await _act(api, OPERATOR, campaign, "submit")
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert (approved["text"], approved["values"]) == (SAID, RELEASED)
    assert approved["content_hash"] == submitted["content_hash"]
    run = await _fired(api)
    found = await api.runtime.pool.fetchrow("SELECT text, content FROM runs WHERE id = $1", run)
    row = one(found)
    assert row["text"] == SAID
    bound = json.loads(row["content"])
    assert (bound["text"], bound["values"]) == (SAID, [RELEASED])
    assert (await api.get(f"/runs/{run}/evidence", ("county", "admin"))).status == 200


async def test_each_wrong_value_is_named_in_both_languages(api: Api) -> None:
    body = await _body(api) | {"template_id": await _template(api, OTHER)}
    for values, wrong in (
        ({}, {"群名", "件数"}),
        (TYPED | {"件数": "很多"}, {"件数"}),
        (TYPED | {"群名": "请转账"}, {"群名"}),
        (TYPED | {"楼名": "三幢"}, {"楼名"}),
        (TYPED | {"姓名": "王安"}, {"姓名"}),
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


def _is_refused(answer: Any, *fields: str) -> None:
    assert (answer.status, answer.json["type"]) == (422, "/problems/figure_typed"), answer.body
    assert answer.json["fields"].keys() == set(fields)
    assert all("figures_from" in told for told in answer.json["fields"].values())


@pytest.mark.attack
@pytest.mark.parametrize("name", sorted(RELEASED))
async def test_no_person_types_a_figure_in_a_plan_an_edit_or_a_later_text(
    api: Api, name: str
) -> None:
    typed = {name: RELEASED[name]}
    body = await _body(api)
    _is_refused(await api.post("/campaigns", OPERATOR, body | {"values": typed}), f"values.{name}")
    beside = {"values": typed, "figures_from": WEEK}
    _is_refused(await api.post("/campaigns", OPERATOR, body | beside), f"values.{name}")
    made = (await api.post("/campaigns", OPERATOR, body | {"figures_from": WEEK})).json
    path = f"/campaigns/{made['id']}"
    _is_refused(await api.patch(path, OPERATOR, {"values": typed}), f"values.{name}")
    later = {"template_id": await _template(api, LATER), "after_days": 7, "values": typed}
    for answer in (
        await api.patch(path, OPERATOR, {"more_texts": [later]}),
        await api.patch(path, OPERATOR, {"more_texts": [later | {"figures_from": WEEK}]}),
        await api.post(
            "/campaigns", OPERATOR, body | {"figures_from": WEEK, "more_texts": [later]}
        ),
    ):
        _is_refused(answer, f"more_texts.0.values.{name}")
    assert (await api.get(path, OPERATOR)).json["values"] == RELEASED


@pytest.mark.attack
async def test_no_person_types_a_figure_in_a_direct_send(api: Api) -> None:
    template = await _template(api)
    sent = {"to": [{"phone": "19790000001", "variables": RELEASED}], "template_id": template}
    answer = await api.post("/messages", OPERATOR, sent)
    assert (answer.status, answer.json["type"]) == (422, "/problems/figure_typed"), answer.body
    assert "figures_from" in answer.json["fields"]["template_id"]


@pytest.mark.attack
async def test_figures_that_were_typed_before_go_no_further(api: Api) -> None:
    """A plan of an earlier version: its edit, its copy and its submission ask for a week."""
    made = (await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))).json
    before = "SET session_replication_role = replica; DELETE FROM campaign_figures"
    await as_owner(api.runtime.pool, before)
    path = f"/campaigns/{made['id']}"
    for answer in (
        await api.patch(path, OPERATOR, {"name": "别的"}),
        await api.post(f"{path}/clone", OPERATOR, {}),
        await api.post(f"{path}/submit", OPERATOR),
    ):
        assert answer.status == 422, answer.body
        assert answer.json["fields"].keys() == {f"values.{name}" for name in RELEASED}
    mended = await api.patch(path, OPERATOR, {"figures_from": WEEK})
    assert (mended.status, mended.json["figures_from"]) == (200, WEEK)
    assert (await api.post(f"{path}/submit", OPERATOR)).status == 200


@pytest.mark.attack
async def test_figures_on_cases_are_of_the_police_and_the_county_alone(api: Api) -> None:
    """In code and in the database, also for a department that was the police when it planned."""
    school = ("school", "operator")
    refused = await api.post("/campaigns", school, await _body(api, school, figures_from=WEEK))
    assert refused.status == 422, refused.body
    assert refused.json["fields"].keys() == {f"values.{name}" for name in RELEASED}
    assert "the police" in refused.json["fields"]["values.起数"]
    made = await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))
    county = api.teams["county"].department_id
    await api.runtime.pool.execute("UPDATE departments SET kind = 'town' WHERE id = $1", county)
    refused = await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)
    assert refused.status == 422, refused.body
    assert "values.起数" in refused.json["fields"]
    for statement in (
        'UPDATE campaigns SET text_values = \'{"起数": "1"}\'',
        (
            "INSERT INTO campaign_texts"
            " (campaign_id, no, template_version_id, text_values, figures_from)"
            " SELECT id, 2, template_version_id, text_values, figures_from FROM campaigns"
            " JOIN campaign_figures ON campaign_id = id"
        ),
    ):
        with pytest.raises(CheckViolation, match="figures on cases"):
            await api.runtime.pool.execute(statement)


@pytest.mark.attack
async def test_the_database_takes_no_figure_without_a_bulletin(api: Api) -> None:
    await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))
    for statement in (
        "DELETE FROM campaign_figures",
        "UPDATE campaign_figures SET figures_from = '2027-W52'",
        (
            "WITH gone AS (DELETE FROM campaign_figures)"
            " UPDATE campaigns SET text_values = text_values"
        ),
        (
            "INSERT INTO campaign_texts (campaign_id, no, template_version_id, text_values)"
            " SELECT id, 2, template_version_id, text_values FROM campaigns"
        ),
    ):
        with pytest.raises(CheckViolation, match="taken from a bulletin"):
            await api.runtime.pool.execute(statement)


async def test_an_edit_takes_the_figures_of_another_week_or_of_another_text(api: Api) -> None:
    await _issue(api, week="2026-W53", cases=21)
    made = (await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))).json
    path = f"/campaigns/{made['id']}"
    other = (await api.patch(path, OPERATOR, {"figures_from": "2026-W53"})).json
    assert (other["values"]["起数"], other["values"]["周期"]) == ("21", "12月28日至1月3日")
    text = {"template_id": await _template(api, LATER)}
    changed = (await api.patch(path, OPERATOR, text)).json
    assert changed["values"] == {"起数": "21", "类型": "刷单返利"}
    assert changed["figures_from"] == "2026-W53"
    none = await api.patch(path, OPERATOR, {"figures_from": None})
    assert none.json["fields"].keys() == {"values.起数", "values.类型"}
    plain = {"template_id": await _template(api, OTHER), "values": TYPED, "figures_from": None}
    assert (await api.patch(path, OPERATOR, plain)).json["values"] == TYPED


async def test_the_countys_figure_is_not_said_of_a_town(api: Api) -> None:
    text = "【旌阳镇政府】本周我镇发生刷单被骗案{起数}起，疑问拨96110。"
    body = await _body(api, figures_from=WEEK) | {"template_id": await _template(api, text)}
    refused = await api.post("/campaigns", OPERATOR, body)
    assert (refused.status, refused.json["type"]) == (422, "/problems/figure_hidden")
    assert "whole county" in refused.json["fields"]["figures_from"]


async def test_a_bulletin_that_is_corrected_stops_a_text_with_its_figures(api: Api) -> None:
    await _people(api)
    made = (await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))).json
    path = f"/campaigns/{made['id']}"
    await _issue(api, version=2, cases=13)
    refused = await api.post(f"{path}/submit", OPERATOR)
    assert (refused.status, refused.json["type"]) == (409, "/problems/figures_changed")
    assert "13起" in (await api.patch(path, OPERATOR, {"figures_from": WEEK})).json["text"]
    await _act(api, OPERATOR, made["id"], "submit")
    await _issue(api, version=3, cases=14)
    refused = await api.post(f"{path}/approve", APPROVER, {"acknowledged": ["R25"]})
    assert (refused.status, refused.json["type"]) == (409, "/problems/figures_changed")


@pytest.mark.attack
async def test_a_value_that_is_changed_after_the_submission_voids_it(api: Api) -> None:
    """Over the API it is an edit; behind the approval, nothing fires."""
    await _people(api)
    await _issue(api, week="2026-W53", cases=13)
    made = await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))
    campaign = made.json["id"]
    first = await _act(api, OPERATOR, campaign, "submit")
    edited = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"figures_from": "2026-W53"})
    assert (edited.status, edited.json["state"]) == (200, "draft")
    assert "13起" in edited.json["text"]
    again = await _act(api, OPERATOR, campaign, "submit")
    assert again["content_hash"] != first["content_hash"]
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert approved["state"] == "scheduled"
    changed = json.dumps(RELEASED | {"起数": "99"})
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("UPDATE campaigns SET text_values = $1::text::jsonb", changed)
    assert await fire_due(api.runtime.pool, api.clock.at) == []
    held = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert held["state"] == "held"
    assert held["held_fires"][0]["code"] == "not_approved"


async def test_each_text_of_a_sequence_has_its_own_values(api: Api) -> None:
    await _people(api)
    await _issue(api, week="2026-W53", cases=9)
    later = {"template_id": await _template(api, LATER), "after_days": 7}
    body = await _body(api, figures_from=WEEK, more_texts=[later])
    refused = await api.post("/campaigns", OPERATOR, body)
    assert refused.json["fields"].keys() == {
        "more_texts.0.values.起数",
        "more_texts.0.values.类型",
    }
    more = [later | {"figures_from": "2026-W53"}]
    made = await api.post("/campaigns", OPERATOR, body | {"more_texts": more})
    assert made.status == 201, made.body
    (second,) = made.json["more_texts"]
    own = {"起数": "9", "类型": "刷单返利"}
    assert (second["values"], second["figures_from"]) == (own, "2026-W53")
    assert second["text"] == LATER.replace("{起数}", "9").replace("{类型}", "刷单返利")
    campaign = made.json["id"]
    copied = (await api.post(f"/campaigns/{campaign}/clone", OPERATOR, {"name": "下周"})).json
    assert (copied["values"], copied["figures_from"]) == (RELEASED, WEEK)
    assert copied["more_texts"] == made.json["more_texts"]
    await _act(api, OPERATOR, campaign, "submit")
    approved = await _act(api, APPROVER, campaign, "approve", {"acknowledged": ["R25"]})
    assert approved["state"] == "scheduled"
    run = await _fired(api)
    content = json.loads(
        await api.runtime.pool.fetchval("SELECT content FROM runs WHERE id = $1", run)
    )
    assert content["values"] == [RELEASED, own]
    assert content["further"][0]["text"] == second["text"]


async def test_lint_reads_the_text_as_it_will_be_read(api: Api) -> None:
    """Two cases in a village point to people (R20): the figure, not the text, is what blocks."""
    await _issue(api, week="2026-W53", cases=2)
    text = "【旌德县公安局】霍家桥村本周刷单被骗案{起数}起，疑问拨96110。"
    body = await _body(api) | {"template_id": await _template(api, text)}
    made = await api.post("/campaigns", OPERATOR, body | {"figures_from": "2026-W53"})
    refused = await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)
    assert refused.status == 409, refused.body
    assert [finding["rule"] for finding in refused.json["findings"]] == ["R20"]
    await api.patch(f"/campaigns/{made.json['id']}", OPERATOR, {"figures_from": WEEK})
    assert (await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)).status == 200


async def test_a_correction_says_the_right_figures(api: Api) -> None:
    await _people(api)
    made = await api.post("/campaigns", OPERATOR, await _body(api, figures_from=WEEK))
    await _act(api, OPERATOR, made.json["id"], "submit")
    await _act(api, APPROVER, made.json["id"], "approve", {"acknowledged": ["R25"]})
    run = await _fired(api)
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run)
    body = {"name": "更正", "template_id": made.json["template_id"]}
    refused = await api.post(f"/runs/{run}/correction", OPERATOR, body)
    assert (refused.status, len(refused.json["fields"])) == (422, 4)
    path = f"/runs/{run}/correction"
    typed = await api.post(path, OPERATOR, body | {"values": RELEASED | {"起数": "21"}})
    _is_refused(typed, *(f"values.{name}" for name in RELEASED))
    await _issue(api, version=2, cases=21)
    corrected = await api.post(path, OPERATOR, body | {"figures_from": WEEK})
    assert corrected.status == 201, corrected.body
    assert "21起" in corrected.json["text"]
