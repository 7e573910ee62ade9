"""The county's pack of a week: due a minute after the deadline, one a version, signed for good."""

import asyncio
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.crypto import Keyring, Keys
from service.duties import step_store
from service.duties.duties import Handing, submit
from service.privacy.retention import RetentionTerms, let_go
from service.privacy.rotation import rotate
from service.reports.coverage.counting import count_coverage
from service.reports.verify_evidence import faults, withdrawn
from service.reports.weekly import pack_due_store, pack_store, packs
from service.reports.weekly.packs import build_next, make_due
from service.storage.postgres import CheckViolation, transaction
from tests.harness.chats import add_group, approved_text
from tests.harness.owed import COUNTY, FRIDAY, SCHOOL, duties, made_duty, set_obligation, turn
from tests.harness.photos import photo
from tests.harness.relayed import add_relay
from tests.harness.sending import begin_sending
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Answer, Api

MINUTE = timedelta(minutes=1)
WEEK = "2027-W02"
INSPECTOR = ("county", "inspector")
DUE = FRIDAY + MINUTE
REPORT = {"narrative": "集市宣讲两场。"}


async def pack_due(api: Api) -> bool:
    return await make_due(api.runtime.pool, api.clock.at)


async def build(api: Api) -> bool:
    runtime = api.runtime
    return await build_next(runtime.pool, runtime.keyring, api.clock, runtime.settings)


async def versions(api: Api) -> list[dict[str, Any]]:
    answer = await api.get(f"/reports/weekly/packs?week={WEEK}", COUNTY)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def take(api: Api, version: int | None = None) -> Answer:
    more = "" if version is None else f"&version={version}"
    return await api.get(f"/reports/weekly/pack?week={WEEK}{more}", COUNTY)


def opened(answer: Answer) -> zipfile.ZipFile:
    assert answer.status == 200, answer.body
    return zipfile.ZipFile(io.BytesIO(answer.body))


def facts_of(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(opened(answer).read("facts.json"))
    return found


async def built(api: Api) -> None:
    """The school has sent, and not handed in; a minute after the deadline the pack is built."""
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    sending = await begin_sending(api, team="school")
    await sending.become("delivered", range(1, 6))
    await set_obligation(api, departments=[], kinds=["school", "county"])
    await turn(api)
    api.clock.at += timedelta(hours=1)
    await count_coverage(api.runtime.pool, api.clock)
    await count_coverage(api.runtime.pool, api.clock)
    api.clock.at = DUE
    assert await pack_due(api)
    assert await build(api)


async def test_the_first_version_is_due_a_minute_after_the_deadline(api: Api) -> None:
    await made_duty(api)
    api.clock.at = DUE - timedelta(seconds=1)
    assert not await pack_due(api)
    assert await versions(api) == []
    api.clock.at = DUE
    assert await pack_due(api)
    assert await pack_due(api), "it still waits"
    (waiting,) = await versions(api)
    assert (waiting["version"], waiting["state"], waiting["as_of"]) == (1, "waiting", None)
    early = await take(api)
    assert (early.status, early.json["type"]) == (409, "/problems/pack_not_built")
    assert await build(api)
    assert not await build(api)
    assert not await pack_due(api)
    (one,) = await versions(api)
    assert (one["state"], one["units"], one["handed_in"]) == ("built", 1, 0)


@pytest.mark.parametrize(
    ("holidays", "due"),
    [(["2027-01-15"], DUE - timedelta(days=1)), (["2027-01-15", "2027-01-14"], DUE)],
)
async def test_notices_move_the_pack_whoever_was_in_before(
    api: Api, holidays: list[str], due: datetime
) -> None:
    await set_obligation(api, departments=[], kinds=["school", "county"])
    await turn(api)
    (duty,) = [one["id"] for one in await duties(api, SCHOOL, "?mine=true")]
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, REPORT)
    assert handed.status == 200, handed.body
    for day in holidays:
        notice = {"year": 2027, "source": "某通知", "holidays": {day: "某节"}, "workdays": []}
        body = {"notices": [notice], "reason": "放假通知"}
        answer = await api.call("PUT", "/holidays", ("county", "admin"), json=body)
        assert answer.status == 200, answer.body
        assert (await turn(api)).moved == 1
    api.clock.at = due - timedelta(seconds=1)
    assert not await pack_due(api)
    api.clock.at = due
    assert await pack_due(api)


