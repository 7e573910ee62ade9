"""Follow-ups: the ladder for those whom a run missed, visits, sign-off, and what coverage says."""

import asyncio
import io
import re
import uuid
import zipfile
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from service.dispatch.expansion.expand import expand_run
from service.followups import climbing
from service.followups.climbing import climb
from service.reports.coverage.counting import count_coverage
from service.storage.postgres import CheckViolation, transaction
from tests.harness.followed import missed_some, settle
from tests.harness.ledger import add_channel
from tests.harness.sending import Sending
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER, APPROVER = (
    ("county", role) for role in ("admin", "operator", "viewer", "approver")
)
STRANGER = ("school", "operator")
VILLAGE, TOWN = "341825100001", "341825100000"
SUSPENDED, EMPTY, SILENT = 6, 7, 8


@pytest.fixture
async def sending(api: Api) -> Sending:
    """A run of a village, sent over channel 1 as approved."""
    return await missed_some(api)


async def settle_all(api: Api) -> None:
    await api.runtime.pool.execute("UPDATE runs SET settled_at = $1", api.clock.at)


async def start(api: Api, sending: Sending, **more: Any) -> str:
    answer = await api.post("/followups", OPERATOR, {"run": str(sending.run), **more})
    assert answer.status == 201, answer.body
    found: str = answer.json["id"]
    return found


async def go_up(api: Api) -> list[uuid.UUID]:
    """Look at what is due, write the ledgers of what is sent again; returns these runs."""
    api.clock.at += climbing.SELDOM
    made = await climb(api.runtime.pool, api.clock)
    for run in made:
        assert await expand_run(api.runtime.pool, run, api.clock.at) is not None
    return made


async def arrives(api: Api, run: uuid.UUID, state: str = "delivered") -> None:
    """Everything of a run ends in a state, and the run is settled."""
    await api.runtime.pool.execute(
        "UPDATE messages SET state = $2::message_state, part_count = 1, submitted_at = $3"
        " WHERE run_id = $1",
        run,
        state,
        api.clock.at,
    )
    await settle(api, run)


async def shown(api: Api, followup: str, who: tuple[str, str] = VIEWER) -> Any:
    """A follow-up; E8: those whom the run missed are the sum of its states."""
    answer = await api.get(f"/followups/{followup}", who)
    assert answer.status == 200, answer.body
    found = answer.json
    assert found["missed"] == sum(found["states"].values())
    villages: Counter[str] = Counter()
    for village in found["villages"]:
        assert village["people"] == sum(village["states"].values())
        villages.update(village["states"])
    assert dict(villages) == found["states"]
    return found


async def covered(api: Api, sending: Sending) -> Any:
    """The coverage of the village, counted just now."""
    api.clock.at += timedelta(minutes=11)
    while await count_coverage(api.runtime.pool, api.clock):
        pass
    path = f"/reports/coverage?run={sending.run}&area={VILLAGE}&level=village"
    row = (await api.get(path, VIEWER)).json["total"]
    ends = ("reached", "told", "open", "unknown", "failed", "stopped", "excluded")
    assert row["on_file"] == sum(row[end] for end in ends)
    assert row["denominator"] + row["surplus"] == row["on_file"] + row["no_phone"]
    return row


async def visits(api: Api, followup: str, state: str = "open") -> list[Any]:
    answer = await api.get(f"/followups/{followup}/visits?state={state}", OPERATOR)
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json["items"]
    return found


async def result(
    api: Api, visit: str, result: str, who: tuple[str, str] = OPERATOR, **more: Any
) -> Any:
    body = {"key": str(uuid.uuid4()), "result": result, **more}
    return await api.post(f"/visits/{visit}/result", who, body)


async def listed(api: Api, followup: str, area: str = VILLAGE) -> Any:
    body = {"area": area, "reason": "今天下午入户"}
    return await api.post(f"/followups/{followup}/visits/list", OPERATOR, body)


