"""What approvers come to do: sign, learn who can sign instead, try a text on the own phone.

The broadcasts are for tomorrow: nothing leaves while other tests go on.
"""

import json
from typing import Any
from uuid import uuid4

from playwright.async_api import expect

from service.crypto import Keyring, read_key_file
from tests.browser.conftest import PHONE, Finish, Visit, own
from tests.browser.furniture import plan
from tests.browser.office import Office, choose_password, hire
from tests.browser.pieces import is_sound, menu, to
from tests.browser.tasks import open_sheet, sign
from tests.harness.live import EVERYBODY
from tests.harness.waiting import until

TO_CONFIRM = "【旌德县公安局】公安不会打电话给群众办案，凡自称公安的来电，请拨110核实。"
"""Whoever signs this confirms that it is true."""
MANY = "年龄 >= 50"
OWN_PHONE = "19790007777"

COVERED = """(all) => all.filter((it) => {
  it.scrollIntoView({block: 'center'});
  const {left, right, top, height} = it.getBoundingClientRect();
  const seen = document.elementFromPoint((left + right) / 2, top + Math.min(height, 20) / 2);
  return !height || left < 0 || right > innerWidth || !(it.contains(seen) || seen.contains(it));
}).map((it) => it.textContent.trim())"""
"""What of some things nobody can bring before their eyes on this screen."""


async def submitted(office: Office, **how: str) -> str:
    """A plan that waits for its approver; its id."""
    made = await plan(office, f"签发 {uuid4().hex[:6]}", **how)
    await office.ask("operator", "POST", f"/campaigns/{made['id']}/submit", {})
    return str(made["id"])


async def test_a_broadcast_to_thousands_is_signed_on_a_phone(
    visit: Visit, office: Office, no_others: None, way: dict[str, Any], finish: Finish
) -> None:
    campaign = await submitted(office, rule=MANY, text=TO_CONFIRM)
    visitor = await visit("approver", width=PHONE, **way)
    page = visitor.page
    await open_sheet(visitor, campaign)
    bound = await office.ask("approver", "GET", f"/campaigns/{campaign}")
    sheet = await page.locator("main").inner_text()
    for said in (TO_CONFIRM, f"{bound['baseline']:,}", "1月13日(周三) 09:30", "公益宣传"):
        assert said in sheet, said
    everything = page.locator("main :is(dt, dd, blockquote, label, button, h2, .mono):visible")
    assert await everything.count() > 30
    assert not await everything.evaluate_all(COVERED)
    await is_sound(visitor)
    await sign(visitor, office, campaign)
    await expect(page.locator("main .notice")).to_contain_text("已签发")
    finish("9", visitor)


async def test_who_wrote_the_text_learns_who_can_sign_it(
    visit: Visit, office: Office, no_others: None, way: dict[str, Any], finish: Finish
) -> None:
    login, _ = await hire(office, "operator", "approver")
    await choose_password(office, login)
    made = await plan(office, f"自己改过 {uuid4().hex[:6]}")
    text = {"text": TO_CONFIRM}
    await office.ask_as(login, "POST", f"/templates/{made['template_id']}/versions", text)
    await office.ask("operator", "POST", f"/campaigns/{made['id']}/submit", {})
    visitor = await visit(**way)
    await visitor.log_in(login)
    visitor.start_clock()
    await expect(to(visitor, f"/plans/{made['id']}/sign")).to_have_count(0)
    await visitor.press(menu(visitor, "/plans"))
    await visitor.press(to(visitor, f"/plans/{made['id']}/sign"))
    said = visitor.page.locator("main .notice")
    waiting = await office.ask("operator", "GET", f"/campaigns/{made['id']}")
    others = [one["name"] for one in waiting["approvers"]]
    assert others
    assert "新同事" not in others
    for name in others:
        await expect(said).to_contain_text(name)
    finish("10", visitor)
    await expect(visitor.page.locator("main form[action$='/sign']")).to_have_count(0)
    await is_sound(visitor)
    assert waiting["state"] == "pending_approval"


@own
async def own_phone(office: Office) -> None:
    """The approver's phone is proved, by the code that the text to it has."""
    me = await office.ask("approver", "GET", "/me")
    if me["phone_proved_at"]:
        return
    await office.ask("approver", "PUT", "/account/phone", {"phone": OWN_PHONE})
    sql = """
        SELECT m.variables_cipher FROM messages m JOIN runs r ON r.id = m.run_id
        WHERE r.kind = 'reply' AND m.variables_cipher IS NOT NULL ORDER BY r.id DESC LIMIT 1
    """
    keyring = Keyring(read_key_file(office.live.folder.with_name("data.key")))
    values = json.loads(keyring.decrypt("variables", await office.live.query(sql)))
    await office.ask("approver", "POST", "/account/phone/code", {"code": values["验证码"]})


async def test_very_many_get_a_text_once_the_approver_has_had_it(
    visit: Visit,
    office: Office,
    no_others: None,
    own_phone: None,
    way: dict[str, Any],
    finish: Finish,
) -> None:
    campaign = await submitted(office, rule=EVERYBODY)
    sent = len(office.live.journal())
    visitor = await visit("approver", **way)
    page = visitor.page
    await open_sheet(visitor, campaign)
    await is_sound(visitor)
    form = page.locator("main form[action$='/sign']")
    await expect(form).to_have_count(0)
    await visitor.press(page.locator("main form[action$='/test'] button"))
    await expect(form).to_be_visible()
    await is_sound(visitor)
    await sign(visitor, office, campaign)
    finish("11", visitor)

    async def it_left() -> bool:
        numbers = [entry["phone"] for entry in office.live.journal()[sent:]]
        return any(number.endswith(OWN_PHONE) for number in numbers)

    await until(it_left, what="the test at the carrier")