async def test_a_unit_that_handed_nothing_in_stands_with_what_the_facts_say(api: Api) -> None:
    await built(api)
    archive = opened(await take(api))
    facts = json.loads(archive.read("facts.json"))
    school = next(unit for unit in facts["units"] if unit["kind"] == "school")
    assert school["report"] is None
    assert school["now"]["sections"]["campaigns"][0]["reached"] == 5
    assert school["lacking"] == ["liaison", "leader"]
    for name in ("pack.docx", "pack.xlsx"):
        with zipfile.ZipFile(io.BytesIO(archive.read(name))) as parts:
            text = "".join(
                parts.read(part).decode() for part in parts.namelist() if part.endswith(".xml")
            )
            for said in ("未报送", "各单位汇总", school["name"]):
                assert said in text, (name, said)


async def test_relays_of_units_are_in_the_pack_and_later_answers_beside(api: Api) -> None:
    await approved_text(api)
    await add_group(api)
    duty = await made_duty(api)
    relay = await add_relay(api, "school", WEEK, DUE, 4, 1, state="going")
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, REPORT)
    assert handed.status == 200, handed.body
    await api.runtime.pool.execute(
        "UPDATE relay_nodes SET state = 'done', via = 'sms', done_at = $2 WHERE relay_id = $1"
        " AND no = 2",
        relay,
        DUE,
    )
    api.clock.at = DUE
    assert await pack_due(api)
    assert await build(api)
    archive = opened(await take(api))
    (unit,) = json.loads(archive.read("facts.json"))["units"]
    (then,) = json.loads(unit["report"]["canonical"])["sections"]["relays"]
    (now,) = unit["now"]["sections"]["relays"]
    assert [(one["confirmed"], one["confirmed_pct"]) for one in (then, now)] == [
        (1, "25.0"),
        (2, "50.0"),
    ]
    for name in ("pack.docx", "pack.xlsx"):
        with zipfile.ZipFile(io.BytesIO(archive.read(name))) as parts:
            text = "".join(
                parts.read(part).decode() for part in parts.namelist() if part.endswith(".xml")
            )
            for said in ("本周逐级推送", "此后的逐级推送"):
                assert said in text, (name, said)


async def test_each_later_report_is_in_a_further_version_and_earlier_ones_stay(api: Api) -> None:
    await built(api)
    first = await take(api)
    (duty,) = [one["id"] for one in await duties(api, SCHOOL, "?mine=true")]
    api.clock.at += timedelta(hours=1)
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, REPORT)
    assert handed.status == 200, handed.body
    assert await pack_due(api)
    assert await build(api)
    assert not await pack_due(api)
    assert [(one["version"], one["handed_in"]) for one in await versions(api)] == [(2, 1), (1, 0)]
    second = await take(api)
    school = next(unit for unit in facts_of(second)["units"] if unit["kind"] == "school")
    assert school["report"]["narrative"] == REPORT["narrative"]
    assert school["duties"][0]["late_minutes"] == 61
    assert (await take(api, 1)).body == first.body, "the same octets each time"
    assert (await take(api, 3)).status == 404


async def test_a_pack_is_verified_alone_and_a_changed_octet_is_found(api: Api) -> None:
    await built(api)
    key = bytes.fromhex((await api.get("/evidence-key", COUNTY)).json["public_key"])
    archive = await take(api)
    assert faults(opened(archive), key) == []
    assert faults(opened(archive), bytes(31) + b"\1") == ["the signature is not of this key"]
    for changed in ("pack.docx", "pack.xlsx", "facts.json", "verify_evidence.py"):
        assert faults(_with(opened(archive), changed), key) == [f"{changed} was changed"]
    assert faults(_with(opened(archive), "manifest.json"), key) == [
        "the signature is not of this key"
    ]
    assert faults(_with(opened(archive), "", extra="more.txt"), key) == [
        "more.txt is not as in the manifest"
    ]