async def test_a_village_of_ten_phones_is_followed_up(api: Api, sending: Sending) -> None:
    """`again` reaches the suspended one; two are visited; one is told, one is not at home."""
    row = await covered(api, sending)
    assert (row["coverage_pct"], row["with_told_pct"], row["of_target_pct"]) == (
        "50.0",
        "50.0",
        "62.5",
    )
    followup = await start(api, sending, steps=["again", "visit"])
    (again,) = await go_up(api)
    assert (await shown(api, followup))["states"] == {"waiting": 2, "open": 1}
    written = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM messages WHERE run_id = $1", again
    )
    assert written == 1, "again goes to the suspended one alone"
    await arrives(api, again)
    await go_up(api)
    await go_up(api)
    found = await shown(api, followup)
    assert (found["state"], found["missed"]) == ("visiting", 3)
    assert found["states"] == {"reached": 1, "open": 2}
    assert [step["reached"] for step in found["steps"]] == [1, 0]
    taken = await listed(api, followup)
    assert taken.status == 200, taken.body
    assert {row["reason"] for row in taken.json["items"]} == {"empty_number", "no_receipt"}
    row = await covered(api, sending)
    assert taken.json["no_phone"] == row["no_phone"] == 1
    assert (row["coverage_pct"], row["of_target_pct"]) == ("60.0", "75.0")
    one, other = await visits(api, followup)
    assert (await result(api, one["id"], "told")).json["state"] == "told"
    assert (await result(api, other["id"], "not_home")).json["state"] == "open"
    row = await covered(api, sending)
    assert (row["coverage_pct"], row["with_told_pct"], row["told"]) == ("60.0", "70.0", 1)
    assert (row["target"], row["of_target_pct"]) == (8, "75.0")
    refused = await api.post(f"/followups/{followup}/sign-off", APPROVER, {"area": VILLAGE})
    assert (refused.status, refused.json["type"].rpartition("/")[2]) == (409, "visits_open")


async def test_telling_somebody_raises_nothing_but_with_told(api: Api, sending: Sending) -> None:
    """E7, also of somebody whom the run had left out: the target stays what it was."""
    followup = await start(api, sending, steps=["visit"], include_refused=True)
    await go_up(api)
    before = await covered(api, sending)
    for visit in await visits(api, followup):
        assert (await result(api, visit["id"], "told")).status == 200
    after = await covered(api, sending)
    assert (await shown(api, followup))["states"] == {"told": 4}
    for same in ("on_file", "target", "reached", "coverage_pct", "of_target_pct", "denominator"):
        assert after[same] == before[same]
    assert (after["told"], after["with_told_pct"], after["excluded"]) == (4, "90.0", 0)


async def test_a_scope_that_was_final_is_counted_again_when_somebody_is_told(
    api: Api, sending: Sending
) -> None:
    await covered(api, sending)
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    api.clock.at += timedelta(days=9)
    assert (await covered(api, sending))["told"] == 0
    assert await api.runtime.pool.fetchval(
        "SELECT final FROM coverage_scopes WHERE kind = 'run'"
    ), "nothing changes any more"
    (one, *_) = await visits(api, followup)
    await result(api, one["id"], "told")
    assert (await covered(api, sending))["told"] == 1
    assert await api.runtime.pool.fetchval(
        "SELECT bool_and(as_of >= (SELECT told_at FROM followups)) FROM coverage_scopes"
        " WHERE kind = 'campaign'"
    )


async def test_whose_text_was_stopped_by_its_validity_alone_is_missed(
    api: Api, sending: Sending
) -> None:
    """E8: nobody missed is on no list; who was stopped by a decision is missed by nobody."""
    await sending.become("expired", [1], "validity_over")
    await sending.become("suppressed", [2], "validity_over")
    await sending.become("suppressed", [3], "opted_out")
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    reasons = Counter(row["reason"] for row in await visits(api, followup))
    assert reasons == {"suspended": 1, "empty_number": 1, "no_receipt": 1, "validity_over": 2}


async def test_nobody_is_on_a_list_who_was_reached_or_refused(api: Api, sending: Sending) -> None:
    """E8: at once, whatever the scheduler has not seen yet."""
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    assert len(await visits(api, followup)) == 3
    await sending.become("delivered", [SILENT])  # a late receipt
    await api.runtime.pool.execute(
        "INSERT INTO suppressions (phone_hash, reason, created_at)"
        " SELECT phone_hash, 'opted_out', $1 FROM messages WHERE no = $2",
        api.clock.at,
        SUSPENDED,
    )
    assert [row["reason"] for row in await visits(api, followup)] == ["empty_number"]
    assert len((await listed(api, followup)).json["items"]) == 1
    await go_up(api)
    found = await shown(api, followup)
    assert found["states"] == {"reached": 1, "opted_out": 1, "open": 1}


