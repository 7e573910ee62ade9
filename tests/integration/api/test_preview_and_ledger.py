"""What a preview says of a plan is what its ledger has, person by person."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.local.simulated_channels import CARRIERS_OF, open_simulated_channels, set_channels
from service.storage.postgres import transaction
from tests.factories import Team, make_contact, make_team, make_token, phone
from tests.integration.api.conftest import Api

TEXT = "【旌德县公安局】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。"
EVERYBODY = "carrier in (mobile, unicom, telecom, broadnet)"
TOWN, OTHER_TOWN = "341825100001", "341825101200"


class Office:
    """A department over the API, as two persons."""

    def __init__(self, api: Api, team: Team, operator: str, approver: str) -> None:
        self.api, self.team, self._who = api, team, (operator, approver)

    async def post(self, path: str, body: Any, who: int = 0, wanted: int = 300) -> Any:
        answer = await self.api.post(path, self._who[who], body)
        assert answer.status < wanted, (path, answer.body)
        return answer.json

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path, self._who[0])
        assert answer.status == 200, (path, answer.body)
        return answer.json

    async def plan(self, rule: str = EVERYBODY, **more: Any) -> str:
        """A draft of a campaign to fire now."""
        text = {"name": "刷单", "class": "public_interest", "text": TEXT}
        template = await self.post("/templates", text)
        segment = await self.post("/segments", {"name": rule[:40], "rule": rule})
        body = {"name": "刷单", "template_id": template["id"], "segment_id": segment["id"]}
        return str((await self.post("/campaigns", body | more))["id"])

    async def preview(self, campaign: str) -> Any:
        return await self.get(f"/campaigns/{campaign}/preview")

    async def fire(self, campaign: str) -> dict[bytes, str | None]:
        """Approve and fire it; each person's hash, with why it is left out of the ledger."""
        submitted = await self.post(f"/campaigns/{campaign}/submit", {})
        to_read = {f["rule"] for f in submitted.get("lint", []) if f["level"] == "review"}
        acknowledged = {"acknowledged": sorted(to_read)}
        await self.post(f"/campaigns/{campaign}/approve", acknowledged, who=1)
        runtime, now = self.api.runtime, self.api.clock.now()
        (run,) = await fire_due(runtime.pool, now)
        await expand_run(runtime.pool, run, now, runtime.keyring)
        rows = await runtime.pool.fetch(
            "SELECT phone_hash, NULL AS reason FROM messages WHERE run_id = $1"
            " UNION ALL SELECT phone_hash, reason FROM exclusions WHERE run_id = $1",
            run,
        )
        assert len({row["phone_hash"] for row in rows}) == len(rows)
        return {row["phone_hash"]: row["reason"] for row in rows}


async def office(api: Api, kind: str) -> Office:
    now, keyring = api.clock.now(), api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=now, kind=kind)
        tokens = [await make_token(conn, keyring, u, now) for u in (team.operator, team.approver)]
    return Office(api, team, *tokens)


async def add_people(api: Api, department: UUID, columns: list[dict[str, Any]]) -> list[bytes]:
    """People of a department with these columns; their hashes."""
    keyring = api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        for number, own in enumerate(columns):
            await make_contact(conn, keyring, department, number, now=api.clock.now(), **own)
    return [keyring.phone_index(phone(number)) for number in range(len(columns))]


async def shipped_channels(api: Api, folder: Path) -> None:
    """The channels as `tocsin up` makes them."""
    runtime = api.runtime
    async with transaction(runtime.pool) as conn:
        channels = open_simulated_channels(folder, tuple(CARRIERS_OF))
        await set_channels(
            conn, runtime.keyring, channels, runtime.clock, tps=200, window=16, connections=1
        )


def told(preview: Any) -> dict[str | None, int]:
    """How many a preview says are reached (None), and left out by reason."""
    return {None: preview["target"], **preview["excluded"]}


def counted(ledger: dict[bytes, str | None]) -> dict[str | None, int]:
    return {None: 0} | {r: list(ledger.values()).count(r) for r in set(ledger.values())}