def _with(archive: zipfile.ZipFile, changed: str, extra: str = "") -> zipfile.ZipFile:
    """The same archive with the last octet of a file changed, or a further file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name in archive.namelist():
            octets = archive.read(name)
            if name == changed:
                octets = octets[:-1] + bytes([octets[-1] ^ 1])
            out.writestr(name, octets)
        if extra:
            out.writestr(extra, b"x")
    return zipfile.ZipFile(made)


async def test_what_was_built_does_not_change(api: Api) -> None:
    await built(api)
    for change in (
        "UPDATE packs SET problem = 'x'",
        "DELETE FROM packs",
        "UPDATE pack_files SET name = 'x'",
        "DELETE FROM pack_pieces",
        "UPDATE pack_pieces SET no = no + 100",
    ):
        with pytest.raises(CheckViolation, match="do not change"):
            await api.runtime.pool.execute(change)


async def test_a_pack_is_kept_under_a_new_key_and_stays_what_it_was(api: Api) -> None:
    await built(api)
    before = (await take(api)).body
    masters = Keys({1: b"\x01" * 32, 2: b"\x02" * 32})
    async with api.runtime.pool.acquire() as conn:
        done = await rotate(conn, Keyring(masters))
    assert done["pack_pieces"] > 0
    api.runtime.keyring._take(masters)  # the processes are started again
    assert (await take(api)).body == before


async def test_two_schedulers_and_two_builders_make_one_pack_a_version(api: Api) -> None:
    await made_duty(api)
    api.clock.at = DUE
    await asyncio.gather(*(pack_due(api) for _ in range(4)))
    outcomes = await asyncio.gather(*(build(api) for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]
    (one,) = await versions(api)
    assert (one["version"], one["state"]) == (1, "built")


async def test_a_builder_that_died_is_followed_and_its_late_word_counts_for_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made_duty(api)
    api.clock.at = DUE
    await pack_due(api)
    reached, go_on = asyncio.Event(), asyncio.Event()
    keep = pack_store.keep

    async def slow(conn: Any, *args: Any) -> bool:
        reached.set()
        await go_on.wait()
        return await keep(conn, *args)

    monkeypatch.setattr(pack_store, "keep", slow)
    frozen = asyncio.create_task(build(api))
    await reached.wait()
    assert not await build(api), "it is held"
    monkeypatch.setattr(pack_store, "keep", keep)
    before = await api.runtime.pool.fetchval("SELECT facts FROM packs")
    await api.runtime.pool.execute("UPDATE packs SET lives_until = '-infinity'")
    api.clock.at += timedelta(hours=1)
    assert await build(api), "another one takes it up"
    pack = await take(api)
    go_on.set()
    assert await frozen
    assert (await take(api)).body == pack.body
    assert opened(pack).read("facts.json").decode() == before, "it went on from the facts"
    (one,) = await versions(api)
    assert (one["state"], one["problem"]) == ("built", "")


async def test_what_breaks_off_again_and_again_fails_and_says_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made_duty(api)
    api.clock.at = DUE
    await pack_due(api)

    def broken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(packs, "pack_document", broken)
    for _ in range(pack_store.MOST_CLAIMS):
        assert (await versions(api))[0]["state"] == "waiting"
        await api.runtime.pool.execute("UPDATE packs SET lives_until = '-infinity'")
        assert await build(api)
    (one,) = await versions(api)
    assert (one["state"], one["problem"]) == ("failed", "MemoryError")
    assert not await pack_due(api)
    assert (await take(api)).status == 409


async def test_a_report_that_comes_while_facts_are_gathered_is_in_a_further_version(
    api: Api,
) -> None:
    duty = await made_duty(api)
    api.clock.at = DUE
    await pack_due(api)
    async with transaction(api.runtime.pool) as conn:
        held = await pack_store.claim(conn)
    assert held is not None
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, REPORT)
    assert handed.status == 200, handed.body
    await pack_due(api)
    assert len(await versions(api)) == 1, "the version that gathers has it"
    gathered = pack_store.Gathered(api.clock.at, "{}", _digest("{}"), 1, 0, 0)
    async with transaction(api.runtime.pool) as conn:
        assert await pack_store.freeze_facts(conn, held, gathered)
    await pack_due(api)
    assert [one["version"] for one in await versions(api)] == [2, 1]


async def test_the_first_version_waits_for_whoever_is_handing_in(api: Api) -> None:
    duty = await made_duty(api)
    api.clock.at = DUE
    async with transaction(api.runtime.pool) as conn:
        operator = api.teams["school"].operator
        await submit(conn, operator, duty, Handing("集市宣讲。"), api.clock.at)
        due = asyncio.create_task(pack_due(api))
        await until_blocked(api.runtime.pool, due)
    assert await due
    assert await build(api)
    (one,) = await versions(api)
    assert (one["version"], one["handed_in"]) == (1, 1)


async def test_a_duty_is_not_passed_over_while_its_week_gets_a_pack(api: Api) -> None:
    """Else a person who owes two reports is told of each by itself."""
    duty = await made_duty(api)
    api.clock.at = DUE
    async with transaction(api.runtime.pool) as conn:
        assert await pack_due_store.add_due(conn, api.clock.at)
        async with transaction(api.runtime.pool) as other:
            found = await step_store.lock_due(other, api.clock.at, 100)
    assert duty in {one.id for one in found}


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


async def test_packs_are_for_the_county_alone(api: Api) -> None:
    await built(api)
    for path in ("/reports/weekly/packs", f"/reports/weekly/pack?week={WEEK}"):
        assert (await api.get(path, SCHOOL)).status == 403
        assert (await api.get(path, INSPECTOR)).status == 200
    listed = await api.get("/reports/weekly/packs", INSPECTOR)
    assert [one["week"] for one in listed.json["items"]] == [WEEK]


async def test_webhooks_hear_of_what_is_late_and_of_packs_once(api: Api) -> None:
    for team, events in (("county", ["duty.late", "report.built"]), ("school", ["duty.late"])):
        hook = {"url": "https://sms.example.gov.cn/tocsin", "events": events}
        answer = await api.post("/webhooks", (team, "operator"), hook)
        assert answer.status == 201, answer.body
    duty = await made_duty(api)
    await turn(api, FRIDAY)
    assert await _events(api) == []
    await turn(api, DUE)
    await turn(api, DUE + MINUTE)
    await pack_due(api)
    await build(api)
    found = await _events(api)
    assert sorted((team, kind) for team, kind, _ in found) == [
        ("county", "duty.late"),
        ("county", "report.built"),
        ("school", "duty.late"),
    ]
    about = {kind: data for _, kind, data in found}
    assert about["duty.late"]["duty_id"] == str(duty)
    assert (about["report.built"]["week"], about["report.built"]["units"]) == (WEEK, 1)


async def _events(api: Api) -> list[tuple[str, str, dict[str, Any]]]:
    rows = await api.runtime.pool.fetch(
        "SELECT d.kind, e.type, e.data FROM webhook_events e JOIN departments d"
        " ON d.id = e.department_id WHERE e.type <> 'webhook.test' ORDER BY e.id"
    )
    return [(row["kind"], row["type"], row["data"]) for row in rows]


async def sent_by_the_county(api: Api) -> None:
    """A campaign of the county's own that has reached five people, counted."""
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    sending = await begin_sending(api, team="county")
    await sending.become("delivered", range(1, 6))
    api.clock.at += timedelta(hours=1)
    await count_coverage(api.runtime.pool, api.clock)
    await count_coverage(api.runtime.pool, api.clock)