async def test_the_other_channels_waits_for_somebody_who_may_approve_it(api: Api) -> None:
    sending = await missed_some(api, channels=(1,))
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 2, api.clock.at, tps=100)
    followup = await start(api, sending, steps=["other_channels", "visit"], channels=[2])
    assert await go_up(api) == []
    step = (await shown(api, followup))["steps"][0]
    assert (step["state"], step["reason"]) == ("asks", "forbidden")
    path, send = f"/followups/{followup}/other-channels", {"decision": "send", "reason": "停机的多"}
    assert (await api.post(path, OPERATOR, send)).status == 403
    sent = await api.post(path, APPROVER, send)
    assert sent.status == 200, sent.body
    run = uuid.UUID(sent.json["run_id"])
    again = await api.post(path, APPROVER, send)
    assert (again.status, again.json["type"].rpartition("/")[2]) == (409, "nothing_to_approve")
    assert await expand_run(api.runtime.pool, run, api.clock.at) is not None
    channels = await api.runtime.pool.fetch(
        "SELECT channel_id FROM messages WHERE run_id = $1", run
    )
    assert [row["channel_id"] for row in channels] == [2]
    await arrives(api, run)
    await go_up(api)
    await go_up(api)
    found = await shown(api, followup)
    assert [step["reached"] for step in found["steps"]] == [1, 0]
    assert (found["steps"][0]["note"], found["state"]) == ("停机的多", "visiting")


async def test_to_begin_a_follow_up_approves_no_channels(api: Api) -> None:
    """Also of somebody who could approve them, if another had begun it."""
    sending = await missed_some(api, channels=(1,))
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 2, api.clock.at, tps=100)
    body = {"run": str(sending.run), "steps": ["other_channels"], "channels": [2]}
    begun = await api.post("/followups", ADMIN, body)
    assert begun.status == 201, begun.body
    followup = begun.json["id"]
    assert await go_up(api) == []
    assert (await shown(api, followup))["steps"][0]["state"] == "asks"
    path, send = f"/followups/{followup}/other-channels", {"decision": "send", "reason": "r"}
    refused = await api.post(path, ADMIN, send)
    assert (refused.status, refused.json["type"].rpartition("/")[2]) == (
        403,
        "second_person_needed",
    )


async def test_channels_within_the_approval_need_nobody(api: Api, sending: Sending) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 2, api.clock.at, tps=100)
    await start(api, sending, steps=["other_channels"], channels=[2])
    assert len(await go_up(api)) == 1


async def test_without_visits_a_follow_up_ends_with_its_texts(api: Api, sending: Sending) -> None:
    followup = await start(api, sending, steps=["again"])
    (run,) = await go_up(api)
    await arrives(api, run, "undelivered")
    await go_up(api)
    await go_up(api)
    found = await shown(api, followup)
    assert (found["state"], found["states"]) == ("closed", {"left": 3})


async def test_a_step_that_is_refused_for_good_is_left_out(api: Api, sending: Sending) -> None:
    followup = await start(api, sending)
    api.clock.at += timedelta(days=8)
    await go_up(api)
    found = await shown(api, followup)
    assert [(step["state"], step["reason"]) for step in found["steps"]] == [
        ("skipped", "too_old"),
        ("skipped", "no_other_channel"),
        ("under_way", ""),
    ]
    assert found["states"] == {"open": 3}


async def sign(api: Api, followup: str, who: tuple[str, str] = APPROVER) -> Any:
    return await api.post(f"/followups/{followup}/sign-off", who, {"area": VILLAGE, "note": "齐"})


async def test_a_village_is_signed_off_by_somebody_who_visited_nobody(
    api: Api, sending: Sending
) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    first, *rest = await visits(api, followup)
    assert (await result(api, first["id"], "told", who=ADMIN)).status == 200
    for visit in rest:
        assert (await result(api, visit["id"], "moved")).status == 200
    for visitor in (ADMIN, OPERATOR):
        answer = await sign(api, followup, visitor)
        assert answer.status == 403, answer.body
        assert answer.json["type"].endswith("/second_person_needed")
    answer = await sign(api, followup)
    assert (answer.status, answer.json) == (200, {"closed": True})
    found = await shown(api, followup)
    assert (found["state"], found["steps"][0]["state"]) == ("closed", "done")
    late = await result(api, first["id"], "refused")
    assert (late.status, late.json["type"].rpartition("/")[2]) == (409, "signed_off")


