"""Legs of joint plans on the command line, as an operator of a carrier reads and takes them."""

import shlex
from pathlib import Path

import pytest

from service.audience.areas.area_store import load_areas
from service.crypto import Keyring
from service.storage.postgres import Pool, transaction
from tests.harness.bulletins import WEEK, give_bulletin
from tests.harness.joint import MOBILE, JointCounty
from tests.harness.joint_api import OPERATOR, approved, joint_county
from tests.integration.api.conftest import Api
from tests.integration.client.conftest import Shell, one

PAGE = Path(__file__).parents[3] / "docs" / "joint-plans.md"
TOWN, OTHER = "341825100000", "341825101000"


@pytest.fixture
async def county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    async with transaction(pool) as conn:
        await load_areas(conn)
    county = await joint_county(api, pool, keyring)
    await pool.execute("UPDATE contacts SET area_code = $1", TOWN)
    return county


async def test_a_leg_is_read_and_taken_by_a_person(
    api: Api, county: JointCounty, shell: Shell
) -> None:
    made = await approved(api, county)
    (listed,) = (await shell("--json", "legs", "list", where=MOBILE)).rows
    told = (await shell("--lang", "zh", "legs", "list", "--state", "asked", where=MOBILE)).out
    for said in ("全县宣传", f"{MOBILE} 旌德", "待接受", listed["planned_by"]):
        assert said in told
    shown = (await shell("--lang", "zh", "legs", "show", listed["id"], where=MOBILE)).out
    for line in (f"── 短信 1\n{made['text']}\n", "── 何时\n  方式：一次\n", "  时段：08:00–20:00"):
        assert line in shown, shown
    assert max(map(len, shown.splitlines())) < 250
    where = f"{TOWN},{OTHER}"
    taken = await one(shell, "legs", "take", listed["id"], "--areas", where, where=MOBILE)
    assert sorted(taken["taken_as"]["areas"]) == [TOWN, OTHER]
    assert taken["taken_as"]["people"] == 3
    told = (await shell("--lang", "zh", "legs", "show", listed["id"], where=MOBILE)).out
    assert "接受内容" in told
    assert "人数 3" in told
    for word in ("已认领", f"{MOBILE} 旌德"):
        assert (
            word
            in (await shell("--lang", "zh", "campaigns", "legs", made["id"], where="county")).out
        )


async def test_a_leg_in_a_wrong_state_says_what_it_is_and_what_to_do(
    api: Api, county: JointCounty, shell: Shell
) -> None:
    await approved(api, county)
    (leg,) = (await shell("--json", "legs", "list", where=MOBILE)).rows
    asked = await shell("legs", "ask", leg["id"], where="county")
    assert (
        asked.code,
        "cannot be asked for again: its department was asked, and has not" in asked.err,
    ) == (1, True)
    await one(shell, "legs", "return", leg["id"], "--reason", "割接", where=MOBILE)
    taken = await shell("legs", "take", leg["id"], where=MOBILE)
    assert "cannot be taken: its department has returned it; whoever planned" in taken.err
    await one(shell, "legs", "ask", leg["id"], where="county")
    await one(shell, "legs", "take", leg["id"], where=MOBILE)
    again = await shell("legs", "return", leg["id"], "--reason", "x", where=MOBILE)
    assert "cannot be returned: its department has taken it; pause or cancel" in again.err


async def test_the_figures_of_a_week_are_sent_as_the_page_says(
    api: Api, county: JointCounty, shell: Shell
) -> None:
    words = "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，损失{金额}，疑问拨96110。"
    text = (await api.post("/templates", OPERATOR, {"name": "通报", "text": words})).json["id"]
    operator = api.teams["county"].operator.id
    async with api.runtime.pool.acquire() as conn:
        await give_bulletin(conn, operator, api.clock.at)
        await give_bulletin(conn, operator, api.clock.at, week="2027-W02", cases=9, loss_wan=86.0)
    made = await approved(api, county, template_id=text, figures_from=WEEK)
    said = PAGE.read_text("utf-8")
    said = said[said.index("tocsin ctl campaigns clone") :]
    copy = ""
    for line in said[: said.index("```")].splitlines():
        written = line.replace("$LAST_WEEK", made["id"]).replace("$COPY", copy)
        ran = await one(shell, *shlex.split(written)[2:], where="county")
        copy = ran["id"]
    assert ran["values"] == {"周期": "1月11日至17日", "起数": "9", "金额": "86万元"}
    assert (ran["state"], len(ran["legs"])) == ("pending_approval", 3)
    assert ran["text"].endswith("1月11日至17日接报电诈9起，损失86万元，疑问拨96110。")
