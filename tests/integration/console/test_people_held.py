"""A list that puts others in the place of those who were signed for: seen where the list is, and
decided by a second person.
"""

from datetime import timedelta
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.factories import make_template
from tests.harness.console import browser_of
from tests.harness.ledger import add_channel
from tests.harness.uploads import upload
from tests.harness.work import tick
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
LIST = "/people/lists/%E5%B1%85%E6%B0%91"
PEOPLE = 20


def file_of(first: int) -> bytes:
    rows = "".join(f"1979000{n:04d},居民{n},旌阳镇\n" for n in range(first, first + PEOPLE))
    return ("手机号,姓名,乡镇\n" + rows).encode()


async def put_in(api: Api, first: int, **fields: str) -> str:
    """Import a list of twenty people; its page."""
    taken = await api.post(
        "/imports", OPERATOR, data=upload(file_of(first), roster="居民", **fields)
    )
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    return f"/people/imports/{taken.json['id']}"


@pytest.fixture
async def held(api: Api) -> dict[str, Any]:
    """A campaign with a fire that is held since a list has other people, and both imports."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        template = await make_template(conn, api.teams["county"].operator, now=api.clock.at)
    first = await put_in(api, 0)
    rule = {"name": "居民", "rule": 'roster = "居民"'}
    segment = (await api.post("/segments", OPERATOR, rule)).json["id"]
    start = (api.clock.at + timedelta(hours=1)).isoformat()
    schedule = {"kind": "recurring", "start_at": start, "rrule": "FREQ=DAILY"}
    body = {"name": "每日提醒", "template_id": str(template.id), "segment_id": segment}
    made = (await api.post("/campaigns", OPERATOR, body | {"schedule": schedule})).json
    path = f"/campaigns/{made['id']}"
    assert (await api.post(f"{path}/submit", OPERATOR)).status == 200
    assert (await api.post(f"{path}/approve", APPROVER, {})).status == 200
    second = await put_in(api, 1000, mode="replace")
    await tick(api, api.clock.at + timedelta(hours=1))
    return {"plan": f"/plans/{made['id']}", "path": path, "first": first, "second": second}


async def test_whoever_may_decide_it_is_led_there_from_the_list_and_its_import(
    api: Api, held: dict[str, Any]
) -> None:
    release = f"{held['plan']}/release"
    browser = await browser_of(api, "approver")
    for address in (LIST, held["second"]):
        seen = await browser.get(address)
        assert "20 人中有 20 人不在签发时的名单里" in seen.text, seen.text
        assert release in seen.links, address
    asked = await browser.get(release)
    assert asked.status == 200, asked.text
    done = await browser.submit(asked, release, {"missed": "run", "reason": "看过名单"})
    assert done.path == held["plan"], done.text
    assert release not in (await browser.get(LIST)).links
    await tick(api, api.clock.at + timedelta(minutes=1))
    (fire, *_) = (await api.get(f"{held['path']}/fires", OPERATOR)).json["items"]
    assert (fire["outcome"], fire["code"]) == ("fired", "exchanged")


async def test_it_may_be_left_out_instead(api: Api, held: dict[str, Any]) -> None:
    release = f"{held['plan']}/release"
    browser = await browser_of(api, "approver")
    await browser.submit(await browser.get(release), release, {"missed": "skip", "reason": "错表"})
    (fire, *_) = (await api.get(f"{held['path']}/fires", OPERATOR)).json["items"]
    assert fire["outcome"] == "skipped"
    assert "每日提醒" not in (await browser.get(held["second"])).text


async def test_who_put_the_list_in_reads_that_another_must_decide(
    api: Api, held: dict[str, Any]
) -> None:
    release = f"{held['plan']}/release"
    for language, said in (("zh-CN", "20 人中有 20 人"), ("en", "20 of 20 people")):
        browser = await browser_of(api, "operator", language)
        for address in (LIST, held["second"]):
            seen = await browser.get(address)
            assert said in seen.text, seen.text
            assert release not in seen.links
            assert held["plan"] in seen.links
    first = await browser.get(held["first"])
    assert said in first.text, "it was put in before, too: either may be the cause"


async def test_another_departments_lists_say_nothing_of_it(api: Api, held: dict[str, Any]) -> None:
    school = ("school", "operator")
    taken = await api.post("/imports", school, data=upload(file_of(2000), roster="学生"))
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    admin = await browser_of(api, "admin")
    seen = await admin.get(f"/people/imports/{taken.json['id']}")
    assert seen.status == 200
    assert "每日提醒" not in seen.text