async def test_the_countys_own_campaigns_and_its_coverage_are_in_the_pack(api: Api) -> None:
    await made_duty(api)
    await sent_by_the_county(api)
    api.clock.at = DUE
    assert await pack_due(api)
    assert await build(api)
    archive = opened(await take(api))
    county = json.loads(archive.read("facts.json"))["county"]
    name = await api.runtime.pool.fetchval(
        "SELECT name FROM departments WHERE id = $1", api.teams["county"].department_id
    )
    assert [(one["department"], one["reached"]) for one in county["campaigns"]] == [(name, 5)]
    publicity = next(one for one in county["coverage"] if one["class"] == "public_interest")
    assert (publicity["of"], publicity["quarter"]) == ("county", "2027-Q1")
    asked = await api.get(
        "/reports/coverage?quarter=2027-Q1&class=public_interest&level=town", COUNTY
    )
    assert asked.status == 200, asked.body
    assert publicity["reached"] == asked.json["total"]["reached"] == 5
    assert sum(one["reached"] for one in county["towns"]) == 5
    for file in ("pack.docx", "pack.xlsx"):
        with zipfile.ZipFile(io.BytesIO(archive.read(file))) as parts:
            text = "".join(
                parts.read(part).decode() for part in parts.namelist() if part.endswith(".xml")
            )
            for said in ("县级部门自己的任务", "本季度各乡镇覆盖情况", "全县所有人"):
                assert said in text, (file, said)