async def test_sql_past_the_code_signs_nothing_that_is_open_and_by_no_visitor(
    api: Api, sending: Sending
) -> None:
    """E9."""
    pool = api.runtime.pool
    followup = uuid.UUID(await start(api, sending, steps=["visit"]))
    await go_up(api)
    team = api.teams["county"]
    signing = (
        "INSERT INTO sign_offs (followup_id, village, signed_by, signed_at) VALUES ($1, $2, $3, $4)"
    )
    with pytest.raises(CheckViolation, match="still to be visited"):
        await pool.execute(signing, followup, VILLAGE, team.approver.id, api.clock.at)
    for visit in await visits(api, str(followup)):
        assert (await result(api, visit["id"], "told")).status == 200
    with pytest.raises(CheckViolation, match="second person"):
        await pool.execute(signing, followup, VILLAGE, team.operator.id, api.clock.at)
    await pool.execute(signing, followup, VILLAGE, team.approver.id, api.clock.at)
    with pytest.raises(CheckViolation, match="signed off"):
        await pool.execute("UPDATE visits SET state = 'open'")
    with pytest.raises(CheckViolation, match="signed off"):
        await pool.execute("UPDATE visit_tries SET by_id = $1", team.approver.id)


async def test_two_results_at_one_moment_are_both_kept_and_marked(
    api: Api, sending: Sending
) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    (one, *_) = await visits(api, followup)
    both = await asyncio.gather(
        result(api, one["id"], "told"), result(api, one["id"], "refused", who=ADMIN)
    )
    assert [answer.status for answer in both] == [200, 200]
    assert sorted(answer.json["no"] for answer in both) == [1, 2]
    assert sorted(answer.json["disputed"] for answer in both) == [False, True]
    detail = (await api.get(f"/visits/{one['id']}", OPERATOR)).json
    assert detail["state"] == detail["tries"][0]["result"]
    assert {row["result"] for row in detail["tries"]} == {"told", "refused"}
    assert sum(v["disputed"] for v in (await shown(api, followup))["villages"]) == 1


async def test_a_phone_that_sends_late_and_again_writes_once(api: Api, sending: Sending) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    (one, *_) = await visits(api, followup)
    body = {"key": str(uuid.uuid4()), "result": "not_home", "on": str(api.clock.at.date())}
    path = f"/visits/{one['id']}/result"
    answers = await asyncio.gather(*(api.post(path, OPERATOR, body) for _ in range(5)))
    api.clock.at += timedelta(days=3)
    answers.append(await api.post(path, OPERATOR, body))
    assert [answer.status for answer in answers] == [200] * 6
    assert sum(not answer.json["repeated"] for answer in answers) == 1
    assert {answer.json["not_home"] for answer in answers} == {1}
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM visit_tries") == 1
    other = await api.post(path, OPERATOR, body | {"result": "told"})
    assert (other.status, other.json["type"].rpartition("/")[2]) == (409, "key_reused")


async def test_nobody_is_excused_before_three_visits_and_without_a_reason(
    api: Api, sending: Sending
) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    (one, *_) = await visits(api, followup)
    for _ in range(3):
        early = await result(api, one["id"], "excused", note="长期在外")
        assert (early.status, list(early.json["fields"])) == (422, ["result"])
        assert (await result(api, one["id"], "not_home")).status == 200
    without = await result(api, one["id"], "excused")
    assert (without.status, list(without.json["fields"])) == (422, ["note"])
    excused = await result(api, one["id"], "excused", note="长期在外")
    assert excused.json["state"] == "excused"
    later = await result(api, one["id"], "told", on="2199-01-01")
    assert later.status == 422
    tries = (await api.get(f"/visits/{one['id']}", OPERATOR)).json["tries"]
    assert [row["note"] for row in tries] == ["", "", "", "长期在外"]


