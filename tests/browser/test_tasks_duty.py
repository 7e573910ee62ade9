"""What people on duty come to do: a dead channel, uncertain texts, a clue, "did it arrive?"."""

import csv
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import Page, expect

from service.clock import CHINA
from service.crypto import Keyring, read_key_file
from service.local.simulated_channels import ACCOUNTS
from service.storage.postgres import connect
from tests.browser.conftest import Finish, Visit, own
from tests.browser.going import Going
from tests.browser.office import Office
from tests.browser.pieces import is_sound, main_button, to
from tests.harness.live import Launched, order, say_in
from tests.harness.waiting import until

SOME = "运营商 = 联通 且 身份 = 财务人员 且 年龄 >= 40"
"""Some forty people, all on one channel."""
DOUBTS, BY_STATEMENT = 20, 14
LOGIN_REFUSED = 21
"""By SMGP: the secret is wrong."""


def asked(page: Page) -> list[str]:
    """Every address that the page asks for from now on, and where it stands then."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    page.on("framenavigated", lambda frame: found.append(frame.url))
    return found


async def run_of(office: Office, launched: Launched) -> str:
    """The run of a campaign that fires now."""

    async def fired() -> str | None:
        found = await office.ask("operator", "GET", f"/campaigns/{launched.campaign}/runs")
        return next((run["id"] for run in found["items"]), None)

    return str(await until(fired))


@own
async def dying(office: Office) -> AsyncIterator[str]:
    """The channel that dies in a test; it lives again before the next one sends."""
    listed = (await office.ask("operator", "GET", "/channels"))["items"]
    ids = {one["name"]: str(one["id"]) for one in listed}
    yield ids["smgp"]
    await order(office.live, "DELETE", "faults")

    async def lives() -> bool:
        found = [
            await office.ask("operator", "GET", f"/channels/{one}/health") for one in ids.values()
        ]
        return all(one["figures"]["up"] and one["state"] == "closed" for one in found)

    await until(lives, what="all channels are there again")


async def test_a_channel_that_dies_is_learnt_of_on_the_start_page(
    visit: Visit,
    office: Office,
    going: Going,
    dying: str,
    way: dict[str, Any],
    finish: Finish,
    record_property: Callable[[str, object], None],
) -> None:
    visitor = await visit("duty", **way)
    page = visitor.page
    await visitor.go("/today")
    visitor.start_clock()
    await order(office.live, "PATCH", "faults", {"login_status": LOGIN_REFUSED})
    await order(office.live, "POST", "disconnect", {"account": ACCOUNTS["smgp"]})
    line = to(visitor, f"/duty/channels/{dying}")
    await expect(line).to_contain_text("smgp")
    record_property("seconds until it is said", round(visitor.seconds, 1))
    await is_sound(visitor)
    await visitor.press(line)
    await expect(page.locator("h1")).to_have_text("smgp")
    await expect(visitor.says("它的短信先等着")).to_be_visible()
    await is_sound(visitor)
    finish("15", visitor)
    waiting = await office.ask("operator", "GET", f"/channels/{dying}/queue")
    texts = sum(one["messages"] for one in waiting["classes"])
    assert texts > 1_000
    assert f"{texts:,}" in await page.locator("main").inner_text()


LEFT_OPEN = """
    WITH lost AS (SELECT run_id, no FROM messages m
                  WHERE run_id = $1::text::uuid AND state = 'delivered' AND NOT EXISTS (
                      SELECT FROM receipts_unmatched r WHERE r.phone_hash = m.phone_hash)
                  ORDER BY no LIMIT $2),
    gone AS (DELETE FROM parts p USING lost WHERE (p.run_id, p.no) = (lost.run_id, lost.no)),
    open AS (UPDATE messages m SET state = 'uncertain', reason = 'no_answer', submitted_at = NULL,
                    final_at = NULL, marked_at = m.marked_at - make_interval(hours => $3)
             FROM lost WHERE (m.run_id, m.no) = (lost.run_id, lost.no) RETURNING m.*),
    made AS (INSERT INTO uncertain
             SELECT channel_id, phone_hash, run_id, no, attempt, marked_at, marked_at FROM open
             RETURNING 1)
    SELECT count(*) FROM made
