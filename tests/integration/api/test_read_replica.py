"""What may be a few seconds old is read on a standby, says how old it is, and binds nobody.

A real primary and a real standby that streams from it (decision 0485).
"""

import itertools
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.api.http.reads import AS_OF
from service.api.routes import OPS
from service.clock import CHINA
from service.crypto import Keyring
from service.settings import Settings
from service.storage.postgres import PostgresRefusal, transaction
from service.storage.replica import ReplicaState, open_replica
from tests.factories import RULE, make_contact
from tests.harness.campaigns import act_on, planned, weekly_campaign
from tests.harness.console import browser_of
from tests.harness.standby import Pair, ReplicaApi, api_with_replica, pair_of
from tests.harness.waiting import until
from tests.integration.api.conftest import Answer, Api

pytestmark = pytest.mark.xdist_group("standby")

OPERATOR, INSPECTOR = ("county", "operator"), ("county", "inspector")
VIEWER = ("school", "viewer")
PREVIEW = {"rule": RULE}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def pair(server_folder: Path) -> AsyncIterator[Pair]:
    now = datetime(2027, 1, 12, 1, 30, tzinfo=CHINA)
    async with pair_of(server_folder / "pair", now) as both:
        yield both


@pytest.fixture
async def asked(
    pair: Pair, default_settings: Settings, keyring: Keyring, redis: Redis, now: datetime
) -> AsyncIterator[ReplicaApi]:
    async with api_with_replica(pair, default_settings, keyring, redis, now) as made:
        yield made
        await pair.resume()


async def _join(api: Api) -> None:
    """One more person of the county."""
    async with transaction(api.runtime.pool) as conn:
        whose = api.teams["county"].department_id
        number = next(_numbers)
        await make_contact(conn, api.runtime.keyring, whose, number, now=api.clock.now())


async def _preview(api: Api) -> tuple[Answer, int]:
    answer = await api.post("/segments/preview", OPERATOR, PREVIEW)
    assert answer.status == 200, answer.body
    return answer, _people(answer.json)


def _people(counted: Any) -> int:
    return int(counted["target"] + sum(counted["excluded"].values()))


def _instant(answer: Answer) -> datetime | None:
    given = answer.headers.get(AS_OF)
    return datetime.fromisoformat(given) if given else None


async def test_a_preview_is_as_old_as_the_standby_and_says_so(asked: ReplicaApi) -> None:
    api = asked.api
    await _join(api)
    first = await asked.follow()
    answer, people = await _preview(api)
    assert (people, _instant(answer)) == (1, first)
    await asked.pair.pause()
    api.clock.at += timedelta(minutes=5)
    await _join(api)
    await asked.replica.look()
    answer, people = await _preview(api)
    assert (people, _instant(answer)) == (1, first), "it shows nothing of the last five minutes"
    await asked.pair.resume()
    last = await asked.follow()
    answer, people = await _preview(api)
    assert (people, _instant(answer)) == (2, last)
    assert asked.replica.answers == {"replica": 3}


async def test_without_a_replica_no_answer_says_how_old_it_is(api: Api) -> None:
    answer, _ = await _preview(api)
    assert AS_OF not in answer.headers


async def test_what_somebody_signs_and_what_binds_is_the_primarys(asked: ReplicaApi) -> None:
    api = asked.api
    await _join(api)
    campaign = await planned(api)
    await asked.follow()
    await asked.pair.pause()
    await _join(api)
    await asked.replica.look()
    draft = await api.get(f"/campaigns/{campaign}/preview", OPERATOR)
    assert AS_OF in draft.headers
    assert _people(draft.json) == 1
    submitted = await act_on(api, OPERATOR, campaign, "submit")
    assert submitted["baseline"] == 2, "the count that is bound knows of everybody"
    signed = await api.get(f"/campaigns/{campaign}/preview", ("county", "approver"))
    assert AS_OF not in signed.headers
    assert _people(signed.json) == 2


async def test_what_the_standby_does_not_have_yet_the_primary_answers(asked: ReplicaApi) -> None:
    await asked.pair.pause()
    campaign = await planned(asked.api)
    answer = await asked.api.get(f"/campaigns/{campaign}/report", INSPECTOR)
    assert answer.status == 200, "a refusal never comes from a standby"
    assert AS_OF not in answer.headers
    assert (await asked.api.get(f"/campaigns/{campaign}x/report", INSPECTOR)).status in {404, 422}
    assert asked.replica.answers["primary"] >= 1


async def test_one_that_is_too_far_behind_is_not_read(
    pair: Pair, default_settings: Settings, keyring: Keyring, redis: Redis, now: datetime
) -> None:
    made = api_with_replica(pair, default_settings, keyring, redis, now, most_behind=2)
    async with made as asked:
        assert asked.replica.state is ReplicaState.USED
        await pair.pause()
        await _join(asked.api)

        async def behind() -> bool:
            await asked.replica.look()
            return asked.replica.state is ReplicaState.BEHIND

        await until(behind, 30, "a standby that is too far behind", every=0.05)
        assert asked.replica.age is not None, "it is known how far"
        assert asked.replica.age > 2
        answer, people = await _preview(asked.api)
        assert (people, _instant(answer)) == (1, None)
        shown = await asked.api.get("//metrics", VIEWER)
        assert b'tocsin_read_replica{state="behind"} 1.0' in shown.body
        assert b'tocsin_read_replica{state="used"} 0.0' in shown.body
        await pair.resume()
        await asked.follow()
        assert (await _preview(asked.api))[0].headers[AS_OF]