async def test_each_person_on_a_list_is_told_that_somebody_saw_it(
    api: Api, sending: Sending
) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    masked = await visits(api, followup)
    assert all(set(row["name"][1:]) <= {"*"} for row in masked if row["name"])
    taken = (await listed(api, followup)).json
    assert all("*" not in row["name"] for row in taken["items"] if row["name"])
    assert all("*" in row["phone"] for row in taken["items"])
    noted = await api.runtime.pool.fetch("SELECT kind, object_id FROM disclosures")
    assert {row["object_id"] for row in noted} == {row["id"] for row in taken["items"]}
    assert {row["kind"] for row in noted} == {"visit"}


@pytest.mark.parametrize("form", ["docx", "html"])
async def test_the_list_on_paper_is_noted_as_the_list_is(
    api: Api, sending: Sending, form: str
) -> None:
    followup = await start(api, sending, steps=["visit"], due_on="2027-01-31")
    await go_up(api)
    await covered(api, sending)
    path = f"/followups/{followup}/visits/document"
    body = {"area": VILLAGE, "reason": "今天下午入户", "format": form}
    made = await api.post(path, OPERATOR, body)
    assert made.status == 200, made.body
    text = made.body.decode() if form == "html" else read_docx(made.body)
    names = [row["name"] for row in (await listed(api, followup)).json["items"]]
    assert len(names) == 3
    for name in filter(None, names):
        assert name in text
    assert text.count("☐") == 5 * 3
    for said in ("南门居委会", "2027-01-31", "另有 1 人没有号码", "空号"):
        assert said in text
    assert not re.search("1[0-9]{10}", text), "numbers are masked"
    noted = await api.runtime.pool.fetch("SELECT object_id FROM disclosures")
    assert len(noted) == 6, "each of both lists is noted for each person"
    assert (await api.post(path, VIEWER, body)).status == 403
    assert (await api.post(path, STRANGER, body)).status == 404


def read_docx(octets: bytes) -> str:
    """The text of a Word file."""
    with zipfile.ZipFile(io.BytesIO(octets)) as parts:
        return re.sub("<[^>]+>", "", parts.read("word/document.xml").decode())


async def test_an_erased_person_is_visited_no_more(api: Api, sending: Sending) -> None:
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    taken = (await listed(api, followup)).json["items"]
    cipher = await api.runtime.pool.fetchval(
        "SELECT phone_cipher FROM messages m JOIN visits v USING (phone_hash) WHERE v.id = $1",
        uuid.UUID(taken[0]["id"]),
    )
    phone = api.runtime.keyring.decrypt("phone", cipher)
    await result(api, taken[0]["id"], "not_home", note="邻居说周末在家")
    found = await api.post("/privacy/lookup", ADMIN, {"phone": phone, "reason": "本人申请"})
    assert [row["state"] for row in found.json["visits"]] == ["open"]
    erased = await api.post("/privacy/erase", ADMIN, {"phone": phone, "reason": "本人申请"})
    assert (erased.status, erased.json["visits"]) == (200, 1)
    assert (await shown(api, followup))["states"] == {"erased": 1, "open": 2}
    assert taken[0]["id"] not in {row["id"] for row in (await listed(api, followup)).json["items"]}
    gone = (await visits(api, followup, "erased"))[0]
    assert (gone["name"], gone["phone"]) == (None, None)
    assert not await api.runtime.pool.fetchval(
        "SELECT count(*) FROM visit_tries WHERE note_cipher IS NOT NULL"
    )
    late = await result(api, taken[0]["id"], "told")
    assert (late.status, late.json["type"].rpartition("/")[2]) == (409, "not_on_list")


async def test_towns_visit_their_own_people_if_they_are_asked(api: Api, sending: Sending) -> None:
    pool = api.runtime.pool
    await pool.execute(
        "UPDATE departments SET area_code = $1 WHERE id = $2",
        TOWN,
        api.teams["school"].department_id,
    )
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    assert (await api.get(f"/followups/{followup}", STRANGER)).status == 404
    (one, *_) = await visits(api, followup)
    assert (await result(api, one["id"], "told", who=STRANGER)).status == 404
    await pool.execute("UPDATE followups SET with_towns = true")
    await pool.execute(
        "UPDATE visits SET area_code = '341825101001' WHERE id = $1", uuid.UUID(one["id"])
    )
    found = await shown(api, followup, STRANGER)
    assert (found["whole"], found["missed"]) == (False, 2)
    theirs = (await api.get(f"/followups/{followup}/visits", STRANGER)).json["items"]
    assert len(theirs) == 2
    assert (await result(api, one["id"], "told", who=STRANGER)).status == 404
    assert (await result(api, theirs[0]["id"], "told", who=STRANGER)).status == 200
    assert (await api.get("/followups", STRANGER)).json["items"][0]["id"] == followup
    ended = await api.post(f"/followups/{followup}/cancel", STRANGER, {"reason": "x"})
    assert ended.status == 403