async def test_a_carriers_base_on_the_channels_that_are_shipped(api: Api, tmp_path: Path) -> None:
    """A channel of two carriers is the gateway of one of them, and takes this one's base."""
    await shipped_channels(api, tmp_path)
    mobile = await office(api, "carrier")
    ported = {"carrier": "china_broadnet"}
    people = await add_people(api, mobile.team.department_id, [*[{}] * 37, *[ported] * 3])
    campaign = await mobile.plan()
    preview = await mobile.preview(campaign)
    assert told(preview) == {None: 37, "no_route": 3}
    assert [(e["channel"], e["messages"]) for e in preview["estimate"]["lanes"]] == [("cmpp", 37)]
    ledger = await mobile.fire(campaign)
    assert ledger == dict(zip(people, [None] * 37 + ["no_route"] * 3, strict=True))


@pytest.mark.attack
@pytest.mark.parametrize("whose", [None, "china_unicom"])
async def test_a_base_goes_over_no_other_carriers_gateway(
    api: Api, tmp_path: Path, whose: str | None
) -> None:
    """Nor over a channel of several carriers of which nobody has said whose it is."""
    await shipped_channels(api, tmp_path)
    mobile = await office(api, "carrier")
    people = await add_people(api, mobile.team.department_id, [{}] * 40)
    (cmpp,) = [c for c in (await mobile.get("/channels"))["items"] if c["name"] == "cmpp"]
    change = {"carriers": ["china_mobile", "china_unicom"], "operated_by": whose}
    answer = await api.patch(f"/channels/{cmpp['id']}", ("county", "admin"), change)
    assert (answer.status, answer.json["operated_by"]) == (200, whose)
    campaign = await mobile.plan()
    preview = await mobile.preview(campaign)
    assert told(preview) == {None: 0, "no_route": 40}
    assert preview["estimate"]["lanes"] == []
    explained = await mobile.post("/routes/explain", {"phone": phone(1)})
    assert explained["chosen"] is None
    (why,) = [c["reason"] for c in explained["channels"] if c["name"] == "cmpp"]
    assert "operated_by" in why
    assert "china_mobile" in why
    assert await mobile.fire(campaign) == dict.fromkeys(people, "no_route")


async def test_a_department_that_may_send_to_some_areas_only(api: Api, tmp_path: Path) -> None:
    """Whoever lives elsewhere is left out of the preview and the counts as of the ledger; whose
    area is not known is not.
    """
    await shipped_channels(api, tmp_path)
    town = await office(api, "town")
    within, without = {"area_code": TOWN}, {"area_code": OTHER_TOWN}
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    people = await add_people(
        api, town.team.department_id, [*[within] * 20, {}, {}, *[without] * 78]
    )
    path = f"/departments/{town.team.department_id}"
    answer = await api.patch(path, ("county", "admin"), {"area_code": TOWN[:9] + "000"})
    assert answer.status == 200, answer.body
    campaign = await town.plan()
    expected = {None: 22, "outside_area": 78}
    assert told(await town.post("/segments/preview", {"rule": EVERYBODY})) == expected
    preview = await town.preview(campaign)
    assert told(preview) == expected
    assert set(preview["by_area"].values()) == {20, 2}
    ledger = await town.fire(campaign)
    assert ledger == dict(zip(people, [None] * 22 + ["outside_area"] * 78, strict=True))
    assert (await town.get(f"/campaigns/{campaign}"))["baseline"] == 22


async def test_every_reason_of_the_ledger_is_one_of_the_preview(api: Api, tmp_path: Path) -> None:
    await shipped_channels(api, tmp_path)
    county = await office(api, "department")
    people = await add_people(
        api,
        county.team.department_id,
        [
            {},
            {"synthetic": False},
            {"carrier": "another"},
            {"age_band": "60-69"},
            {"age_band": None},
            {"name_cipher": None},
        ],
    )
    stop = {"phones": [phone(5)], "reason": "opted_out"}
    await county.post("/suppressions", stop)
    campaign = await county.plan("age >= 0 or carrier = mobile or not carrier = mobile")
    preview = await county.preview(campaign)
    ledger = await county.fire(campaign)
    assert told(preview) == counted(ledger)
    assert ledger[people[5]] == "opted_out"
    assert ledger[people[1]] == "not_synthetic"


