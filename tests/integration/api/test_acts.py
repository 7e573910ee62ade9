"""What one may do with a campaign or a run now, and why not: what the act itself would say.

`test_campaign_model.py` asks before each of its random acts, and compares.
"""

import re
from datetime import timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import Role
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import transaction
from tests.factories import (
    TEXT,
    make_contact,
    make_draft,
    make_scheduled,
    make_template,
    make_token,
    phone,
)
from tests.harness.keys import active_key, other
from tests.harness.ledger import add_channel
from tests.harness.logins import last_code
from tests.harness.offers import make_offer, sign
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
Who = tuple[str, str] | str
PERSONS = {
    "edit", "submit", "test_send", "approve", "return", "reject", "release", "pause", "resume",
    "cancel", "clone", "top_up",
}  # fmt: skip


async def _acts(api: Api, path: str, who: Who) -> dict[str, str | None]:
    """By act: why not; None: it is allowed."""
    shown = (await api.get(path, who)).json["acts"]
    for item in shown:
        assert item["allowed"] == (item["code"] is None) == (item["plain"] is None)
        assert item["allowed"] or re.search("[一-鿿]", item["plain"]["zh"]), item
    return {item["act"]: item["code"] for item in shown}


async def _submitted(api: Api, template_id: str | None = None) -> str:
    team = api.teams["county"]
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=api.clock.at)
        draft = await make_draft(conn, team.operator, now=api.clock.at)
    path = f"/campaigns/{draft.id}"
    if template_id is not None:
        assert (await api.patch(path, OPERATOR, {"template_id": template_id})).status == 200
    submitted = await api.post(f"{path}/submit", OPERATOR)
    assert submitted.status == 200, submitted.body
    return path


