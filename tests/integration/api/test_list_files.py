"""Lists for a carrier that sends by itself, over HTTP: drawn, fetched, and given back."""

import asyncio
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.campaigns.stops import guard_store
from service.channels.config import store as channels
from service.channels.contract.gateway import Delivery
from service.crypto import Keyring
from service.delivery.list_files import list_file_store, results
from service.delivery.list_files.list_file import look_at_lists
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.compose import VARIABLES
from service.dispatch.handoff import channel_server, lease_store
from service.dispatch.handoff import store as handoff_store
from service.storage.postgres import Pool, TooSlow, transaction
from tests.harness.channels import confirmed
from tests.harness.joint import MOBILE, UNICOM, JointCounty
from tests.harness.joint_api import approved, joint_county, leg_of
from tests.harness.keys import ADMIN
from tests.harness.list_files import (
    all_handed_off,
    answered,
    carrier_key,
    channels_served,
    closed,
    drawn,
    is_signed,
    lines_of,
    list_channel,
    make_key,
    opened,
)
from tests.harness.uploads import only
from tests.integration.api.conftest import Api

MOBILES = (MOBILE, "operator")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_server, "FOLLOW_SECONDS", 0.05)


@pytest.fixture
async def county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    return await joint_county(api, pool, keyring)


async def fired(api: Api, county: JointCounty) -> tuple[int, str]:
    """A joint plan has fired whose leg of MOBILE goes out as a list; its channel, and the plan."""
    channel = await list_channel(api, MOBILE)
    made = await approved(api, county)
    leg = await leg_of(api, MOBILE)
    taken = await api.post(f"/legs/{leg['id']}/take", MOBILES, {"channels": [channel]})
    assert taken.status == 200, taken.json
    await county.pass_time(timedelta(hours=1))
    api.clock.at = county.now
    county.plan = await county.loaded(UUID(made["id"]))
    return channel, made["id"]


async def states(county: JointCounty) -> Counter[str]:
    found: dict[str, int] = await county.states(await county.run_of(MOBILE))
    return Counter(found)


async def fetched(api: Api, list_id: str) -> dict[str, bytes]:
    answer = await api.post(f"/list-files/{list_id}/archive", MOBILES)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/pkcs7-mime")
    return opened(answer.body)


async def given_back(api: Api, list_id: str, file: bytes) -> Any:
    return await api.call("POST", f"/list-files/{list_id}/results", MOBILES, data=only(file))


@pytest.mark.attack
async def test_from_the_fire_to_the_results(api: Api, county: JointCounty) -> None:
    channel, plan_id = await fired(api, county)
    waits = {kind["kind"]: kind for kind in (await api.get("/work", MOBILES)).json["items"]}
    (item,) = waits["list_files"]["items"]
    assert (item["id"], item["code"]) == (str(channel), "list_not_drawn")
    run = await county.run_of(MOBILE)
    queued = (await api.get(f"/runs/{run}/messages", MOBILES)).json["items"]
    assert {row["state"] for row in queued} == {"queued"}

    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
        assert (found["state"], found["lines"]) == ("ready", 3)
        assert await states(county) == {"submitted": 3}

    files = await fetched(api, found["id"])
    assert is_signed(files, found["public_key"])
    lines = lines_of(files)
    (text,) = json.loads(files["texts.json"])
    own = await county.own(MOBILE)
    assert {line["短信内容"] for line in lines} == {own.text} == {text["text"]}
    assert text["text_sha256"] == hashlib.sha256(own.text.encode()).hexdigest()
    assert own.content_hash is not None
    assert text["approved_sha256"] == own.content_hash.hex()
    assert text["rule"]["zh"]
    assert next(iter(text["hours"].values())) == [["08:00", "20:00"]]
    assert text["valid_until"].endswith("+08:00")
    form = files["form.html"].decode()
    assert own.text in form
    assert text["text_sha256"] in form
    numbers = sorted(line["手机号码"] for line in lines)
    assert len(set(numbers)) == 3
    assert all(len(number) == 11 for number in numbers)

    said = {numbers[0]: ("成功", ""), numbers[1]: ("失败", "空号")}
    answer = await given_back(api, found["id"], answered(lines, said, "gb18030"))
    assert answer.status == 200, answer.body
    assert answer.json["lines"]["recorded"] == 2
    assert answer.json["lines"]["open"] == 1
    assert answer.json["states"] == {"delivered": 1, "undelivered": 1}
    await fold_receipts(api.runtime.pool, channel, api.clock.now())
    assert await states(county) == {"delivered": 1, "undelivered:empty_number": 1, "submitted": 1}

    report = (await api.get(f"/campaigns/{plan_id}/report", ("county", "operator"))).json
    (leg,) = [leg for leg in report["legs"] if leg["carrier"] == MOBILE]
    assert (leg["target"], leg["reached"]) == (3, 1)
    again = await given_back(api, found["id"], answered(lines, said))
    assert again.json["lines"]["already"] == 2
    assert again.json["lines"]["recorded"] == 0