async def test_an_office_of_the_county_that_owes_a_report_stands_among_units_alone(
    api: Api,
) -> None:
    await set_obligation(api, departments=[], kinds=["county"])
    await turn(api)
    await sent_by_the_county(api)
    api.clock.at = DUE
    assert await pack_due(api)
    assert await build(api)
    facts = facts_of(await take(api))
    assert facts["county"]["campaigns"] == []
    (unit,) = facts["units"]
    assert len(unit["now"]["sections"]["campaigns"]) == 1


async def with_photos(api: Api, count: int) -> list[str]:
    """A pack of a report with so many pictures, built; returns their ids."""
    duty = await made_duty(api)
    ids = [await photo(api, SCHOOL, seed=n, duty_id=str(duty)) for n in range(count)]
    body = REPORT | {"pictures": ids, "pictures_checked": True}
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, body)
    assert handed.status == 200, handed.body
    api.clock.at = DUE
    assert await pack_due(api)
    assert await build(api)
    return ids


async def mask(api: Api, picture: str) -> None:
    x = int((await api.get(f"/evidence/{picture}", SCHOOL)).json["masked_at"] is not None)
    body = {"boxes": [[100 * x, 0, 50, 50]]}
    answer = await api.post(f"/evidence/{picture}/mask", SCHOOL, body)
    assert answer.status == 200, answer.body


async def whole(api: Api, picture: str) -> bytes:
    found: bytes = (await api.get(f"/evidence/{picture}/jpeg?px=1600", SCHOOL)).body
    return found


async def evidence_key(api: Api) -> bytes:
    return bytes.fromhex((await api.get("/evidence-key", COUNTY)).json["public_key"])


async def test_a_mask_reaches_the_packs_that_were_built_before(api: Api) -> None:
    first, second = await with_photos(api, 2)
    key, before = await evidence_key(api), opened(await take(api))
    face, other = await whole(api, first), await whole(api, second)
    await mask(api, first)
    assert await pack_due(api), "a further version shows the picture as it is now"
    assert await build(api)

    (last, earlier) = await versions(api)
    assert [(one["version"], one["withdrawn"]) for one in (last, earlier)] == [(2, 0), (1, 2)]
    archive = opened(await take(api, 1))
    assert faults(archive, key) == []
    assert {name: of["why"] for name, of in withdrawn(archive).items()} == {
        "pictures/0001-1.jpg": "masked",
        "pack.docx": "masked",
    }
    left = {"manifest.json", "manifest.sig", "facts.json", "pack.xlsx", "pictures/0001-2.jpg"}
    for name in left:
        assert archive.read(name) == before.read(name), name
    assert archive.read("pictures/0001-2.jpg") == other
    assert all(face != archive.read(name) for name in archive.namelist())
    assert before.read("pictures/0001-1.jpg") == face
    kept = "SELECT sha256 FROM pack_pictures"
    hashes = {row["sha256"] for row in await api.runtime.pool.fetch(kept)}
    assert sha256(face).digest() not in hashes

    masked = await whole(api, first)
    assert opened(await take(api, 2)).read("pictures/0001-1.jpg") == masked
    await mask(api, first)
    assert await pack_due(api)
    assert await build(api)
    assert [one["withdrawn"] for one in await versions(api)] == [0, 2, 2]
    for version in (1, 2, 3):
        assert faults(opened(await take(api, version)), key) == []
    with pytest.raises(CheckViolation, match="do not change"):
        await api.runtime.pool.execute("DELETE FROM pack_pictures")
    with pytest.raises(CheckViolation, match="do not change"):
        await api.runtime.pool.execute("DELETE FROM pack_withdrawals")