async def test_who_only_reads_may_do_nothing_and_a_draft_is_edited_and_submitted(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    path = f"/campaigns/{draft.id}"
    for who in (("county", "viewer"), ("county", "inspector"), ("school", "inspector")):
        assert await _acts(api, path, who) == dict.fromkeys(PERSONS, "forbidden")
    mine = await _acts(api, path, OPERATOR)
    assert mine.keys() == PERSONS
    assert {act for act, code in mine.items() if code is None} == {
        "edit", "submit", "cancel", "clone",
    }  # fmt: skip
    assert {mine["pause"], mine["resume"], mine["release"], mine["top_up"]} == {"wrong_state"}


async def test_a_key_that_is_not_live_is_told_what_it_may_not(api: Api) -> None:
    path = await _submitted(api)
    token = (await active_key(api, "admin", mode="test"))["token"]
    assert set((await _acts(api, path, token)).values()) == {"out_of_scope"}


async def test_an_approver_learns_before_pressing_what_is_missing(api: Api) -> None:
    path = await _submitted(api)
    object.__setattr__(api.runtime.settings, "test_send_above", 2)
    acts = await _acts(api, path, APPROVER)
    assert (acts["approve"], acts["test_send"], acts["return"]) == ("test_needed", "no_phone", None)
    refused = await api.post(f"{path}/approve", APPROVER)
    assert refused.json["type"].endswith("test_needed")
    await api.call("PUT", "/account/phone", APPROVER, json={"phone": phone(7)})
    assert (await _acts(api, path, APPROVER))["test_send"] == "phone_not_proved"
    await api.post("/account/phone/code", APPROVER, {"code": await last_code(api)})
    assert (await _acts(api, path, APPROVER))["test_send"] is None
    sent = await api.post(f"{path}/test-send", APPROVER)
    assert (await _acts(api, path, APPROVER))["approve"] == "test_needed"
    left = "UPDATE messages SET state = 'submitted' WHERE run_id = $1"
    await api.runtime.pool.execute(left, UUID(sent.json["run_id"]))
    assert (await _acts(api, path, APPROVER))["approve"] is None
    assert (await api.post(f"{path}/approve", APPROVER)).status == 200


async def test_a_new_version_and_the_end_of_the_week_stand_in_the_way(api: Api) -> None:
    path = await _submitted(api)
    template = (await api.get(path, OPERATOR)).json["template_id"]
    assert (await _acts(api, path, APPROVER))["approve"] is None
    await api.post(f"/templates/{template}/versions", OPERATOR, {"text": TEXT})
    assert (await _acts(api, path, APPROVER))["approve"] == "changed_since_submission"
    refused = await api.post(f"{path}/approve", APPROVER)
    assert refused.json["type"].endswith("changed_since_submission")
    api.clock.at += timedelta(days=8)
    assert (await _acts(api, path, APPROVER))["approve"] == "expired"
    assert (await api.post(f"{path}/approve", APPROVER)).json["type"].endswith("expired")


async def test_whoever_edited_it_reads_that_somebody_else_must_approve(api: Api) -> None:
    """Also where one person has both roles."""
    both = await other(api, Role.OPERATOR, Role.APPROVER)
    path = await _submitted(api)
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("UPDATE campaigns SET edited_by = $1", both.id)
        token = await make_token(conn, api.runtime.keyring, both, api.clock.at)
    acts = await _acts(api, path, token)
    assert (acts["approve"], acts["test_send"]) == ("second_person_needed",) * 2
    assert acts["return"] is None


async def _sent(api: Api) -> tuple[str, str]:
    """A campaign that has been sent, and its run, as paths."""
    team, pool, now = api.teams["county"], api.runtime.pool, api.clock.at
    async with transaction(pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, now)
        await make_contact(conn, api.runtime.keyring, team.department_id, 1, now=now)
        campaign = await make_scheduled(conn, team, now=now)
    (run,) = await fire_due(pool, now)
    path = f"/runs/{run}"
    assert (await _acts(api, f"/campaigns/{campaign.id}", OPERATOR))["top_up"] == "in_progress"
    await expand_run(pool, run, now)
    return f"/campaigns/{campaign.id}", path


async def test_what_follows_a_run_says_when_it_may(api: Api) -> None:
    campaign, run = await _sent(api)
    on_the_way = {"resend_missed": "run_not_sent", "correct": "run_still_sends",
                  "cancel": "not_direct"}  # fmt: skip
    assert await _acts(api, run, OPERATOR) == on_the_way
    assert (await _acts(api, campaign, OPERATOR))["top_up"] is None
    await api.runtime.pool.execute("UPDATE messages SET state = 'undelivered'")
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent'")
    assert await _acts(api, run, OPERATOR) == on_the_way | {"resend_missed": None, "correct": None}
    assert await _acts(api, run, ("county", "viewer")) == dict.fromkeys(on_the_way, "forbidden")
    async with transaction(api.runtime.pool) as conn:
        text = await make_template(conn, api.teams["county"].operator, now=api.clock.at)
    body = {"name": "更正", "template_id": str(text.id)}
    assert (await api.post(f"{run}/correction", OPERATOR, body)).status == 201
    assert (await _acts(api, run, OPERATOR))["resend_missed"] == "corrected"
    api.clock.at += timedelta(days=31)
    assert (await _acts(api, campaign, OPERATOR))["top_up"] == "too_old"


async def test_a_school_that_sees_counts_alone_is_offered_nothing(api: Api) -> None:
    _, run = await _sent(api)
    await api.runtime.pool.execute(
        "UPDATE departments SET parent_id = $1 WHERE id = $2",
        api.teams["school"].department_id,
        api.teams["county"].department_id,
    )
    shown = await api.get(run, ("school", "operator"))
    assert (shown.status, shown.json["acts"]) == (200, [])


@pytest.mark.attack
async def test_looking_at_a_campaign_holds_up_no_withdrawal_and_waits_for_none(api: Api) -> None:
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        offer = await make_offer(conn, now, team.department_id)
        await sign(conn, team.department_id, "旌德县反诈中心", now)
    taken = await api.post(f"/offers/{offer.id}/take", OPERATOR, {})
    assert taken.status == 201, taken.body
    path = await _submitted(api, taken.json["id"])
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("SELECT FROM text_offers FOR UPDATE")
        assert (await _acts(api, path, APPROVER))["approve"] is None


async def test_nobody_who_looks_waits_for_somebody_who_drafts(api: Api) -> None:
    """Whether there is room for a copy is only asked: the department's row is not locked for it."""
    path = await _submitted(api)
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "SELECT FROM departments WHERE id = $1 FOR NO KEY UPDATE",
            api.teams["county"].department_id,
        )
        assert (await api.get(path, OPERATOR)).status == 200
