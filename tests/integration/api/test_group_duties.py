"""Work groups are told of duties and relays: each once, with its step, of units and nobody else."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.delivery.notices.robot_posts import KEPT, TOGETHER, post_due
from service.storage.postgres import transaction
from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.owed import (
    COUNTY,
    FRIDAY,
    SCHOOL,
    choose_texts,
    made_duty,
    name_people,
    set_obligation,
    turn,
)
from tests.harness.relayed import begin, build
from tests.harness.simulated_robots import (
    NETWORKS,
    PATHS,
    SECRET,
    TOKEN,
    SimulatedGroups,
    simulated_groups,
)
from tests.integration.api.conftest import Api

HOUR, LATE = timedelta(hours=1), FRIDAY + timedelta(minutes=1)
UNITS = ["reminder", "late", "late_list", "relay"]
TABLES = ("messages", "notices", "coverage_facts")


@pytest.fixture
async def groups(api: Api, tmp_path: Path) -> AsyncIterator[SimulatedGroups]:
    async with simulated_groups(tmp_path) as found:
        yield found


async def add(
    api: Api, groups: SimulatedGroups, team: str, kind: str = "wecom", **more: Any
) -> str:
    body = {
        "kind": kind,
        "name": "群",
        "address": groups.address(PATHS[kind]),
        "kinds": UNITS,
        **({"secret": SECRET} if kind == "dingtalk" else {}),
        **more,
    }
    made = await api.post("/robots", (team, "operator"), body)
    assert (made.status, sorted(made.json["kinds"])) == (201, sorted(body["kinds"])), made.body
    found: str = made.json["id"]
    return found


async def post(api: Api, groups: SimulatedGroups, later: timedelta = TOGETHER) -> list[str]:
    """What the groups get so much later, without the line that says where to log in."""
    settings = api.runtime.settings.model_copy(update={"webhook_networks": NETWORKS})
    before, at = len(await groups.got()), api.clock.at
    api.clock.at += later
    pool, keyring = api.runtime.pool, api.runtime.keyring
    while await post_due(pool, keyring, api.clock, settings, tls=groups.tls):
        pass
    api.clock.at = at
    return [text.rpartition("\n")[0] for _, text in (await groups.got())[before:]]


async def count(api: Api, what: str) -> int:
    found: int = await api.runtime.pool.fetchval(f"SELECT count(*) FROM {what}")
    return found


async def test_groups_are_told_of_each_step_once_beside_the_person(
    api: Api, groups: SimulatedGroups
) -> None:
    await name_people(api)
    await choose_texts(api)
    await add(api, groups, "school")
    await add(api, groups, "county", "dingtalk")
    await set_obligation(api)
    await turn(api)
    name = await api.runtime.pool.fetchval(
        "SELECT name FROM departments WHERE id = $1", api.teams["school"].department_id
    )
    due = f"周报（应于1月15日16:00前报送）：{name}"
    for moment, said in (
        (FRIDAY - timedelta(days=1), [f"请于1月15日16:00前报送周报：{name}"]),
        (FRIDAY - 2 * HOUR, [f"请于1月15日16:00前报送周报：{name}"]),
        (LATE, [f"逾期未报：{due}"]),
        (FRIDAY + HOUR, [f"逾期未报：{due}"]),
        (FRIDAY + timedelta(days=2, hours=17), [f"催报名单：{due}"]),
    ):
        await turn(api, moment)
        await turn(api, moment)
        assert await post(api, groups, timedelta()) == [], "it waits a minute for others"
        assert await post(api, groups) == said, moment
        assert await post(api, groups) == [], moment
    *_, (robot, text) = await groups.got()
    assert robot == TOKEN, "the list goes to whoever asks"
    assert not any(digits in text for digits in ("1979", "李四", "赵六"))
    assert await count(api, "duty_steps WHERE run_id IS NOT NULL") == 5, "and each person"


async def test_no_group_counts_as_somebody_reached(api: Api, groups: SimulatedGroups) -> None:
    await add(api, groups, "school")
    await made_duty(api)
    await turn(api, LATE)
    assert len(await post(api, groups)) == 1, "also where nobody is named and no text chosen"
    assert [await count(api, table) for table in TABLES] == [0, 0, 0]


async def test_only_what_a_robot_was_chosen_for_is_posted(
    api: Api, groups: SimulatedGroups
) -> None:
    await add(api, groups, "school", kinds=["late_list", "relay"])
    robot = await add(api, groups, "school", "dingtalk", kinds=["late"])
    await made_duty(api)
    await turn(api, FRIDAY - 2 * HOUR)
    assert await post(api, groups) == []
    await turn(api, LATE)
    assert [robot for robot, _ in await groups.got()] == []
    assert len(await post(api, groups)) == 1
    assert [robot for robot, _ in await groups.got()] == [TOKEN]
    await api.call("DELETE", f"/robots/{robot}", SCHOOL)
    await turn(api, FRIDAY + HOUR)
    assert await count(api, "robot_unit_notices") == 1


async def test_units_of_a_kind_that_went_are_not_posted_though_they_were_owed(
    api: Api, groups: SimulatedGroups
) -> None:
    robot = await add(api, groups, "school")
    await made_duty(api)
    await turn(api, LATE)
    assert await count(api, "robot_unit_notices") == 1
    chosen = await api.call("PUT", f"/robots/{robot}/kinds", SCHOOL, json={"kinds": ["relay"]})
    assert chosen.status == 200, chosen.body
    assert await post(api, groups) == []
    unsettled = "SELECT count(*) FROM robot_unit_notices WHERE settled_at IS NULL"
    assert await api.runtime.pool.fetchval(unsettled) == 0


async def test_what_is_in_or_over_by_then_is_not_posted(api: Api, groups: SimulatedGroups) -> None:
    await add(api, groups, "school")
    handed, open_ = await made_duty(api), await made_duty(api, title="台账")
    await turn(api, LATE)
    report = {"narrative": "集市宣讲两场。"}
    assert (await api.post(f"/duties/{handed}/submit", SCHOOL, report)).status == 200
    (text,) = await post(api, groups)
    assert ("台账" in text, "周报" in text) == (True, False)
    assert open_ != handed
    excused = await api.post(f"/duties/{open_}/excuse", COUNTY, {"reason": "停电"})
    assert excused.status == 200
    await made_duty(api, title="月报", due={"weekday": "SA", "time": "16:30"}, shift="none")
    await turn(api, FRIDAY + timedelta(hours=24, minutes=29, seconds=30))
    assert await count(api, "robot_unit_notices WHERE settled_at IS NULL") == 2
    assert await post(api, groups) == [], "the deadline came while it waited"
    assert await count(api, "robot_unit_notices WHERE settled_at IS NULL") == 0


async def test_what_breaks_off_with_the_step_is_owed_to_no_group(
    api: Api, groups: SimulatedGroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(api, groups, "school")
    await made_duty(api)

    async def broken(*_: object) -> None:
        raise ConnectionError("the process ends here")

    with monkeypatch.context() as patch:
        patch.setattr("service.duties.step_store.go_on", broken)
        with pytest.raises(ConnectionError):
            await turn(api, LATE)
    assert [await count(api, table) for table in ("duty_steps", "robot_unit_notices")] == [0, 0]
    await turn(api, LATE)
    assert len(await post(api, groups)) == 1


async def test_a_group_is_told_that_a_relay_began_and_of_none_that_did_not(
    api: Api, groups: SimulatedGroups
) -> None:
    await add(api, groups, "county")
    await add(api, groups, "school", "dingtalk")
    station = await build(api)
    begun = await begin(api, station)
    assert begun.status == 201, begun.body
    assert (await begin(api, station)).status == 409
    (text,) = await post(api, groups)
    assert text.startswith("逐级推送已开始（2027-W02）：")
    assert text.endswith("5个群，请于1月17日20:00前答复")
    assert not any(digits in text for digits in ("1979", "群1", "g1"))
    cancelled = await api.post(f"/relays/{begun.json['id']}/cancel", COUNTY, {"reason": "错字"})
    assert cancelled.status == 200, cancelled.body
    again = await begin(api, station)
    await api.post(f"/relays/{again.json['id']}/cancel", COUNTY, {"reason": "错字"})
    assert await post(api, groups) == [], "it was cancelled before it was told"


async def test_many_units_are_one_message_and_are_forgotten_later(
    api: Api, groups: SimulatedGroups
) -> None:
    await add(api, groups, "county", kinds=["late_list"])
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO departments (name, kind) SELECT '第' || n || '中学', 'school'"
            " FROM generate_series(1, 40) n"
        )
    await set_obligation(api, departments=[], kinds=["school"])
    await turn(api)
    await turn(api, FRIDAY + timedelta(days=2, hours=17))
    (text,) = await post(api, groups)
    assert "等41家单位" in text
    assert await count(api, "robot_unit_notices") == 41
    await post(api, groups, KEPT + timedelta(days=1))
    assert await count(api, "robot_unit_notices") == 0


@pytest.mark.parametrize(("language", "word"), [("zh-CN", "催报名单"), ("en", "others are late")])
async def test_the_page_offers_and_shows_what_a_group_is_told(
    api: Api, groups: SimulatedGroups, language: str, word: str
) -> None:
    login = await with_own_password(api, api.teams["county"].operator)
    browser = await browser_at(api, login, language)
    page = await browser.get("/office/robots/new")
    typed = {"name": "值班群", "address": groups.address(PATHS["wecom"]), "kinds": "late_list"}
    shown = await browser.submit(page, "/office/robots/new", typed)
    assert shown.status == 200, shown.text
    assert word in shown.text
    (robot,) = (await api.get("/robots", COUNTY)).json["items"]
    assert robot["kinds"] == ["late_list"]