@pytest.mark.attack
async def test_numbers_leave_for_their_own_carrier_alone(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    unicom, county_office = (UNICOM, "operator"), ("county", "operator")
    for who, status, code in (
        (unicom, 403, "not_your_base"),
        (county_office, 403, "not_your_base"),
        (ADMIN, 403, "not_your_base"),
        (("county", "viewer"), 403, "forbidden"),
    ):
        refused = await api.post("/list-files", who, {"channel_id": channel})
        assert (refused.status, refused.json["type"]) == (status, f"/problems/{code}")
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    at = f"/list-files/{found['id']}"
    for who, status in ((unicom, 404), (county_office, 404), (ADMIN, 403)):
        assert (await api.post(f"{at}/archive", who)).status == status
        counts = {"run_id": found["runs"][0]["run_id"], "delivered": 1, "undelivered": 0}
        assert (await api.post(f"{at}/counts", who, counts)).status == status
        results = await api.call("POST", f"{at}/results", who, data=only(b"x"))
        assert results.status == status
    assert (await api.get(at, unicom)).status == 404
    assert (await api.get("/list-files", unicom)).json["items"] == []
    assert len((await api.get("/list-files", ADMIN)).json["items"]) == 1  # counts alone
    assert len((await api.get("/list-files", MOBILES)).json["items"]) == 1


@pytest.mark.slow
@pytest.mark.attack
async def test_the_database_keeps_lists_with_their_carrier(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    mobile, unicom = county.sides[MOBILE], county.sides[UNICOM]
    insert = (
        "INSERT INTO list_files (channel_id, carrier, drawn_by, drawn_at, state)"
        " VALUES ($1, $2, $3, $4, 'ready') RETURNING id"
    )
    for number, carrier, person in (
        (channel, UNICOM, unicom.operator.id),  # not the channel's carrier
        (channel, MOBILE, unicom.operator.id),  # somebody else's person
        (mobile.channel, MOBILE, mobile.operator.id),  # a channel that hands off by itself
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await county.pool.fetchval(insert, number, carrier, person, county.now)
    made = await county.pool.fetchval(insert, channel, MOBILE, mobile.operator.id, county.now)
    other = await leg_of(api, UNICOM)
    taken = await api.post(f"/legs/{other['id']}/take", (UNICOM, "operator"), {"missed": "run"})
    assert taken.status == 200, taken.json
    await county.pass_time()
    run = await county.run_of(UNICOM)
    with pytest.raises(asyncpg.CheckViolationError):
        await county.pool.execute(
            "INSERT INTO list_file_lines (list_file_id, line, run_id, no, attempt)"
            " VALUES ($1, 1, $2, 1, 1)",
            made,
            run,
        )


async def marked_and_killed(api: Api, county: JointCounty, channel: int) -> str:
    """A list is being drawn, and the process that had marked its texts is dead; the list."""
    county.sides[MOBILE].channel = channel
    async with transaction(county.pool) as conn:
        await lease_store.ensure_connections(conn, channel, 1)
    made = (await api.post("/list-files", MOBILES, {"channel_id": channel})).json
    await county.hand_off(MOBILE)
    await county.pool.execute("UPDATE list_files SET state = 'closing'")
    await look_at_lists(county.pool, county.now)
    assert (await api.get(f"/list-files/{made['id']}", MOBILES)).json["state"] == "closing"
    await county.pool.execute(
        "UPDATE connections SET expires_at = clock_timestamp() - interval '1 s'"
        " WHERE channel_id = $1",
        channel,
    )
    async with transaction(county.pool) as conn:
        await lease_store.recover_connection(conn, channel, 0, county.now)
    assert await states(county) == {"uncertain:no_answer": 3}
    await look_at_lists(county.pool, county.now)
    found: str = made["id"]
    return found


@pytest.mark.attack
async def test_what_a_dead_process_had_marked_stands_on_the_next_list(
    api: Api, county: JointCounty
) -> None:
    channel, _ = await fired(api, county)
    first = await marked_and_killed(api, county, channel)
    assert (await api.get(f"/list-files/{first}", MOBILES)).json["state"] == "empty"
    assert await states(county) == {"queued": 3}
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    numbers = [line["手机号码"] for line in lines_of(await fetched(api, found["id"]))]
    assert len(numbers) == len(set(numbers)) == 3


def refuse(_: Delivery) -> asyncio.Future[None]:
    raise AssertionError("nothing comes back over such a channel")


async def no_match(*_: object) -> None:
    """Nothing is to be matched."""


@pytest.mark.slow
async def test_no_connection_takes_a_channel_whose_list_is_closed(
    api: Api, county: JointCounty
) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        await drawn(api, MOBILES, channel)
    async with transaction(county.pool) as conn:
        assert not await handoff_store.list_is_drawn(conn, channel)
        assert await handoff_store.channels_with_a_list(conn) == set()
    async with county.pool.acquire() as conn:
        found = await channels.get_channel(conn, api.runtime.keyring, channel)
    assert found is not None
    server = channel_server.ChannelServer(api.runtime, lambda _: refuse, no_match)
    assert await channel_server.ConnectionSlot(server, found, 0)._claim() is None
    held = await county.pool.fetchval(
        "SELECT count(*) FROM connections WHERE channel_id = $1 AND owner IS NOT NULL", channel
    )
    assert held == 0


async def test_a_text_says_that_it_waits_for_a_list(api: Api, county: JointCounty) -> None:
    await fired(api, county)
    run = await county.run_of(MOBILE)
    shown = (await api.get(f"/messages/{run}.1", MOBILES)).json
    assert "名单" in shown["plain"]["zh"]


@pytest.mark.attack
async def test_nobody_stands_on_two_lists(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        first = await drawn(api, MOBILES, channel)
        second = await drawn(api, MOBILES, channel)
    assert (first["lines"], second["lines"], second["state"]) == (3, 0, "empty")
    refused = await api.post(f"/list-files/{second['id']}/archive", MOBILES)
    assert (refused.status, refused.json["type"]) == (409, "/problems/list_not_ready")
    once, twice = [lines_of(await fetched(api, first["id"])) for _ in range(2)]
    assert once == twice
    assert (await api.get(f"/list-files/{first['id']}", MOBILES)).json["fetches"] == 2


@pytest.mark.slow
async def test_one_list_of_a_channel_is_drawn_at_a_time(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    assert (await api.post("/list-files", MOBILES, {"channel_id": channel})).status == 201
    again = await api.post("/list-files", MOBILES, {"channel_id": channel})
    assert (again.status, again.json["type"]) == (409, "/problems/list_being_drawn")
    other = county.sides[MOBILE].channel
    assert (await api.post("/list-files", MOBILES, {"channel_id": other})).status == 404


@pytest.mark.attack
@pytest.mark.parametrize("stopped", ["pause", "cancel", "stop", "late", "validity", "certificate"])
async def test_nothing_leaves_that_may_not(api: Api, county: JointCounty, stopped: str) -> None:
    channel, plan_id = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    at, own = f"/list-files/{found['id']}/archive", (await county.own(MOBILE)).id
    match stopped:
        case "pause":
            done = await api.post(f"/campaigns/{own}/pause", MOBILES, {"reason": "停"})
            code = "wrong_state"
        case "cancel":
            done = await api.post(
                f"/campaigns/{plan_id}/cancel", ("county", "operator"), {"reason": "停"}
            )
            code = ""
        case "stop":
            done = await api.post("/stop-all", ADMIN, {"reason": "停"})
            code = "everything_is_stopped"
        case "late":
            api.clock.at += timedelta(hours=24, seconds=1)
            code = "list_too_old"
        case "validity":
            await county.pool.execute("UPDATE runs SET valid_until = $1", county.now)
            code = ""
        case _:
            made = make_key(
                2048, datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
            )
            done = await api.patch(
                f"/channels/{channel}", ADMIN, {"config": {"certificate": made.pem}}
            )
            code = "certificate_expired"
    if stopped in {"pause", "cancel", "stop", "certificate"}:
        assert done.status in {200, 201}, done.body
    answer = await api.post(at, MOBILES)
    if code:
        assert (answer.status, answer.json["type"]) == (409, f"/problems/{code}")
    else:
        assert lines_of(opened(answer.body)) == []


async def test_whoever_was_erased_meanwhile_has_no_line(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    await county.pool.execute("UPDATE messages SET phone_cipher = NULL WHERE no = 1")
    assert len(lines_of(await fetched(api, found["id"]))) == 2


@pytest.mark.slow
@pytest.mark.attack
async def test_every_line_that_gives_nothing_is_named(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    early = await given_back(api, found["id"], b"x")
    assert (early.status, early.json["type"]) == (409, "/problems/list_not_fetched")
    one, two, three = lines_of(await fetched(api, found["id"]))
    rows = [
        "编号,手机号码,状态,原因,时间",
        f"{one['编号']},{one['手机号码']},成功,,2027-01-12 09:31",
        f"{one['编号']},{one['手机号码']},成功,,",  # the same again
        f",{two['手机号码']},失败,关机,",
        f"{two['编号']},,成功,,",  # something else of the same text
        f"{three['编号']},{three['手机号码']},天知道,,",
        f"{three['编号']},{two['手机号码']},成功,,",  # the reference of another number
        ",19790009999,成功,,",
        ",1979000,成功,,",
        f"{three['编号']},{three['手机号码']},停机,,昨天",
        f"{three['编号']},{three['手机号码']},停机,,",
    ]
    answer = await given_back(api, found["id"], "\n".join(rows).encode())
    assert answer.status == 200, answer.body
    assert answer.json["lines"] == {
        "recorded": 2,
        "open": 0,
        "already": 1,
        "unknown": 2,
        "ambiguous": 2,
        "unreadable": 3,
    }
    assert all(row["plain"]["zh"] and row["plain"]["en"] for row in answer.json["rows"])
    named = [(row["row"], row["result"]) for row in answer.json["rows"]]
    assert named == [
        (4, "ambiguous"),
        (5, "ambiguous"),
        (6, "unreadable"),
        (7, "unknown"),
        (8, "unknown"),
        (9, "unreadable"),
        (10, "unreadable"),
    ]
    await fold_receipts(api.runtime.pool, channel, api.clock.now())
    assert await states(county) == {"delivered": 1, "undelivered:suspended": 1, "submitted": 1}


@pytest.mark.slow
@pytest.mark.attack
async def test_the_file_of_another_list_is_refused_whole(
    api: Api, county: JointCounty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST_NAMED", 2)
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    (one, *_) = lines_of(await fetched(api, found["id"]))
    strangers = [f"1979000990{n},成功" for n in range(3)]
    file = "\n".join(["手机号码,状态", f"{one['手机号码']},成功", *strangers]).encode()
    answer = await given_back(api, found["id"], file)
    assert (answer.status, answer.json["type"]) == (422, "/problems/too_many_unread")
    assert await county.pool.fetchval("SELECT count(*) FROM receipt_inbox") == 0


@pytest.mark.slow
async def test_counts_stand_beside_the_ledger(api: Api, county: JointCounty) -> None:
    channel, plan_id = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    await fetched(api, found["id"])
    at, run = f"/list-files/{found['id']}/counts", found["runs"][0]["run_id"]
    for wrong in (
        {"run_id": run, "delivered": 3, "undelivered": 1},
        {"run_id": found["id"], "delivered": 1, "undelivered": 1},
        {"run_id": run, "delivered": -1, "undelivered": 1},
    ):
        assert (await api.post(at, MOBILES, wrong)).status == 422
    told = await api.post(at, MOBILES, {"run_id": run, "delivered": 2, "undelivered": 1})
    (given,) = told.json["results"]
    assert (given["run_id"], given["counts"]) == (run, {"delivered": 2, "undelivered": 1})
    assert await states(county) == {"submitted": 3}
    corrected = {"run_id": run, "delivered": 1, "undelivered": 1}
    assert (await api.post(at, MOBILES, corrected)).status == 200
    report = (await api.get(f"/campaigns/{plan_id}/report", ("county", "operator"))).json
    listed = {leg["carrier"]: leg["listed"] for leg in report["legs"]}
    assert listed[MOBILE] == {"texts": 3, "told_delivered": 1, "told_undelivered": 1}
    assert listed[UNICOM] is None


@pytest.mark.parametrize(
    ("certificate", "says"),
    [("x", "PEM"), ("small", "1024 bits"), ("", "PEM")],
)
async def test_a_certificate_that_nothing_can_be_encrypted_to_is_refused(
    api: Api, certificate: str, says: str
) -> None:
    pem = carrier_key(1024).pem if certificate == "small" else certificate
    body = {
        "name": "名单",
        "kind": "list_file",
        "simulated": True,
        "carriers": [MOBILE],
        "config": {"certificate": pem},
    }
    answer = await api.post("/channels", ADMIN, body)
    assert answer.status == 422
    assert says in answer.json["fields"]["config.certificate"]


@pytest.mark.attack
async def test_a_new_certificate_takes_two_persons(api: Api) -> None:
    body = {
        "name": "移动名单",
        "kind": "list_file",
        "simulated": False,
        "carriers": [MOBILE],
        "config": {"certificate": carrier_key().pem},
    }
    made = await api.post("/channels", ADMIN, body)
    assert made.status == 201, made.body
    number = made.json["id"]
    assert not made.json["enabled"]
    await confirmed(api, number)
    other = make_key(2048, datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))
    change = {"config": {"certificate": other.pem}}
    refused = await api.patch(f"/channels/{number}", ADMIN, change)
    assert (refused.status, refused.json["type"]) == (409, "/problems/needs_second_person")


@pytest.mark.attack
async def test_what_a_frozen_process_records_later_is_on_no_list(
    api: Api, county: JointCounty
) -> None:
    """Its texts were given back meanwhile, and stand on the next list once."""
    channel, _ = await fired(api, county)
    run = await county.run_of(MOBILE)
    await marked_and_killed(api, county, channel)
    async with channels_served(api.runtime):
        made = await api.post("/list-files", MOBILES, {"channel_id": channel})
        await county.pool.execute(  # what the frozen process had been answered
            "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)"
            " SELECT $2, convert_to('OLD' || no, 'UTF8'), phone_hash, run_id, no, 1, 1, $3"
            " FROM messages WHERE run_id = $1",
            run,
            channel,
            county.now,
        )
        await all_handed_off(api, channel)
        found = await closed(api, MOBILES, made.json["id"])
    lines = lines_of(await fetched(api, found["id"]))
    assert len(lines) == len({line["手机号码"] for line in lines}) == 3
    assert not [line for line in lines if line["编号"].startswith("OLD")]


@pytest.mark.slow
async def test_a_corrected_result_takes_back_the_second_try(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    lines = lines_of(await fetched(api, found["id"]))
    number = lines[0]["手机号码"]
    for status, reason in (("失败", "收件箱满"), ("成功", "")):
        answer = await given_back(api, found["id"], answered(lines, {number: (status, reason)}))
        assert answer.json["lines"]["recorded"] == 1
        await fold_receipts(api.runtime.pool, channel, api.clock.now())
    assert await states(county) == {"delivered": 1, "submitted": 2}


@pytest.mark.slow
async def test_a_list_that_nobody_fetches_lapses(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    places = "SELECT count(*) FROM joint_places"
    assert await county.pool.fetchval(places) == 3
    api.clock.at += timedelta(hours=24, seconds=1)
    await look_at_lists(county.pool, api.clock.at)
    shown = (await api.get(f"/list-files/{found['id']}", MOBILES)).json
    assert (shown["state"], shown["lines"]) == ("lapsed", 0)
    assert await states(county) == {"rejected:list_lapsed": 3}
    assert await county.pool.fetchval(places) == 0


async def test_whoever_opted_out_before_a_list_was_fetched_is_not_on_it(
    api: Api, county: JointCounty
) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    number = "+8619790000001"
    added = await api.post(
        "/suppressions", MOBILES, {"phones": [number], "reason": "opted_out", "note": "n"}
    )
    assert added.status in {200, 201}, added.body
    files = await fetched(api, found["id"])
    numbers = {line["手机号码"] for line in lines_of(files)}
    assert len(numbers) == 2
    assert [text["lines"] for text in json.loads(files["texts.json"])] == [2]
    assert json.loads(files["manifest.json"])["lines"] == 2
    assert number.removeprefix("+86") not in numbers
    assert await states(county) == {"submitted": 2, "rejected:list_lapsed": 1}


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError("broken"), TooSlow("too large")])
async def test_one_list_that_fails_holds_up_no_other(
    api: Api, county: JointCounty, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    channel, _ = await fired(api, county)
    other = await list_channel(api, MOBILE, name="另一份名单")
    for number in (channel, other):
        await api.post("/list-files", MOBILES, {"channel_id": number})
    await county.pool.execute("UPDATE list_files SET state = 'closing'")
    write = list_file_store.write_lines

    async def fail(conn: Any, one: Any, now: datetime) -> int:
        if one["channel_id"] == channel:
            raise error
        return await write(conn, one, now)

    monkeypatch.setattr(list_file_store, "write_lines", fail)
    await look_at_lists(county.pool, county.now)
    found = (await api.get("/list-files", MOBILES)).json["items"]
    assert {one["channel_id"]: one["state"] for one in found} == {
        channel: "closing",
        other: "empty",
    }


async def test_a_channel_of_lists_stays_with_its_carrier(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    change = {"carriers": [UNICOM]}
    refused = await api.patch(f"/channels/{channel}", ADMIN, change)
    assert (refused.status, refused.json["type"]) == (409, "/problems/list_of_a_carrier")


@pytest.mark.slow
async def test_texts_of_direct_sends_have_the_values_that_came_with_them(
    api: Api, county: JointCounty
) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        found = await drawn(api, MOBILES, channel)
    keyring = api.runtime.keyring
    await county.pool.execute(
        "UPDATE messages SET direct = true, variables_cipher = $1",
        keyring.encrypt(VARIABLES, json.dumps({"code": "1234"})),
    )
    await county.pool.execute("UPDATE runs SET text = '【某局】验证{code}。'")
    texts = {line["短信内容"] for line in lines_of(await fetched(api, found["id"]))}
    assert texts == {"【某局】验证1234。"}


@pytest.mark.slow
async def test_a_list_without_results_pauses_no_run(api: Api, county: JointCounty) -> None:
    channel, _ = await fired(api, county)
    async with channels_served(api.runtime):
        await drawn(api, MOBILES, channel)
    run = await county.run_of(MOBILE)
    later = api.clock.at + timedelta(hours=3)
    async with county.pool.acquire() as conn:
        figures = await guard_store.figures(conn, run, timedelta(hours=1), later)
        await conn.execute("UPDATE channels SET kind = 'cmpp' WHERE id = $1", channel)
        others = await guard_store.figures(conn, run, timedelta(hours=1), later)
    assert (figures.silent, others.silent) == (0, 3)