async def test_a_follow_up_ends_before_its_end_and_may_begin_again(
    api: Api, sending: Sending
) -> None:
    early = await api.post(
        "/followups", OPERATOR, {"run": str(sending.run), "steps": ["visit", "again"]}
    )
    assert (early.status, list(early.json["fields"])) == (422, ["steps"])
    followup = await start(api, sending)
    twice = await api.post("/followups", OPERATOR, {"run": str(sending.run)})
    assert (twice.status, twice.json["type"].rpartition("/")[2]) == (409, "followed_up_already")
    await go_up(api)
    ended = await api.post(f"/followups/{followup}/cancel", OPERATOR, {"reason": "镇里统一走访"})
    assert (ended.status, ended.json["state"]) == (200, "cancelled")
    assert set((await shown(api, followup))["states"]) == {"left"}
    await settle_all(api)
    assert await start(api, sending) != followup


async def test_a_run_that_is_on_its_way_is_not_followed_up_yet(api: Api, sending: Sending) -> None:
    await api.runtime.pool.execute("UPDATE runs SET settled_at = NULL")
    answer = await api.post("/followups", OPERATOR, {"run": str(sending.run)})
    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "run_not_settled")
    assert (await api.post("/followups", STRANGER, {"run": str(sending.run)})).status == 404


async def test_webhooks_hear_that_a_follow_up_is_closed(api: Api, sending: Sending) -> None:
    hook = {"url": "https://sms.example.gov.cn/tocsin", "events": ["followup.closed"]}
    assert (await api.post("/webhooks", OPERATOR, hook)).status == 201
    followup = await start(api, sending, steps=["visit"])
    await go_up(api)
    for visit in await visits(api, followup):
        await result(api, visit["id"], "told")
    assert not await api.runtime.pool.fetchval("SELECT count(*) FROM webhook_events")
    signed = await api.post(f"/followups/{followup}/sign-off", APPROVER, {"area": VILLAGE})
    assert signed.json["closed"]
    (event,) = await api.runtime.pool.fetch("SELECT type, data FROM webhook_events")
    assert event["type"] == "followup.closed"
    assert event["data"] == {
        "followup_id": followup,
        "run_id": str(sending.run),
        "missed": 3,
        "reached": 0,
        "told": 3,
    }


class Died(BaseException):
    """A process that ends where it stands."""


async def test_whoever_dies_in_a_step_does_nothing_twice(
    api: Api, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each commit once; the next turn does what was not done, and nothing that was."""
    followup = await start(api, sending, steps=["again", "visit"])
    dies = True
    real = climbing._look

    async def look(*arguments: Any) -> Any:
        nonlocal dies
        made = await real(*arguments)
        dies = not dies
        if not dies:
            raise Died
        return made

    monkeypatch.setattr(climbing, "_look", look)
    made: list[uuid.UUID] = []
    for _ in range(12):
        try:
            runs = await go_up(api)
        except Died:
            continue
        for run in runs:
            await arrives(api, run)
        made += runs
    assert len(made) == 1
    assert (
        await api.runtime.pool.fetchval("SELECT count(*) FROM runs WHERE relation = 'resend'") == 1
    )
    assert (await shown(api, followup))["states"] == {"reached": 1, "open": 2}


async def test_a_follow_up_that_fails_keeps_no_other_waiting(
    api: Api, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(api, sending, steps=["visit"])

    async def fails(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(climbing, "_look", fails)
        await go_up(api)
        assert await climb(api.runtime.pool, api.clock) == []
    await go_up(api)
    assert await api.runtime.pool.fetchval("SELECT state FROM followups") == "visiting"