async def test_while_it_is_dead_the_primary_answers(asked: ReplicaApi) -> None:
    await _join(asked.api)
    asked.pair.kill()
    answer, people = await _preview(asked.api)
    assert (people, _instant(answer)) == (1, None)

    async def gone() -> bool:
        await asked.replica.look()
        return asked.replica.state is ReplicaState.GONE

    await until(gone, 30, "that it is gone", every=0.05)
    answer, people = await _preview(asked.api)
    assert (people, _instant(answer)) == (1, None)
    asked.pair.standby.start()
    await asked.follow()
    assert (await _preview(asked.api))[0].headers[AS_OF]


async def test_nobody_writes_through_it(asked: ReplicaApi) -> None:
    async with asked.replica.reading(10) as reads:
        assert reads is not None
        with pytest.raises(PostgresRefusal, match="read-only"):
            await reads.conn.execute("UPDATE generation SET beat = beat + 1")


async def test_an_address_that_takes_writes_is_no_replica(asked: ReplicaApi) -> None:
    primary, clock = asked.pair.primary, asked.api.clock
    own = open_replica(primary.service_url, asked.api.runtime.pool, clock, size=2, most_behind=30)
    async with own as wrong:
        await wrong.look()
        assert wrong.state is ReplicaState.NO_STANDBY
        async with wrong.reading(10) as reads:
            assert reads is None
        async with wrong._pool.acquire() as conn:
            with pytest.raises(PostgresRefusal, match="read-only"):
                await conn.execute("UPDATE generation SET beat = beat + 1")


async def test_a_standby_of_another_timeline_is_not_read(asked: ReplicaApi) -> None:
    """The database was accepted elsewhere meanwhile: the standby still follows the old one."""
    await asked.pair.pause()
    async with transaction(asked.api.runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO generation (beat, cluster) VALUES (1, 'x')"
            " ON CONFLICT (one) DO UPDATE SET era = generation.era + 1"
        )

    async def noticed() -> bool:
        await asked.replica.look()
        return asked.replica.state is ReplicaState.USED

    assert await noticed(), "what was noted before is still true of it"
    asked.replica._noted.clear()
    assert not await noticed()
    await asked.pair.resume()
    await asked.follow()
    async with transaction(asked.api.runtime.pool) as conn:
        await conn.execute("DELETE FROM generation")


async def test_a_file_says_how_old_it_is_and_leaves_one_entry(asked: ReplicaApi) -> None:
    campaign, (run, *_) = await weekly_campaign(asked.api, 1)
    now = await asked.follow()
    stamp = f"-{now.astimezone(CHINA):%Y%m%d-%H%M%S}.csv"
    for address in (f"/campaigns/{campaign}/report/export", f"/runs/{run}/report/export"):
        answer = await asked.api.get(address, VIEWER)  # which looks for the one entry
        assert answer.status == 200
        assert _instant(answer) == now
        assert stamp in answer.headers["Content-Disposition"]
        assert answer.body


async def test_each_operation_that_may_be_old_is_answered_by_the_standby(
    asked: ReplicaApi,
) -> None:
    api = asked.api
    campaign, (run, *_) = await weekly_campaign(api, 1)
    draft = await planned(api)
    await asked.follow()
    school = api.teams["school"].department_id
    legs = {"legs": [{"department_id": str(school)}], "class": "public_interest"}
    asks: dict[str, tuple[str, str, tuple[str, str], Any]] = {
        "get_counts": ("GET", f"/departments/{school}/counts", VIEWER, None),
        "preview_segment": ("POST", "/segments/preview", OPERATOR, PREVIEW),
        "explain_segment": ("POST", "/segments/explain", OPERATOR, PREVIEW),
        "preview_campaign": ("GET", f"/campaigns/{draft}/preview", OPERATOR, None),
        "get_campaign_report": ("GET", f"/campaigns/{campaign}/report", VIEWER, None),
        "export_campaign_report": ("GET", f"/campaigns/{campaign}/report/export", VIEWER, None),
        "preview_legs": ("POST", "/legs/preview", OPERATOR, legs),
        "get_report": ("GET", f"/runs/{run}/report", VIEWER, None),
        "export_run_report": ("GET", f"/runs/{run}/report/export", VIEWER, None),
        "count_run_inbound": ("GET", f"/runs/{run}/inbound", VIEWER, None),
        "export_unmatched": ("GET", "/receipts/unmatched/export", OPERATOR, None),
        "get_reconciliation": ("GET", "/reports/reconciliation?day=2027-01-12", VIEWER, None),
    }
    assert asks.keys() == {op.name for op in OPS if op.replica}
    for name, (method, path, who, body) in asks.items():
        more = {"json": body} if body is not None else {}
        answer = await api.call(method, path, who, **more)
        assert answer.status == 200, (name, answer.body)
        assert AS_OF in answer.headers, name


async def test_a_page_says_in_the_readers_language_how_old_it_is(asked: ReplicaApi) -> None:
    api = asked.api
    campaign, (run, *_) = await weekly_campaign(api, 1)
    chinese, english = await browser_of(api, "inspector"), await browser_of(api, "admin", "en")
    now = await asked.follow()
    at = f"{now.astimezone(CHINA):%H:%M:%S}"
    for page in (f"/reports/campaigns/{campaign}", f"/runs/{run}/report"):
        seen = await english.get(page)
        assert seen.status == 200, seen.text
        assert f"As of {at}, from a copy of the database." in seen.text
        assert f"数据截至 {at}，取自数据库的副本。" in (await chinese.get(page)).text
    assert "copy of the database" not in (await english.get(f"/runs/{run}")).text