async def test_what_was_withdrawn_is_said_by_a_signed_list_of_that_pack(api: Api) -> None:
    first, second = await with_photos(api, 2)
    key = await evidence_key(api)
    await mask(api, first)
    await pack_due(api)
    await build(api)
    await mask(api, second)
    one, two = opened(await take(api, 1)), opened(await take(api, 2))
    both = {name: two.read(name) for name in ("withdrawn.json", "withdrawn.sig")}
    unlisted = ["pack.docx is not as in the manifest"]
    unlisted += [f"pictures/0001-{no}.jpg is not as in the manifest" for no in (1, 2)]
    unsigned = ["the list of what was withdrawn is not signed by this key"]
    for changes, found in (
        ({"withdrawn.json": None, "withdrawn.sig": None}, unlisted),
        ({"withdrawn.sig": None}, unsigned),
        ({"withdrawn.json": one.read("withdrawn.json").replace(b"masked", b"term")}, unsigned),
        (both, ["the list of what was withdrawn is of another pack"]),
    ):
        assert faults(_changed(one, changes), key) == found


def _changed(archive: zipfile.ZipFile, changes: Mapping[str, bytes | None]) -> zipfile.ZipFile:
    """The same archive with these files in other words; None: without it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name in archive.namelist():
            octets = changes.get(name, archive.read(name))
            if octets is not None:
                out.writestr(name, octets)
    return zipfile.ZipFile(made)


async def test_a_mask_while_a_pack_is_built_is_in_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = await with_photos(api, 1)
    before = await whole(api, picture)
    await mask(api, picture)  # makes a further version due
    built_of = await whole(api, picture)
    are_current, looked = packs._are_current, 0

    async def masked_meanwhile(conn: Any, pictures: Any) -> bool:
        nonlocal looked
        looked += 1
        if looked == 1:
            await mask(api, picture)
        return await are_current(conn, pictures)

    monkeypatch.setattr(packs, "_are_current", masked_meanwhile)
    assert await pack_due(api)
    assert await build(api)
    assert looked == 2, "its files were made anew"
    found = opened(await take(api)).read("pictures/0001-1.jpg")
    assert found == await whole(api, picture)
    assert found not in {before, built_of}
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM pack_pictures") == 1


async def test_pictures_of_packs_have_a_term_and_the_rest_still_verifies(api: Api) -> None:
    await with_photos(api, 2)
    before = opened(await take(api))

    async def let_go_after(days: int) -> int:
        now = DUE + timedelta(days=days)
        gone = await let_go(api.runtime.pool, api.runtime.keyring, RetentionTerms(), now)
        return gone.get("packs", 0)

    assert await let_go_after(365) == 0
    assert await let_go_after(367) == 3
    assert await let_go_after(368) == 0
    archive = opened(await take(api))
    assert faults(archive, await evidence_key(api)) == []
    went = {"pictures/0001-1.jpg", "pictures/0001-2.jpg", "pack.docx"}
    assert {(name, of["why"]) for name, of in withdrawn(archive).items()} == {
        (name, "term") for name in went
    }
    assert {*before.namelist()} - {*archive.namelist()} == went
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM pack_pictures") == 0


async def test_pictures_are_whole_beside_the_document_and_smaller_in_it(api: Api) -> None:
    ids = await with_photos(api, 7)
    archive = opened(await take(api))
    names = [name for name in archive.namelist() if name.startswith("pictures/")]
    assert names == [f"pictures/0001-{no}.jpg" for no in range(1, 8)]
    for name, picture in zip(names, ids, strict=True):
        whole = await api.get(f"/evidence/{picture}/jpeg?px=1600", SCHOOL)
        assert archive.read(name) == whole.body
    key = bytes.fromhex((await api.get("/evidence-key", COUNTY)).json["public_key"])
    assert faults(archive, key) == []
    assert faults(_with(archive, names[3]), key) == [f"{names[3]} was changed"]
    with zipfile.ZipFile(io.BytesIO(archive.read("pack.docx"))) as parts:
        media = [name for name in parts.namelist() if name.startswith("word/media/")]
        text = parts.read("word/document.xml").decode()
    assert len(media) == 7
    assert text.count("各单位图片") == 2, "six on a page"
    kept = await api.runtime.pool.fetchval("SELECT count(*) FROM pack_pictures")
    assert kept == 7
