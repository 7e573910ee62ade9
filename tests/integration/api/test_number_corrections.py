"""New numbers from the door: proposed, confirmed by somebody else, never lost or left behind."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from service.dispatch.expansion.expand import expand_run
from service.followups import climbing, number_corrections
from service.followups.climbing import climb
from service.privacy.retention import let_go, terms_of
from service.storage.locks import lock_contacts
from service.storage.postgres import CheckViolation, transaction
from tests.harness.followed import missed_some
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER, APPROVER = (
    ("county", role) for role in ("admin", "operator", "viewer", "approver")
)
STRANGER = ("school", "operator")
NEW, OTHER = "+8619790000042", "+8619790000043"


@pytest.fixture
async def visit(api: Api) -> str:
    """Somebody of a village who is to be visited: on the list 店主 of the department."""
    sending = await missed_some(api)
    begun = await api.post("/followups", OPERATOR, {"run": str(sending.run), "steps": ["visit"]})
    assert begun.status == 201, begun.body
    api.clock.at += climbing.SELDOM
    for run in await climb(api.runtime.pool, api.clock):
        assert await expand_run(api.runtime.pool, run, api.clock.at) is not None
    path = f"/followups/{begun.json['id']}/visits?state=open"
    found = (await api.get(path, OPERATOR)).json["items"][0]
    made = await api.post("/contacts", OPERATOR, {
        "phone": (await old_number(api, found["id"]))[3:],
        "name": "王小明",
        "roles": ["shop"],
        "org": "旌阳五金店",
        "area_code": "341825100001",
        "roster": "店主",
        "tags": ["重点"],
        "expires_on": (api.clock.at + timedelta(days=200)).date().isoformat(),
    })  # fmt: skip
    assert made.status == 201, made.body
    return str(found["id"])


async def old_number(api: Api, visit: str) -> str:
    cipher = await api.runtime.pool.fetchval(
        "SELECT phone_cipher FROM messages m JOIN visits v USING (phone_hash) WHERE v.id = $1",
        uuid.UUID(visit),
    )
    return api.runtime.keyring.decrypt("phone", cipher)


async def tell(api: Api, visit: str, phone: str = NEW, **more: Any) -> Any:
    body = {"key": str(uuid.uuid4()), "result": "told", "phone": phone, **more}
    return await api.post(f"/visits/{visit}/result", OPERATOR, body)


async def told(api: Api, visit: str, phone: str = NEW) -> str:
    """The id of the new number that was said at the door."""
    answer = await tell(api, visit, phone)
    assert answer.status == 200, answer.body
    return str(answer.json["correction_id"])


async def confirm(api: Api, correction: str, who: tuple[str, str] = ADMIN) -> Any:
    return await api.post(f"/number-corrections/{correction}/confirm", who)


async def shown(api: Api, correction: str) -> Any:
    answer = await api.get(f"/number-corrections/{correction}", VIEWER)
    assert answer.status == 200, answer.body
    return answer.json


async def on_lists(api: Api, phone: str) -> list[Any]:
    """The entries of whoever of the county has a number."""
    found = (await api.post("/contacts/lookup", OPERATOR, {"phone": phone})).json["items"]
    if not found:
        return []
    return list((await api.get(f"/contacts/{found[0]['id']}", OPERATOR)).json["entries"])


def code(answer: Any) -> str:
    return str(answer.json["type"].rpartition("/")[2])


async def test_a_wechat_id_goes_to_the_new_number_but_for_the_old_number_itself(
    api: Api, visit: str
) -> None:
    old = await old_number(api, visit)
    for wechat, roster in (("wx_jia01", "联络"), (old[3:], "群主")):
        body = {"phone": old[3:], "name": "王小明", "roles": ["liaison"], "roster": roster}
        made = await api.post("/contacts", OPERATOR, body | {"wechat": wechat})
        assert made.status == 201, made.body
    assert [one["wechat"] for one in await on_lists(api, old)][1:] == [
        "w*****01", old[3:6] + "****" + old[-4:],
    ]  # fmt: skip
    done = await confirm(api, await told(api, visit, "197 9000 0042"))
    assert done.status == 200, done.body
    kept = sorted(one["wechat"] for one in await on_lists(api, NEW))
    assert [one for one in kept if one] == ["w*****01"]


async def test_a_new_number_takes_the_old_ones_place_once_somebody_else_confirms_it(
    api: Api, visit: str
) -> None:
    old = await old_number(api, visit)
    correction = await told(api, visit, "197 9000 0042")
    assert await on_lists(api, NEW) == [], "who visits adds nobody to a list"
    assert [one["roster"] for one in await on_lists(api, old)] == ["店主"]
    waits = (await shown(api, correction)) | {"id": ""}
    assert [one["name"] for one in waits["confirmers"]] == [api.teams["county"].admin.name]
    assert (waits["state"], waits["phone"], waits["name"]) == (
        "proposed",
        "197****0042",
        "王**",
    )
    listed = (await api.get("/number-corrections?state=proposed", VIEWER)).json["items"]
    assert [one["id"] for one in listed] == [correction]
    done = await confirm(api, correction)
    assert done.status == 200, done.body
    assert done.json["rosters"] == ["走访更正"]
    assert await on_lists(api, old) == []
    (entry,) = await on_lists(api, NEW)
    assert (entry["roster"], entry["roles"], entry["org"]) == ("走访更正", ["shop"], "旌阳五金店")
    assert entry["last_day"] == (api.clock.at + timedelta(days=200)).date().isoformat()
    assert entry["imported_by"] == str(api.teams["county"].admin.id)
    said = entry["file_name"]
    assert visit in said
    assert api.teams["county"].operator.name in said
    assert api.clock.at.date().isoformat() in said
    found = (await api.post("/contacts/lookup", OPERATOR, {"phone": NEW})).json["items"][0]
    assert (found["area_code"], found["tags"], found["listed"]) == (
        "341825100001",
        ["重点"],
        True,
    )
    assert not await api.runtime.pool.fetchval("SELECT count(*) FROM suppressions")
    after = await shown(api, correction)
    assert (after["state"], after["old_phone"], after["old_number_on"]) == ("confirmed", None, [])
    again = await api.post(
        "/contacts", OPERATOR, {"phone": old[3:], "name": "别人", "roster": "新名单"}
    )
    assert again.status == 201
    assert (await shown(api, correction))["old_number_on"] == ["新名单"]


async def test_whoever_was_at_the_door_confirms_nothing(api: Api, visit: str) -> None:
    """Nor whoever wrote it down for them; the database refuses it, too."""
    team = api.teams["county"]
    first = await told(api, visit)
    refused = await confirm(api, first, OPERATOR)
    assert (refused.status, code(refused)) == (403, "second_person_needed")
    second = (await tell(api, visit, OTHER, by=str(team.admin.id))).json["correction_id"]
    for who in (OPERATOR, ADMIN):
        assert code(await confirm(api, second, who)) == "second_person_needed"
    with pytest.raises(CheckViolation, match="second person"):
        await api.runtime.pool.execute(
            "UPDATE number_corrections SET state = 'confirmed', decided_by = $1, decided_at = $2"
            " WHERE id = $3",
            team.operator.id,
            api.clock.at,
            uuid.UUID(first),
        )
    assert (await confirm(api, first, STRANGER)).status == 404
    assert (await confirm(api, first, VIEWER)).status == 403
    assert await on_lists(api, NEW) == []


async def test_a_phone_that_sends_it_twice_proposes_it_once(api: Api, visit: str) -> None:
    body = {"key": str(uuid.uuid4()), "result": "told", "phone": "19790000042"}
    path = f"/visits/{visit}/result"
    first, twice = [await api.post(path, OPERATOR, body) for _ in range(2)]
    assert (first.json["repeated"], twice.json["repeated"]) == (False, True)
    assert first.json["correction_id"] == twice.json["correction_id"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM number_corrections") == 1
    for phone in ("19790000043", ""):
        other = await api.post(path, OPERATOR, body | {"phone": phone})
        assert (other.status, code(other)) == (409, "key_reused")


async def test_two_who_confirm_at_once_confirm_it_once(api: Api, visit: str) -> None:
    correction = await told(api, visit)
    other = await told(api, visit, OTHER)
    answers = await asyncio.gather(*(confirm(api, correction) for _ in range(4)))
    statuses = sorted(one.status for one in answers)
    assert statuses == [200, 409, 409, 409], [one.body for one in answers]
    assert len(await on_lists(api, NEW)) == 1
    late = await confirm(api, other)
    assert (late.status, code(late)) == (409, "decided_already")
    assert (await shown(api, other))["state"] == "superseded"


async def test_an_import_that_runs_loses_no_proposal(api: Api, visit: str) -> None:
    correction = await told(api, visit)
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        await lock_contacts(conn, department)
        meanwhile = await confirm(api, correction)
        also = await told(api, visit, OTHER)
    assert (meanwhile.status, code(meanwhile)) == (409, "import_in_progress")
    assert (await shown(api, also))["state"] == "proposed"
    assert (await confirm(api, correction)).status == 200


async def test_what_cannot_be_confirmed_changes_nothing(api: Api, visit: str) -> None:
    """A minor, a consent that nothing shows, a person on no list in force."""
    pool, old = api.runtime.pool, await old_number(api, visit)
    correction = await told(api, visit)

    async def refused(expected: str) -> None:
        answer = await confirm(api, correction)
        assert code(answer) == expected, answer.body
        assert await on_lists(api, NEW) == []
        assert [one["roster"] for one in await on_lists(api, old)] == ["店主"]
        assert (await shown(api, correction))["state"] == "proposed"

    await pool.execute("UPDATE links SET grade = '三年级', roles = '{student}'")
    await refused("minor")
    await pool.execute("UPDATE links SET grade = '', roles = '{shop}'")
    await pool.execute("UPDATE rosters SET basis = 'consent' WHERE name = '店主'")
    await refused("consent_not_shown")
    shows = {"evidence": "卷3", "evidence_on": "2026-12-01", "evidence_by": "王强"}
    await pool.execute(
        "UPDATE rosters SET evidence = '卷3', evidence_on = '2026-12-01', evidence_by = '王强'"
        " WHERE name = '店主'"
    )
    await pool.execute("UPDATE rosters SET expires_on = $1", (api.clock.at - timedelta(2)).date())
    await refused("not_on_lists")
    await pool.execute("UPDATE rosters SET expires_on = $1", (api.clock.at + timedelta(9)).date())
    done = await confirm(api, correction)
    assert done.json["rosters"] == ["走访更正（同意）"]
    (entry,) = await on_lists(api, NEW)
    assert {name: entry[name] for name in shows} == shows, "the same consent shows it"


async def test_a_number_of_whoever_was_erased_before_is_not_confirmed(api: Api, visit: str) -> None:
    gone = await api.post("/privacy/erase", ADMIN, {"phone": NEW, "reason": "本人申请"})
    assert gone.status == 200
    api.clock.at += timedelta(minutes=1)
    correction = await told(api, visit)
    assert (await shown(api, correction))["erased"]
    assert code(await confirm(api, correction)) == "erased_number"
    assert await on_lists(api, NEW) == []


async def test_a_stopped_number_is_told_of_and_stays_stopped(api: Api, visit: str) -> None:
    correction = await told(api, visit)
    assert not (await shown(api, correction))["suppressed"]
    stop = {"phones": [NEW], "reason": "opted_out", "note": "本人要求"}
    made = await api.post("/suppressions", OPERATOR, stop)
    assert made.status in {200, 201}, made.body
    assert (await shown(api, correction))["suppressed"]
    assert (await confirm(api, correction)).status == 200
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM suppressions") == 1


async def test_a_number_that_is_no_mobile_number_is_refused_at_once(api: Api, visit: str) -> None:
    for phone in ("0563-8600110", "1979000004", "19790000042/19790000043"):
        answer = await tell(api, visit, phone)
        assert (answer.status, list(answer.json["fields"])) == (422, ["phone"])
    same = await tell(api, visit, await old_number(api, visit))
    assert (same.status, same.json["correction_id"]) == (200, None), "it is the one on file"


async def test_a_number_that_is_dropped_changes_no_list(api: Api, visit: str) -> None:
    correction, old = await told(api, visit), await old_number(api, visit)
    path = f"/number-corrections/{correction}/drop"
    dropped = await api.post(path, OPERATOR, {"reason": "报错一位"})
    assert dropped.status == 200, dropped.body
    assert (dropped.json["state"], dropped.json["reason"]) == ("dropped", "报错一位")
    assert code(await confirm(api, correction)) == "decided_already"
    assert (await on_lists(api, NEW), len(await on_lists(api, old))) == ([], 1)


@pytest.mark.parametrize("whose", ["old", "new"])
@pytest.mark.parametrize("confirmed", [False, True])
async def test_erasing_a_person_forgets_the_new_number(
    api: Api, visit: str, whose: str, confirmed: bool
) -> None:
    correction = await told(api, visit)
    old = await old_number(api, visit)
    if confirmed:
        assert (await confirm(api, correction)).status == 200
    looked = {"phone": NEW, "reason": "本人申请"}
    found = (await api.post("/privacy/lookup", ADMIN, looked)).json["number_corrections"]
    assert [one["id"] for one in found] == [correction]
    who = old if whose == "old" else NEW
    erased = await api.post("/privacy/erase", ADMIN, {"phone": who, "reason": "本人申请"})
    assert erased.status == 200, erased.body
    after = await shown(api, correction)
    assert (after["phone"], after["state"]) == (None, "confirmed" if confirmed else "lapsed")
    assert not await api.runtime.pool.fetchval(
        "SELECT count(*) FROM number_corrections WHERE phone_hash IS NOT NULL"
    )
    if not confirmed:
        assert code(await confirm(api, correction)) == "decided_already"


async def test_an_erasure_finds_a_number_that_is_being_written_down(api: Api, visit: str) -> None:
    pool, keyring = api.runtime.pool, api.runtime.keyring
    await tell(api, visit, "")
    async with transaction(pool) as conn:
        department = api.teams["county"].department_id
        await number_corrections.propose(conn, keyring, (uuid.UUID(visit), 1), department, NEW)
        body = {"phone": NEW, "reason": "本人申请"}
        erasing = asyncio.create_task(api.post("/privacy/erase", ADMIN, body))

        async def is_stuck() -> bool:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            return erasing.done() or bool(await pool.fetchval(waits))

        await until(is_stuck, what="the erasure has done what it could")
    assert (await erasing).status == 200
    assert [row["state"] for row in await pool.fetch("SELECT state FROM number_corrections")] == [
        "lapsed"
    ]


async def test_ninety_days_after_the_end_the_number_is_forgotten(api: Api, visit: str) -> None:
    first, second = await told(api, visit), await told(api, visit, OTHER)
    await confirm(api, first)
    third = await told(api, visit, "+8619790000044")
    followup = (await shown(api, first))["followup_id"]
    await api.post(f"/followups/{followup}/cancel", OPERATOR, {"reason": "镇里统一走访"})
    api.clock.at += timedelta(days=91)
    terms = terms_of(api.runtime.settings)
    await let_go(api.runtime.pool, api.runtime.keyring, terms, api.clock.at)
    states = [(await shown(api, one))["state"] for one in (first, second, third)]
    assert states == ["confirmed", "superseded", "lapsed"]
    assert not await api.runtime.pool.fetchval(
        "SELECT count(*) FROM number_corrections WHERE phone_cipher IS NOT NULL"
    )
    assert len(await on_lists(api, NEW)) == 1, "whoever is on a list stays there"
    late = await tell(api, visit)
    assert (late.status, code(late)) == (409, "not_kept")


async def test_taking_the_import_back_takes_the_new_number_off(api: Api, visit: str) -> None:
    done = await confirm(api, await told(api, visit))
    (made,) = done.json["import_ids"]
    assert (await api.get(f"/imports/{made}", OPERATOR)).json["roster"] == "走访更正"
    assert (await api.post(f"/imports/{made}/undo", OPERATOR)).status in {200, 202}


async def test_it_waits_for_whoever_could_confirm_it(api: Api, visit: str) -> None:
    correction = await told(api, visit)

    async def waiting(who: tuple[str, str]) -> list[str]:
        work = (await api.get("/work", who)).json["items"]
        kind: Any = next(
            (one for one in work if one["kind"] == "number_corrections"), {"items": []}
        )
        return [item["id"] for item in kind["items"]]

    assert await waiting(OPERATOR) == [], "was at the door"
    assert await waiting(ADMIN) == [correction]
    assert await waiting(STRANGER) == []
