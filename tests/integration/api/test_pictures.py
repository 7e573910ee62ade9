"""Pictures of reports: sent once, seen by whom they concern, masked for good, handed in, let go."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.pictures import picture_process, pictures
from service.pictures.pictures import reported_pictures
from service.privacy.retention import RetentionTerms, let_go
from service.storage.postgres import CheckViolation, transaction
from tests.harness.owed import COUNTY, SCHOOL, made_duty
from tests.harness.photos import (
    HEIC,
    PLANTED,
    form_of,
    laden,
    opened,
    photo,
    png_bomb,
    scene,
    send_photo,
    written,
)
from tests.integration.api.conftest import Answer, Api

COUNTY_ADMIN, INSPECTOR = ("county", "admin"), ("county", "inspector")
SCHOOL_VIEWER = ("school", "viewer")
REPORT = {"narrative": "集市宣讲两场。", "pictures_checked": True}
CHINESE = {"Accept-Language": "zh"}


def code(answer: Answer) -> str:
    return str(answer.json["type"]).removeprefix("/problems/")


async def jpeg(api: Api, picture: str, who: tuple[str, str] = SCHOOL, px: int = 1_600) -> bytes:
    size = "thumbnail" if px == 320 else f"jpeg?px={px}"
    answer = await api.get(f"/evidence/{picture}/{size}", who)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "image/jpeg"
    return bytes(answer.body)


async def test_who_looks_at_a_whole_picture_stands_in_the_trail_and_thumbnails_do_not(
    api: Api,
) -> None:
    picture = await photo(api, SCHOOL)
    await jpeg(api, picture, SCHOOL_VIEWER, px=320)
    await jpeg(api, picture, SCHOOL_VIEWER)
    api.clock.at += timedelta(minutes=1)
    await jpeg(api, picture, INSPECTOR, px=800)
    assert (await api.get(f"/evidence/{picture}/jpeg", ("county", "viewer"))).status == 404
    rows = await api.runtime.pool.fetch(
        "SELECT actor_id, object_id, at, details->>'px' AS px FROM audit_entries"
        " WHERE action = 'get_picture_jpeg' ORDER BY id"
    )
    teams = api.teams
    assert [(row["object_id"], row["px"]) for row in rows] == [(picture, "1600"), (picture, "800")]
    assert [row["at"] for row in rows] == [api.clock.at - timedelta(minutes=1), api.clock.at]
    looked = [row["actor_id"] for row in rows]
    assert looked == [teams["school"].viewer.id, teams["county"].inspector.id]


async def submit(api: Api, duty: UUID, *ids: str, **more: Any) -> Answer:
    body = REPORT | {"pictures": list(ids)} | more
    return await api.post(f"/duties/{duty}/submit", SCHOOL, body)


async def test_nothing_of_the_file_but_its_pixels_is_kept_or_sent_back(api: Api) -> None:
    """E14."""
    duty = await made_duty(api)
    said = b""
    for form in ("JPEG", "PNG", "WEBP"):
        answer = await send_photo(api, SCHOOL, laden(form, seed=len(form)), duty_id=str(duty))
        assert answer.status == 201, answer.body
        found = answer.json
        assert (found["width"], found["height"]) == (1_000, 750)
        assert found["taken_in_week"] is True
        assert found["period"] == "2027-W02"
        said += answer.body
        for px in (1_600, 800, 320):
            octets = await jpeg(api, found["id"], px=px)
            said += octets
            assert max(opened(octets).size) == min(px, 1_000)
        assert hashlib.sha256(await jpeg(api, found["id"])).hexdigest() == found["sha256"]
    rows = await api.runtime.pool.fetch("SELECT * FROM pictures")
    assert len(rows) == 3
    for row in rows:
        said += repr(dict(row)).encode()
        for column in ("large_cipher", "medium_cipher", "small_cipher"):
            said += api.runtime.keyring.decrypt_bytes("picture", row[column])
            assert b"JFIF" not in row[column], "it is encrypted"
    for entry in await api.runtime.pool.fetch("SELECT * FROM audit_entries"):
        said += repr(dict(entry)).encode()
    for word in (*PLANTED, "2027:01:13", "现场"):
        assert word.encode() not in said


@pytest.mark.parametrize(
    ("octets", "status", "why"),
    [
        (HEIC, 415, "picture_heic"),
        (b"%PDF-1.7 none", 415, "picture_format"),
        (written(scene())[:-3_000], 422, "picture_unreadable"),
        (png_bomb(10_000, 5_001), 413, "picture_too_many_pixels"),
        (b"\xff\xd8\xff" + b"\0" * (15 * 1024**2), 413, "too_large"),
    ],
    ids=["heic", "pdf", "truncated", "bomb", "large"],
)
async def test_what_is_no_picture_is_refused_and_leaves_nothing(
    api: Api, octets: bytes, status: int, why: str
) -> None:
    english = await send_photo(api, SCHOOL, octets)
    assert (english.status, code(english)) == (status, why)
    chinese = await api.call("POST", "/evidence", SCHOOL, data=form_of(octets), headers=CHINESE)
    assert (chinese.status, code(chinese)) == (status, why)
    assert chinese.json["detail"] != english.json["detail"]
    assert any("一" <= sign <= "鿿" for sign in chinese.json["detail"])
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM pictures") == 0


async def test_a_picture_that_takes_too_much_leaves_the_service_alive(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limits in (
        picture_process.LIMITS._replace(memory_octets=200 * 1024**2),
        picture_process.LIMITS._replace(processor_seconds=1, wall_seconds=1),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(picture_process, "LIMITS", limits)
            if limits.wall_seconds == 1:
                patched.setattr(picture_process, "_MODULE", "asyncio")  # waits for its input
            answer = await send_photo(api, SCHOOL, png_bomb(10_000, 5_000))
        assert answer.status == 422, answer.body
        assert code(answer) in {"picture_too_costly", "picture_unreadable"}
        assert (await api.get("/me", SCHOOL)).status == 200
    assert (await send_photo(api, SCHOOL)).status == 201


async def test_the_same_upload_again_is_one_picture(api: Api) -> None:
    headers = {"Idempotency-Key": "photo-1"}
    octets = written(scene())

    async def send(content: bytes) -> Answer:
        return await api.call("POST", "/evidence", SCHOOL, data=form_of(content), headers=headers)

    first, again = await send(octets), await send(octets)
    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"]
    other = await send(written(scene(seed=3)))
    assert (other.status, code(other)) == (422, "idempotency_key_reused")
    at_once = await asyncio.gather(
        *(
            api.call(
                "POST", "/evidence", SCHOOL, data=form_of(octets),
                headers={"Idempotency-Key": "photo-2"},
            )
            for _ in range(2)
        )
    )  # fmt: skip
    assert {one.status for one in at_once} <= {201, 409, 429}
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM pictures") == 2


async def test_whose_pictures_somebody_sees(api: Api) -> None:
    duty = await made_duty(api)
    picture = await photo(api, SCHOOL, duty_id=str(duty))

    async def seen() -> dict[tuple[str, str], int]:
        found = {}
        for who in (SCHOOL, SCHOOL_VIEWER, COUNTY, COUNTY_ADMIN, INSPECTOR):
            meta = (await api.get(f"/evidence/{picture}", who)).status
            assert (await api.get(f"/evidence/{picture}/jpeg", who)).status == meta
            found[who] = meta
        return found

    own = {SCHOOL: 200, SCHOOL_VIEWER: 200, COUNTY_ADMIN: 200, INSPECTOR: 200}
    assert await seen() == own | {COUNTY: 404}, "it is not handed in yet"
    assert (await submit(api, duty, picture)).status == 200
    assert await seen() == own | {COUNTY: 200}
    other = await photo(api, COUNTY)
    assert (await api.get(f"/evidence/{other}", SCHOOL)).status == 404
    assert (await api.call("DELETE", f"/evidence/{other}", SCHOOL)).status == 404
    mask = {"boxes": [[0, 0, 10, 10]]}
    assert (await api.post(f"/evidence/{other}/mask", SCHOOL, mask)).status == 404
    refused = await api.post(f"/evidence/{picture}/mask", COUNTY, mask)
    assert (refused.status, code(refused)) == (403, "forbidden")
    refused = await api.call("DELETE", f"/evidence/{picture}", COUNTY_ADMIN)
    assert refused.status == 403
    waiting = await api.get("/evidence", COUNTY)
    assert [one["id"] for one in waiting.json["items"]] == [other]


async def test_a_mask_is_for_good_in_every_size(api: Api) -> None:
    picture = await photo(api, SCHOOL)
    before = [await jpeg(api, picture, px=px) for px in (1_600, 800, 320)]
    path = f"/evidence/{picture}/mask"
    for boxes in ([[0, 0, 1_001, 5]], [[990, 740, 11, 10]], [[0, 0, 0, 5]], [[-1, 0, 5, 5]], []):
        refused = await api.post(path, SCHOOL, {"boxes": boxes})
        assert refused.status == 422, boxes
        assert any(field.startswith("boxes") for field in refused.json["fields"])
    masked = await api.post(path, SCHOOL, {"boxes": [[100, 100, 400, 300], [700, 500, 300, 250]]})
    assert masked.status == 200, masked.body
    assert masked.json["masked_at"]
    for old, px in zip(before, (1_600, 800, 320), strict=True):
        new = await jpeg(api, picture, px=px)
        assert new != old
        share = min(px, 1_000) / 1_000
        middle = opened(new).getpixel((round(300 * share), round(250 * share)))
        assert isinstance(middle, tuple)
        assert max(middle) < 12
    assert hashlib.sha256(await jpeg(api, picture)).hexdigest() == masked.json["sha256"]
    row = await api.runtime.pool.fetchrow("SELECT * FROM pictures WHERE id = $1", UUID(picture))
    assert row is not None
    kept = [
        api.runtime.keyring.decrypt_bytes("picture", row[name])
        for name in ("large_cipher", "medium_cipher", "small_cipher")
    ]
    assert not set(before) & set(kept)
    acts = await api.runtime.pool.fetch(
        "SELECT action, object_id FROM audit_entries WHERE object_kind = 'picture' ORDER BY id"
    )
    assert [tuple(act) for act in acts] == [("send_picture", picture), ("mask_picture", picture)]


async def test_two_masks_at_once_are_both_on_it(api: Api) -> None:
    picture = await photo(api, SCHOOL)
    answers = await asyncio.gather(
        *(
            api.post(f"/evidence/{picture}/mask", SCHOOL, {"boxes": [box]})
            for box in ([0, 0, 300, 300], [600, 400, 300, 300])
        )
    )
    assert [one.status for one in answers] == [200, 200]
    found = opened(await jpeg(api, picture))
    for place in ((150, 150), (750, 550)):
        value = found.getpixel(place)
        assert isinstance(value, tuple)
        assert max(value) < 12


async def test_a_report_has_the_pictures_it_needs(api: Api) -> None:
    duty = await made_duty(api, needs={"photos": 2})
    detail = (await api.get(f"/duties/{duty}", SCHOOL)).json
    assert detail["needs_photos"] == 2
    first, second = [await photo(api, SCHOOL, seed, duty_id=str(duty)) for seed in (1, 2)]
    of_county = await photo(api, COUNTY)
    for ids, more, field in (
        ([], {}, "pictures"),
        ([first], {}, "pictures"),
        ([first, first], {}, "pictures"),
        ([first, of_county], {}, "pictures.1"),
        ([first, "00000000-0000-0000-0000-000000000000"], {}, "pictures.1"),
        ([first, second], {"pictures_checked": False}, "pictures_checked"),
    ):
        refused = await submit(api, duty, *ids, **more)
        assert (refused.status, list(refused.json["fields"])) == (422, [field]), ids
    assert (await api.get(f"/duties/{duty}", SCHOOL)).json["state"] == "open"
    done = await submit(api, duty, second, first)
    assert done.status == 200, done.body
    (report,) = done.json["reports"]
    assert [one["id"] for one in report["pictures"]] == [second, first]
    assert (await api.get("/evidence", SCHOOL)).json["items"] == []
    gone = await api.call("DELETE", f"/evidence/{first}", SCHOOL)
    assert (gone.status, code(gone)) == (409, "picture_reported")


async def test_what_was_handed_in_stays_and_belongs_to_one_report(api: Api) -> None:
    duty, other = await made_duty(api), await made_duty(api, title="台账")
    picture = await photo(api, SCHOOL)
    assert (await submit(api, duty, picture)).status == 200
    refused = await submit(api, other, picture)
    assert (refused.status, list(refused.json["fields"])) == (422, ["pictures.0"])
    for statement in (
        "UPDATE duty_report_pictures SET place = 2",
        "DELETE FROM duty_report_pictures",
        "UPDATE pictures SET duty_id = NULL, reported_at = NULL",
    ):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(statement)
    body = {"reason": "r", "due_at": "2027-01-20T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", COUNTY, body)).status == 200
    again = await submit(api, duty, picture)
    assert again.status == 200, "the same report may have it again"
    assert [len(one["pictures"]) for one in again.json["reports"]] == [1, 1]
    masked = await api.post(f"/evidence/{picture}/mask", SCHOOL, {"boxes": [[0, 0, 50, 50]]})
    assert masked.status == 200, "a face that was overlooked is masked later"
    row = await api.runtime.pool.fetchrow(
        "SELECT p.sha256, r.sha256 AS handed_in FROM pictures p JOIN duty_report_pictures r"
        " ON r.picture_id = p.id WHERE no = 1"
    )
    assert row is not None
    assert row["sha256"] != row["handed_in"], "and what was handed in can be told from it"


async def test_what_was_seen_before_is_told_with_whose_and_which_week(api: Api) -> None:
    first, second = await made_duty(api), await made_duty(api, title="台账")
    octets = written(scene(seed=4), quality=95)
    original = (await send_photo(api, SCHOOL, octets)).json
    assert original["seen_before"] == []
    alike = written(scene(700, 525, seed=4), quality=50)
    assert (await send_photo(api, SCHOOL, alike)).json["seen_before"] == [], "in no report yet"
    assert (await submit(api, first, original["id"])).status == 200
    same = (await send_photo(api, SCHOOL, octets)).json
    smaller = (await send_photo(api, COUNTY, alike)).json
    other = (await send_photo(api, SCHOOL, written(scene(seed=9)))).json
    assert other["seen_before"] == []
    for found, is_same in ((same, True), (smaller, False)):
        (seen,) = found["seen_before"]
        assert (seen["id"], seen["same"]) == (original["id"], is_same)
        assert seen["bits"] <= 6
        assert (seen["department_id"], seen["period"]) == (original["department_id"], "2027-W02")
    api.clock.at += timedelta(hours=1)
    done = await submit(api, second, same["id"], other["id"])
    shown = {one["id"]: one for one in done.json["reports"][0]["pictures"]}
    assert [one["id"] for one in shown[same["id"]]["seen_before"]] == [original["id"]]
    assert shown[other["id"]]["seen_before"] == []
    detail = (await api.get(f"/duties/{first}", COUNTY)).json
    assert detail["reports"][0]["pictures"][0]["seen_before"] == [], "it was the first"
    api.clock.at += timedelta(days=364, hours=23, minutes=30)
    assert (await send_photo(api, SCHOOL, octets)).json["seen_before"][0]["id"] == same["id"]
    api.clock.at += timedelta(hours=2)
    assert (await send_photo(api, SCHOOL, octets)).json["seen_before"] == []


async def test_what_a_returned_report_had_is_not_seen_before_when_it_comes_anew(api: Api) -> None:
    duty, other = await made_duty(api), await made_duty(api, title="台账")
    octets = written(scene(seed=4), quality=95)
    first = (await send_photo(api, SCHOOL, octets, duty_id=str(duty))).json
    assert (await submit(api, duty, first["id"])).status == 200
    body = {"reason": "r", "due_at": "2027-01-20T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", COUNTY, body)).status == 200
    again = (await send_photo(api, SCHOOL, octets, duty_id=str(duty))).json
    assert again["seen_before"] == []
    elsewhere = (await send_photo(api, SCHOOL, octets, duty_id=str(other))).json
    assert [one["id"] for one in elsewhere["seen_before"]] == [first["id"]]
    api.clock.at += timedelta(hours=1)
    twice = (await send_photo(api, SCHOOL, octets, duty_id=str(duty))).json
    done = await submit(api, duty, again["id"], twice["id"])
    shown = [one["seen_before"] for one in done.json["reports"][-1]["pictures"]]
    assert sorted(map(len, shown)) == [0, 1], "twice in one report is told"


async def test_the_day_counts_by_the_period_of_the_duty(api: Api) -> None:
    duty = await made_duty(api)
    for day, expected in (
        ("2027:01:10 23:59:59", False),
        ("2027:01:11 00:00:01", True),
        ("2027:01:17 23:00:00", True),
        ("2027:01:18 00:00:00", False),
        ("none", None),
    ):
        octets = laden(day=day)
        assert (await send_photo(api, SCHOOL, octets)).json["taken_in_week"] is expected
        named = await send_photo(api, SCHOOL, octets, duty_id=str(duty))
        assert named.json["taken_in_week"] is expected
    county = await made_duty(api, "county")
    for duty_id in (county, "00000000-0000-0000-0000-000000000000"):
        refused = await send_photo(api, SCHOOL, duty_id=str(duty_id))
        assert (refused.status, list(refused.json["fields"])) == (422, ["duty_id"])


async def test_a_department_keeps_so_many_that_are_not_handed_in(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_WAITING", 2)
    first = await photo(api, SCHOOL)
    await photo(api, SCHOOL, seed=1)
    refused = await send_photo(api, SCHOOL)
    assert (refused.status, code(refused)) == (409, "too_many_pictures")
    assert (await api.call("DELETE", f"/evidence/{first}", SCHOOL)).status == 204
    assert (await api.get(f"/evidence/{first}", SCHOOL)).status == 404
    assert (await send_photo(api, SCHOOL)).status == 201


async def test_after_a_year_the_small_picture_and_the_hashes_are_left(api: Api) -> None:
    duty = await made_duty(api)
    handed = await photo(api, SCHOOL, seed=1)
    waiting = await photo(api, SCHOOL, seed=2)
    assert (await submit(api, duty, handed)).status == 200
    small = await jpeg(api, handed, px=320)

    async def later(days: int) -> dict[str, int]:
        now = api.clock.at + timedelta(days=days)
        gone = await let_go(api.runtime.pool, api.runtime.keyring, RetentionTerms(), now, 2)
        return {kind: count for kind, count in gone.items() if kind in {"pictures", "unreported"}}

    assert await later(30) == {}
    assert await later(31) == {"unreported": 1}
    assert (await api.get(f"/evidence/{waiting}", SCHOOL)).status == 404
    assert await later(366) == {}
    assert await later(367) == {"pictures": 1}
    assert await later(367) == {}
    row = await api.runtime.pool.fetchrow("SELECT * FROM pictures")
    assert row is not None
    assert row["large_cipher"] is None
    assert row["medium_cipher"] is None
    assert row["content_hash"]
    for px in (1_600, 800, 320):
        assert await jpeg(api, handed, px=px) == small
    assert (await api.get(f"/evidence/{handed}", SCHOOL)).json["whole"] is False
    refused = await api.post(f"/evidence/{handed}/mask", SCHOOL, {"boxes": [[0, 0, 5, 5]]})
    assert (refused.status, code(refused)) == (409, "picture_dropped")


async def test_the_pictures_of_a_weeks_report_one_at_a_time(api: Api) -> None:
    duty = await made_duty(api)
    ids = [await photo(api, SCHOOL, seed) for seed in (1, 2)]
    school, keyring = api.teams["school"].department_id, api.runtime.keyring

    async def of_week(period: str) -> AsyncIterator[tuple[str, bytes, bytes]]:
        async with transaction(api.runtime.pool) as conn:
            async for one in reported_pictures(conn, keyring, school, period):
                yield str(one.picture.id), one.jpeg, one.sha256

    assert [one async for one in of_week("2027-W02")] == [], "nothing is handed in"
    assert (await submit(api, duty, *ids)).status == 200
    found = [one async for one in of_week("2027-W02")]
    assert [picture for picture, _, _ in found] == ids
    for _, octets, sha256 in found:
        assert max(opened(octets).size) == 800
        assert hashlib.sha256(octets).digest() == sha256
    assert [one async for one in of_week("2027-W03")] == []
    body = {"reason": "r", "due_at": "2027-01-20T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", COUNTY, body)).status == 200
    assert (await submit(api, duty, ids[1])).status == 200
    assert [one[0] async for one in of_week("2027-W02")] == [ids[1]], "of the last one"