async def test_the_estimate_is_of_those_whom_the_channels_take(api: Api, tmp_path: Path) -> None:
    """A plan over one channel tells whom that channel does not take."""
    await shipped_channels(api, tmp_path)
    county = await office(api, "department")
    await add_people(
        api,
        county.team.department_id,
        [*[{}] * 5, *[{"carrier": "china_unicom"}] * 7],
    )
    (cmpp,) = [c for c in (await county.get("/channels"))["items"] if c["name"] == "cmpp"]
    campaign = await county.plan(channels=[cmpp["id"]])
    preview = await county.preview(campaign)
    assert told(preview) == {None: 5, "no_route": 7}
    assert [(e["channel"], e["messages"]) for e in preview["estimate"]["lanes"]] == [("cmpp", 5)]
    assert told(preview) == counted(await county.fire(campaign))


async def test_a_preview_counts_whom_the_caps_leave_out(api: Api, tmp_path: Path) -> None:
    """At the instant of the fire: who has had enough now may have room by then."""
    await shipped_channels(api, tmp_path)
    county = await office(api, "department")
    people = await add_people(api, county.team.department_id, [{}] * 5)
    now = api.clock.now()
    await api.runtime.pool.executemany(
        "INSERT INTO recent_texts (phone_hash, class, at, runs, texts)"
        " VALUES ($1, 'public_interest', ARRAY[$2::timestamptz], '{}', '{1}')",
        [(person, now - timedelta(hours=1)) for person in people[:2]],
    )
    later = {"kind": "once", "start_at": (now + timedelta(days=2)).isoformat()}
    campaign = await county.plan(schedule=later, over_cap="stop")
    assert told(await county.preview(campaign)) == {None: 5}
    schedule = {"schedule": {"kind": "now"}}
    answer = await api.patch(f"/campaigns/{campaign}", county._who[0], schedule)
    assert answer.status == 200, answer.body
    assert told(await county.preview(campaign)) == {None: 3, "capped": 2}
    assert counted(await county.fire(campaign)) == {None: 3, "capped": 2}
    assert (await county.get(f"/campaigns/{campaign}"))["baseline"] == 5


async def test_the_preview_of_a_rule_says_what_it_cannot_tell(api: Api, tmp_path: Path) -> None:
    """Before there are channels nobody lacks one; and caps are of a class."""
    county = await office(api, "department")
    other = {"carrier": "another"}
    people = await add_people(api, county.team.department_id, [{}, {}, other])
    await api.runtime.pool.execute(
        "INSERT INTO recent_texts (phone_hash, class, at, runs, texts)"
        " VALUES ($1, 'public_interest', ARRAY[$2::timestamptz, $2, $2, $2, $2, $2], '{}', '{}')",
        people[0],
        api.clock.now(),
    )
    rule = {"rule": "not gender = f"}
    before = await county.post("/segments/preview", rule)
    assert told(before) == {None: 3}
    assert {"no_route", "capped", "no_name", "class_not_allowed"} <= set(before["not_known"])
    await shipped_channels(api, tmp_path)
    after = await county.post("/segments/preview", rule)
    assert told(after) == {None: 2, "no_route": 1}
    assert not {"no_route", "synthetic_range", "not_synthetic"} & set(after["not_known"])
    of_class = await county.post("/segments/preview", rule | {"class": "public_interest"})
    assert told(of_class) == {None: 1, "no_route": 1, "capped": 1}
    assert not {"capped", "class_not_allowed"} & set(of_class["not_known"])
    assert (await county.preview(await county.plan()))["not_known"] == []
    await api.runtime.pool.execute(
        "UPDATE departments SET classes = '{service}' WHERE id = $1", county.team.department_id
    )
    barred = await county.post("/segments/preview", rule | {"class": "public_interest"})
    assert told(barred) == {None: 0, "class_not_allowed": 3}
