"""What people come to do after a broadcast: its figures on paper, those it missed, its evidence."""

import csv
import zipfile
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from service.crypto import Keyring, read_key_file
from service.reports.verify_evidence import faults
from service.storage.postgres import connect
from tests.browser.conftest import Finish, Visit, own, shared
from tests.browser.downloads import downloaded
from tests.browser.furniture import FEW
from tests.browser.office import Office, choose_password, hire
from tests.browser.pieces import is_sound, main_button, menu, to
from tests.harness.live import Launched
from tests.harness.waiting import until

WITHOUT_RECEIPT = 5
"""Of these people, by the simulated carrier's law."""
PRINTED = "window.printed = 0; window.print = () => { window.printed += 1; };"
"""A machine of tests has no printer."""
ON_ITS_WAY = """
    SELECT count(*) FROM messages
    WHERE run_id = $1::text::uuid AND state IN ('queued', 'submitting')
"""


async def sent_to_a_few(office: Office) -> Launched:
    """A broadcast to some hundred people, of which all is known that there will be."""
    launched = await office.live.launch(FEW)
    await launched.handed_off()

    async def all_known() -> bool:
        return await launched.count("submitted") <= WITHOUT_RECEIPT

    await until(all_known)
    return launched


@shared
async def over(office: Office) -> Launched:
    """One that nobody follows up."""
    return await sent_to_a_few(office)


@own
async def fresh(office: Office) -> Launched:
    """One of the test's own."""
    return await sent_to_a_few(office)


async def run_of(office: Office, launched: Launched) -> str:
    found = await office.ask("operator", "GET", f"/campaigns/{launched.campaign}/runs")
    return str(found["items"][-1]["id"])


async def test_the_figures_by_carrier_are_taken_as_a_file_and_printed(
    visit: Visit,
    office: Office,
    over: Launched,
    way: dict[str, Any],
    finish: Finish,
    tmp_path: Path,
) -> None:
    visitor = await visit("head", **way)
    page = visitor.page
    await page.add_init_script(PRINTED)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/reports"))
    await is_sound(visitor)
    await visitor.press(to(visitor, f"/reports/campaigns/{over.campaign}"))
    export = page.locator("main form[action$='/export'] button")
    file = await downloaded(visitor, export, tmp_path / "report.csv")
    await visitor.press(page.locator("main [data-do=print]"))
    finish("21", visitor)
    await is_sound(visitor)
    assert await page.evaluate("window.printed") == 1
    await page.emulate_media(media="print")
    await expect(page.locator("main [data-do=print]")).to_be_hidden()
    await expect(page.locator("header.top")).to_be_hidden()
    paper: str = await page.locator("body").inner_text()
    for said in ("县反诈中心", "赵局长", "✓"):
        assert said in paper, said
    report = await office.ask("operator", "GET", f"/campaigns/{over.campaign}/report")
    names = ("target", "reached", "failed", "unknown", "stopped", "open", "parts")
    carriers = report["weeks"]
    assert len(carriers) == 4
    assert f"{report['total']['target']:,}" in paper
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for name in names:
        assert sum(one[name] for one in carriers) == report["total"][name]
        assert sum(int(row[name]) for row in rows) == report["total"][name], name
    shown = await page.locator("main table").first.locator("tbody tr").all_inner_texts()
    for one in carriers:
        assert any(str(one["reached"]) in row.split() for row in shown)


async def test_those_who_were_missed_get_it_again_and_nobody_else_twice(
    visit: Visit, office: Office, fresh: Launched, way: dict[str, Any], finish: Finish
) -> None:
    run = await run_of(office, fresh)
    missed = await office.ask("operator", "GET", f"/runs/{run}/missed")
    again = sum(missed["again"].values())
    assert again
    got_it, once = await reached(office, run), fresh.submits()
    visitor = await visit("operator", **way)
    page = visitor.page
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(to(visitor, f"/runs/{run}"))
    await visitor.press(to(visitor, f"/runs/{run}/after"))
    await is_sound(visitor)
    await visitor.press(to(visitor, f"/runs/{run}/resend"))
    await expect(main_button(visitor)).to_contain_text(f"{again} 人")
    await visitor.type(visitor.field("reason"), "补发")
    await visitor.press(main_button(visitor))
    await expect(page.locator("main .notice")).to_be_visible()
    finish("22", visitor)
    await is_sound(visitor)
    made = page.url.rpartition("/")[2]

    async def left() -> bool:
        sent = await office.ask("operator", "GET", f"/runs/{made}/progress")
        # Handed off counts those that are on their way; the carrier has what was answered.
        on_its_way = await office.live.query(ON_ITS_WAY, made)
        return bool(sent["target"] == again == sent["handed_off"]) and not on_its_way

    await until(left)
    now = fresh.submits()
    more = {phone: now[phone] - once[phone] for phone in now if now[phone] > once[phone]}
    assert not got_it & more.keys()
    assert set(more.values()) == {1}
    assert len(more) <= again, "a number that is dead for the third time is left out as it leaves"


async def reached(office: Office, run: str) -> set[str]:
    """The numbers that a run has reached."""
    keyring = Keyring(read_key_file(office.live.folder.with_name("data.key")))
    conn = await connect(office.live.summary["database_url"])
    try:
        rows = await conn.fetch(
            """
            SELECT phone_cipher FROM messages
            WHERE run_id = $1::text::uuid AND state = 'delivered'
            """,
            run,
        )
    finally:
        await conn.close()
    found = {keyring.decrypt("phone", row["phone_cipher"]) for row in rows}
    assert len(found) > 300
    return found


async def test_an_auditor_finds_who_approved_a_run_and_its_evidence_holds(
    visit: Visit,
    office: Office,
    over: Launched,
    way: dict[str, Any],
    finish: Finish,
    tmp_path: Path,
) -> None:
    run = await run_of(office, over)
    login, _ = await hire(office, "auditor")
    await choose_password(office, login)
    visitor = await visit(**way)
    await visitor.log_in(login)
    page = visitor.page
    visitor.start_clock()
    await visitor.press(to(visitor, f"/runs/{run}"))
    await visitor.press(to(visitor, f"/runs/{run}/report"))
    await is_sound(visitor)
    evidence = page.locator("main form[action$='/evidence'] button")
    file = await downloaded(visitor, evidence, tmp_path / "evidence.zip")
    await visitor.press(to(visitor, f"/plans/{over.campaign}"))
    await is_sound(visitor)
    await visitor.press(to(visitor, f"/reports/audit?object_id={over.campaign}"))
    row = page.locator("main tbody tr").filter(has_text="签发任务")
    await expect(row).to_have_count(1)
    campaign = await office.ask("operator", "GET", f"/campaigns/{over.campaign}")
    assert campaign["approved_by"] == office.users["approver"]
    await expect(row).to_contain_text("审批员")
    await expect(row).to_contain_text("程序")
    await is_sound(visitor)
    finish("24", visitor)
    trail = await office.ask("admin", "GET", f"/audit?object_id={over.campaign}")
    assert [one["foreign"] for one in trail["items"]] == [None] * len(trail["items"])
    key = (await office.ask("admin", "GET", "/evidence-key"))["public_key"]
    with zipfile.ZipFile(file) as archive:
        assert faults(archive, bytes.fromhex(key)) == []