"""
"""What a lost connection leaves of texts without an answer, some hours later. How many it leaves is
up to the carrier's window, so the rows are written as the channel process writes them. Nobody is
taken of whom a receipt waits that fits no text: it would settle this one.
"""
HOURS = count(1)
"""An hour for each test: a statement tells the texts to one person apart by their times."""


@own
async def uncertain(office: Office) -> AsyncIterator[str]:
    """A run with some texts that were never answered, hours ago."""
    nobody = Launched(office.live, "", 0)
    await nobody.settle_by_hand()
    await order(office.live, "PATCH", "faults", {"duplicate_receipts": 0, "unknown_receipts": 0})
    launched = await office.live.launch(SOME)
    await launched.handed_off()
    run = await run_of(office, launched)

    async def enough() -> bool:
        return await launched.count("delivered") > DOUBTS

    await until(enough)
    assert await office.live.query(LEFT_OPEN, run, DOUBTS, next(HOURS)) == DOUBTS
    yield run
    await nobody.settle_by_hand()  # else the same people would get no other text


async def statement(office: Office, run: str, path: Path) -> None:
    """What a carrier says of the first texts of a run: half of them arrived, half did not."""
    keyring = Keyring(read_key_file(office.live.folder.with_name("data.key")))
    conn = await connect(office.live.summary["database_url"])
    try:
        rows = await conn.fetch(
            """
            SELECT m.phone_cipher, u.marked_at FROM uncertain u JOIN messages m USING (run_id, no)
            WHERE run_id = $1::text::uuid ORDER BY no LIMIT $2
            """,
            run,
            BY_STATEMENT,
        )
    finally:
        await conn.close()
    with path.open("w", encoding="gb18030", newline="") as file:
        written = csv.writer(file)
        written.writerow(["手机号", "提交时间", "状态"])
        for place, row in enumerate(rows):
            at: datetime = row["marked_at"].astimezone(CHINA)
            number = keyring.decrypt("phone", row["phone_cipher"]).removeprefix("+86")
            written.writerow([number, f"{at:%Y-%m-%d %H:%M:%S}", ["DELIVRD", "UNDELIV"][place % 2]])


async def test_uncertain_texts_are_settled_by_a_statement_and_by_a_decision(
    visit: Visit,
    office: Office,
    uncertain: str,
    way: dict[str, Any],
    finish: Finish,
    tmp_path: Path,
) -> None:
    await statement(office, uncertain, tmp_path / "对账单.csv")
    visitor = await visit("duty", **way)
    page = visitor.page
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(to(visitor, "/duty/doubt"))
    await is_sound(visitor)
    await visitor.press(page.locator("main summary").first)
    await visitor.attach(visitor.field("file"), tmp_path / "对账单.csv")
    await visitor.press(page.locator("form[action$='/statement'] button.main"))
    await expect(page.locator("main")).to_contain_text(f"已认定 {BY_STATEMENT}")
    await is_sound(visitor)
    await visitor.press(to(visitor, "/duty/doubt"))
    await visitor.press(page.locator("#all"))
    await expect(page.locator("main [name=ids]:checked")).to_have_count(DOUBTS - BY_STATEMENT)
    await visitor.press(page.locator("[name=decision][value=unknown]"))
    await visitor.type(page.locator("form[action$='/ask'] [name=reason]"), "运营商查不到")
    await visitor.press(page.locator("form[action$='/ask'] button.main"))
    await is_sound(visitor)
    await visitor.press(main_button(visitor))
    await expect(page.locator("main .notice")).to_contain_text(str(DOUBTS - BY_STATEMENT))
    finish("17", visitor)
    report = await office.ask("operator", "GET", f"/runs/{uncertain}/report")
    assert "uncertain" not in report["states"]
    assert report["states"]["unknown"] == DOUBTS - BY_STATEMENT
    settled = await office.live.query(
        """
        SELECT count(*) FROM doubts_decided d JOIN messages m USING (run_id, no)
        WHERE run_id = $1::text::uuid AND m.state IN ('delivered', 'undelivered')
        """,
        uncertain,
    )
    assert settled == BY_STATEMENT


async def test_a_clue_is_taken_seen_in_full_and_closed(
    visit: Visit, office: Office, arrived: str, way: dict[str, Any], finish: Finish
) -> None:
    number, words = arrived, f"举报：有人冒充公安让我转账 {uuid4().hex[:6]}"
    await say_in(office.live, number, words, "sgip")
    visitor = await visit("duty", **way)
    page, addresses = visitor.page, asked(visitor.page)

    async def came() -> str | None:
        found = await office.ask("operator", "GET", "/inbound?kind=clue&state=new&limit=100")
        return next((one["id"] for one in found["items"] if one["text"] == words), None)

    clue = await until(came)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(to(visitor, "/duty/replies"))
    await is_sound(visitor)
    await visitor.press(page.locator(f"form[action='/duty/replies/{clue}/take'] button"))
    await expect(visitor.says(words)).to_be_visible()
    assert number not in await page.content()
    await visitor.type(visitor.field("reason"), "回电核实线索")
    await visitor.press(page.locator("form[action$='/unmask'] button"))
    await expect(page.locator("main strong.num")).to_contain_text(number)
    await is_sound(visitor)
    await visitor.type(visitor.field("note"), "已转刑侦大队")
    await visitor.press(page.locator("form[action$='/done'] button.main"))
    await page.wait_for_url("**/duty/replies")
    finish("18", visitor)
    closed = await office.ask("operator", "GET", f"/inbound/{clue}")
    assert (closed["state"], closed["note"]) == ("done", "已转刑侦大队")
    assert closed["done_by"] == closed["taken_by"] == office.users["duty"]
    trail = await office.ask("admin", "GET", f"/audit?object_id={clue}&action=unmask_inbound")
    (seen,) = trail["items"]
    assert (seen["actor_id"], seen["via"]) == (office.users["duty"], "console")
    assert number not in str(addresses)


async def test_did_it_arrive_is_asked_from_the_start_page(
    visit: Visit, office: Office, arrived: str, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("duty", **way)
    page, addresses = visitor.page, asked(visitor.page)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.type(page.locator("#search"), arrived)
    await visitor.press(page.locator("form.search button"))
    await expect(page.locator("h1")).to_contain_text(f"{arrived[:3]}****{arrived[-4:]}")
    await expect(visitor.says("已送达")).to_be_visible()
    await is_sound(visitor)
    finish("19", visitor)
    assert len(addresses) > 2
    assert not [address for address in addresses if arrived in address or arrived[3:] in address]
    assert arrived not in await page.title()
    found = await office.ask("operator", "POST", "/messages/lookup", {"phone": arrived})
    assert found["items"][0]["state"] == "delivered"


@own
async def arrived(office: Office) -> str:
    """A number that has just got a text."""
    launched = await office.live.launch(SOME)
    run = await run_of(office, launched)
    keyring = Keyring(read_key_file(office.live.folder.with_name("data.key")))

    async def got_it() -> bytes | None:
        cipher: bytes | None = await office.live.query(
            """
            SELECT phone_cipher FROM messages
            WHERE run_id = $1::text::uuid AND state = 'delivered' ORDER BY no LIMIT 1
            """,
            run,
        )
        return cipher

    return keyring.decrypt("phone", await until(got_it)).removeprefix("+86")
