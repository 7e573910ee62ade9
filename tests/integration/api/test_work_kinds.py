"""What waits for a person, kind by kind: whose it is, how much it is, and when it waits no more."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.accounts.people.model import Role
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.factories import make_draft, make_token
from tests.harness.filings import file, real_channel
from tests.harness.keys import make_key, other, second_admin
from tests.harness.ledger import add_channel, add_run, make_scene
from tests.harness.lint_rules import GOOD, campaign_with
from tests.harness.uploads import FILE, upload
from tests.harness.work import work_of
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, APPROVER = ("county", "admin"), ("county", "operator"), ("county", "approver")
SCHOOL = ("school", "operator")
DAY = timedelta(days=1)


async def _waits(api: Api, kind: str, who: Any = OPERATOR) -> Any:
    return (await work_of(api, who))[kind]


async def _submitted(api: Api) -> str:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    assert (await api.post(f"/campaigns/{draft.id}/submit", OPERATOR)).status == 200
    return str(draft.id)


async def test_what_one_could_approve_waits_for_oneself_alone(api: Api) -> None:
    both = await other(api, Role.OPERATOR, Role.APPROVER)
    async with transaction(api.runtime.pool) as conn:
        token = await make_token(conn, api.runtime.keyring, both, api.clock.at)
    first, second = await _submitted(api), await _submitted(api)
    await api.runtime.pool.execute(
        "UPDATE campaigns SET edited_by = $1 WHERE id = $2", both.id, UUID(second)
    )
    mine = await _waits(api, "approvals", APPROVER)
    assert (mine["count"], {item["id"] for item in mine["items"]}) == (2, {first, second})
    assert [item["id"] for item in (await _waits(api, "approvals", token))["items"]] == [first]
    assert (await _waits(api, "approvals", ("school", "approver")))["count"] == 0
    assert "approvals" not in await work_of(api, OPERATOR)
    await api.runtime.pool.execute(
        "UPDATE campaigns SET approved_by = $1, approved_at = $2, approved_hash = content_hash",
        api.teams["county"].admin.id,
        api.clock.at,
    )
    (item,) = (await _waits(api, "approvals", APPROVER))["items"][:1]
    assert (item["code"], "第二人" in item["plain"]["zh"]) == ("second_approval", True)
    api.clock.at += 8 * DAY
    assert (await _waits(api, "approvals", APPROVER))["count"] == 0, "the submission has expired"


async def test_uncertain_texts_are_counted_with_those_that_can_be_decided(api: Api) -> None:
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        scene = await make_scene(conn, now)
        channel = await add_channel(conn, api.runtime.keyring, 1, now)
        run = await add_run(conn, scene, now)
        for no, minutes in enumerate((1, 9, 11, 20), 1):
            at = now - timedelta(minutes=minutes)
            await conn.execute(
                "INSERT INTO uncertain VALUES ($1, '', $2, $3, 1, $4, $4)", channel.id, run, no, at
            )
    waits = await _waits(api, "uncertain", ADMIN)
    assert (waits["count"], waits["ready"]) == (4, 2)
    (item,) = waits["items"]
    assert (item["id"], item["texts"], item["ready"]) == (str(run), 4, 2)
    assert waits["oldest"] == item["since"]
    assert (await _waits(api, "uncertain"))["count"] == 0, "it is another department's"


async def test_texts_from_handsets_by_their_kind_until_they_are_done(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        for kind, state, whose in (
            ("clue", "new", "county"),
            ("clue", "taken", "county"),
            ("other", "new", "county"),
            ("other", "done", "county"),
            ("clue", "new", "school"),
        ):
            await conn.execute(
                """
                INSERT INTO inbound_texts (id, channel_id, sender_hash, recipient, digest, missing,
                    received_at, kind, department_id, state, taken_by, taken_at, done_at)
                VALUES (uuidv7(), 1, decode(md5($1), 'hex'), '', decode(md5($1), 'hex'), 0,
                        $2::timestamptz, $3,
                        $4, $5, CASE WHEN $5 = 'taken' THEN $6::uuid END,
                        CASE WHEN $5 = 'taken' THEN $2::timestamptz END,
                        CASE WHEN $5 = 'done' THEN $2::timestamptz END)
                """,
                str(uuid4()), api.clock.at, kind, api.teams[whose].department_id, state,
                api.teams["county"].operator.id,
            )  # fmt: skip
    waits = await _waits(api, "inbound")
    assert (waits["count"], waits["ready"]) == (3, 2)
    assert {item["id"]: (item["texts"], item["ready"]) for item in waits["items"]} == {
        "clue": (2, 1),
        "other": (1, 1),
    }
    assert {item["plain"]["zh"] for item in waits["items"]} == {"群众提供的线索。", "其他来信。"}
    assert (await _waits(api, "inbound", SCHOOL))["count"] == 1
    assert (await _waits(api, "inbound", ADMIN))["count"] == 4


async def test_receipts_that_fit_no_text_are_for_whoever_sees_all(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        channel = await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        for number, why in enumerate(("unmatched", "unmatched", "conflict", "parked")):
            await conn.execute(
                "INSERT INTO receipts_unmatched (id, channel_id, ref, state, reason, code,"
                " received_at, why) VALUES ($1, $2, $3, 'delivered', '', '', $4, $5)",
                number, channel.id, b"r%d" % number, api.clock.at, why,
            )  # fmt: skip
        run = await add_run(conn, await make_scene(conn, api.clock.at), api.clock.at)
        await conn.execute(
            "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)"
            " VALUES ($1, 'r2', '', $2, 1, 1, 1, $3)", channel.id, run, api.clock.at,
        )  # fmt: skip
        await conn.execute("UPDATE runs SET department_id = $1", api.teams["county"].department_id)
    everything = await _waits(api, "receipts", ADMIN)
    assert everything["count"] == 3
    assert {item["code"]: item["texts"] for item in everything["items"]} == {
        "receipt_unmatched": 2,
        "receipt_conflict": 1,
    }
    (own,) = (await _waits(api, "receipts"))["items"]
    assert (own["code"], own["id"]) == ("receipt_conflict", str(channel.id))
    assert (await _waits(api, "receipts", SCHOOL))["count"] == 0


async def _imported(api: Api, content: bytes = FILE, **fields: str) -> str:
    form = upload(content, **fields)
    made = (await api.post("/imports", OPERATOR, data=form)).json["id"]
    async with transaction(api.runtime.pool) as conn:
        await run_import(conn, api.runtime.keyring, UUID(made), api.clock.at)
    return str(made)


async def test_an_import_with_rejects_waits_until_the_list_came_well(api: Api) -> None:
    made = await _imported(api)
    waits = await _waits(api, "imports")
    (item,) = waits["items"]
    assert (waits["count"], item["id"], item["name"], item["texts"]) == (1, made, "财务人员", 1)
    assert (await _waits(api, "imports", SCHOOL))["count"] == 0
    await _imported(api, dry_run="true")
    assert (await _waits(api, "imports"))["count"] == 1, "a dry run changes nothing"
    api.clock.at += DAY
    await _imported(api, "手机号,姓名\n19790000001,王小明\n".encode())
    assert (await _waits(api, "imports"))["count"] == 0
    await _imported(api, roster="另一")
    assert (await _waits(api, "imports"))["count"] == 1
    api.clock.at += 31 * DAY
    assert (await _waits(api, "imports"))["count"] == 0, "a month later nobody mends it"


async def test_a_list_waits_for_the_30_days_before_its_end(api: Api) -> None:
    day = api.clock.at.date()
    for roster, days in (("今天", 0), ("三十天", 30), ("三十一天", 31)):
        await _imported(api, roster=roster, expires_on=(day + days * DAY).isoformat())
    waits = await _waits(api, "ending_rosters")
    assert [item["name"] for item in waits["items"]] == ["今天", "三十天"]
    assert all(item["planned_at"] for item in waits["items"])
    assert (await _waits(api, "ending_rosters", SCHOOL))["count"] == 0
    api.clock.at += DAY
    assert [item["name"] for item in (await _waits(api, "ending_rosters"))["items"]] == [
        "三十天",
        "三十一天",
    ]


async def test_a_text_of_a_plan_waits_for_its_filing(api: Api) -> None:
    assert (await _waits(api, "filings"))["count"] == 0
    real = await real_channel(api)
    _, template = await campaign_with(api, GOOD)
    (item,) = (await _waits(api, "filings"))["items"]
    assert (item["id"], item["texts"]) == (template, 1)
    assert (await _waits(api, "filings", SCHOOL))["count"] == 0
    await file(api, template, real, "submitted")
    assert (await _waits(api, "filings"))["count"] == 1
    await file(api, template, real, "filed", contacts=["96110"])
    assert (await _waits(api, "filings"))["count"] == 0
    await api.runtime.pool.execute("UPDATE campaigns SET state = 'cancelled'")
    await file(api, template, real, "withdrawn")
    assert (await _waits(api, "filings"))["count"] == 0, "no plan has it any more"


@pytest.mark.attack
async def test_keys_and_passwords_wait_for_another_administrator(api: Api) -> None:
    second = await second_admin(api)
    key = await make_key(api)
    user = await other(api, Role.VIEWER)
    given = await api.post(f"/users/{user.id}/password", ADMIN)
    assert given.json["state"] == "pending"
    for kind, thing in (("keys", key.json["id"]), ("passwords", str(user.id))):
        (item,) = (await _waits(api, kind, second))["items"]
        assert item["id"] == thing
        assert (await _waits(api, kind, ADMIN))["count"] == 0, "who made it is no second person"
        assert kind not in await work_of(api, OPERATOR)
    await api.post(f"/keys/{key.json['id']}/activate", second)
    await api.post(f"/users/{user.id}/password/confirm", second)
    for kind in ("keys", "passwords"):
        assert (await _waits(api, kind, second))["count"] == 0
