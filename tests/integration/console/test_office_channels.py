"""Administration of channels: set up and changed by one person or by two, tested, switched on."""

from collections.abc import Mapping
from typing import Any

import pytest

from service.accounts.people.model import Role, User
from service.channels.config.store import get_channel, hold_channel
from service.channels.contract.model import Hold, revealed
from service.channels.trial import trial
from service.console.channels.form import shown_value
from service.simulator.run import running
from service.storage.postgres import transaction
from tests.harness.channels import BODY, CONFIGS, SECRET, channel, real, secrets
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.keys import other
from tests.harness.links import account_of
from tests.harness.logins import with_own_password
from tests.harness.simulated import simulator
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
NEW = "/office/channels/new"


async def second_browser(api: Api) -> tuple[Browser, User]:
    """Another administrator, of whom the first one holds no secret."""
    user = await other(api, Role.ADMIN)
    browser = Browser(api)
    seen = await browser.log_in(await with_own_password(api, user))
    assert seen.status == 200, seen.text
    return browser, user


async def config_of(api: Api, number: int) -> dict[str, Any]:
    async with transaction(api.runtime.pool) as conn:
        found = await get_channel(conn, api.runtime.keyring, number)
    return revealed(found.config)


def typed_of(config: Mapping[str, Any]) -> dict[str, str]:
    return {f"config.{name}": shown_value(value) for name, value in config.items()}


async def begun(browser: Browser, kind: str, *, simulated: bool = True) -> Seen:
    """The form for a new channel, as one comes to it from the list."""
    page = await browser.get("/office/channels")
    assert NEW in page.links
    chooser = (await browser.get(NEW)).form(NEW)
    assert {"kind", "simulated"} <= chooser.named
    return await browser.get(f"{NEW}?kind={kind}&simulated={str(simulated).lower()}")


def number_of(seen: Seen) -> int:
    return int(seen.path.rpartition("/")[2])


@pytest.mark.parametrize("kind", sorted(CONFIGS))
async def test_a_form_sets_up_each_kind_and_saves_it_as_it_is(api: Api, kind: str) -> None:
    browser = await browser_of(api, "admin")
    page = await begun(browser, kind)
    typed = {"name": "新", "carriers": ["china_mobile"], "tps": "50", **typed_of(CONFIGS[kind])}
    seen = await browser.submit(page, NEW, typed)
    assert seen.status == 200, seen.text
    assert "模拟" in seen.text
    number = number_of(seen)
    made = await api.post(
        "/channels", ADMIN, {**BODY, "name": "b", "kind": kind, "config": CONFIGS[kind]}
    )
    assert await config_of(api, number) == await config_of(api, made.json["id"])
    found = (await api.get(f"/channels/{number}", ADMIN)).json
    assert (found["enabled"], found["tps"], found["maintenance"]) == (False, 50, [])
    assert "s3cr3t" not in seen.html
    assert "已设置" in seen.text
    again = await browser.submit(seen, seen.path, {"tps": "", "maintenance": "23:00-1:00"})
    assert "已保存。" in again.text
    assert await config_of(api, number) == await config_of(api, made.json["id"])
    found = (await api.get(f"/channels/{number}", ADMIN)).json
    assert (found["tps"], found["maintenance"]) == (None, [["23:00", "01:00"]])


async def test_what_is_wrong_stands_at_its_field_and_no_secret_comes_back(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await begun(browser, "cmpp")
    typed = {"name": "新", "config.port": "99999999", "config.secret": SECRET}
    seen = await browser.submit(page, NEW, typed)
    assert seen.status == 422
    assert 'id="e-carriers"' in seen.html
    seen = await browser.submit(seen, NEW, {"carriers": ["china_mobile"], "config.secret": SECRET})
    for field in ("config.host", "config.port", "config.account", "config.access_number"):
        assert f'id="e-{field}"' in seen.html, field
    assert 'value="99999999"' in seen.html, "what was typed stays"
    assert SECRET not in seen.html
    assert "模拟" in seen.text, "and so does what was chosen"
    wrong = await browser.submit(seen, NEW, {"maintenance": "at night"})
    assert 'id="e-maintenance"' in wrong.html
    assert "at night" in wrong.html
    assert (await api.get("/channels", ADMIN)).json["items"] == []


async def test_a_wrong_line_of_a_table_or_a_list_stands_at_its_field(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await begun(browser, "http")
    typed = {"name": "新", "carriers": ["china_mobile"], **typed_of(CONFIGS["http"])}
    seen = await browser.submit(page, NEW, typed | {"config.codes": "0 = accepted\n23"})
    assert 'id="e-config.codes"' in seen.html
    assert "“23”" in seen.text
    seen = await browser.submit(page, NEW, typed | {"config.codes": "0 = accepted\n5 = shrugged"})
    assert 'id="e-config.codes"' in seen.html
    good = typed | {"config.codes": "0 = accepted\r\n23 = rejected:blacklisted"}
    seen = await browser.submit(page, NEW, good)
    kept = (await config_of(api, number_of(seen)))["codes"]
    assert kept == {"0": "accepted", "23": "rejected:blacklisted"}
    assert f"/api/v1/callbacks/{number_of(seen)}" in seen.text


async def test_an_optional_secret_is_taken_away_by_a_tick_alone(api: Api) -> None:
    browser = await browser_of(api, "admin")
    number = (await api.post("/channels", ADMIN, {
        **BODY, "kind": "http", "config": CONFIGS["http"],
    })).json["id"]  # fmt: skip
    page = await browser.get(f"/office/channels/{number}")
    await browser.submit(page, page.path, {"config.secret": "", "clear.headers": "true"})
    kept = await config_of(api, number)
    assert (kept["headers"], kept["secret"]) == ("", CONFIGS["http"]["secret"])


async def test_a_real_channel_begins_by_a_second_person(api: Api) -> None:
    browser = await browser_of(api, "admin")
    second, who = await second_browser(api)
    page = await begun(browser, "cmpp", simulated=False)
    assert "真实" in page.text
    typed = {"name": "移动真", "carriers": ["china_mobile"], **typed_of(CONFIGS["cmpp"])}
    seen = await browser.submit(page, NEW, typed)
    number = number_of(seen)
    assert "真实" in seen.text
    assert who.name in seen.text, "the proposer sees who can"
    assert not [form for form in seen.forms if form.action.endswith(("/confirm", "/test"))]
    waits = await second.get("/today")
    assert f"/office/channels/{number}" in waits.links
    assert f"/office/channels/{number}" in (await second.get("/duty")).links
    offered = await second.get(f"/office/channels/{number}")
    (confirm,) = [form.action for form in offered.forms if form.action.endswith("/confirm")]
    assert "192.0.2.1" in offered.text
    assert "s3cr3t" not in offered.html
    done = await second.submit(offered, confirm)
    assert "可以启用" in done.text
    found = (await api.get(f"/channels/{number}", ADMIN)).json
    assert (found["waits_since"], found["enabled"]) == (None, False)


async def test_whoever_proposed_confirms_nothing_by_hand_either(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await begun(browser, "cmpp", simulated=False)
    typed = {"name": "移动真", "carriers": ["china_mobile"], **typed_of(CONFIGS["cmpp"])}
    seen = await browser.submit(page, NEW, typed)
    number = number_of(seen)
    assert "需要另一名管理通道的管理员" in seen.text, "nobody else is there"
    (change,) = (await api.get(f"/channels/{number}/changes", ADMIN)).json["items"]
    path = f"/office/channels/{number}/changes/{change['id']}/confirm"
    fields = dict(seen.form("/logout").fields)
    refused = await browser.post(path, fields)
    assert refused.status == 403
    assert (await api.get(f"/channels/{number}", ADMIN)).json["waits_since"] is not None


async def test_where_a_real_channel_connects_two_persons_change(api: Api) -> None:
    number = await real(api, "cmpp")
    browser = await browser_of(api, "admin")
    second, who = await second_browser(api)
    page = await browser.get(f"/office/channels/{number}")
    assert "config.host" not in page.form(page.path).named, "one person does not change it"
    path = f"{page.path}/propose"
    assert path in page.links
    form = await browser.get(path)
    assert 'value="192.0.2.1"' in form.html
    unsaid = await browser.submit(form, path, {"config.host": "203.0.113.7", "reason": "新机房"})
    assert (unsaid.status, 'id="e-config.secret"' in unsaid.html) == (422, True)
    same = await browser.submit(form, path, {"reason": "没有改"})
    assert same.status == 422
    new = {"config.host": "203.0.113.7", "config.secret": secrets("cmpp")["secret"]}
    silent = await browser.submit(form, path, new | {"reason": ""})
    assert 'id="e-reason"' in silent.html
    assert secrets("cmpp")["secret"] not in silent.html
    sent = await browser.submit(form, path, new | {"reason": "新机房"})
    assert "可以确认的人：" in sent.text
    assert who.name in sent.text
    offered = await second.get(page.path)
    assert "新机房" in offered.text
    assert "192.0.2.1" in offered.text
    assert "203.0.113.7" in offered.text
    assert "重新填写" in offered.text
    (confirm,) = [form.action for form in offered.forms if form.action.endswith("/confirm")]
    assert (await config_of(api, number))["host"] == "192.0.2.1"
    done = await second.submit(offered, confirm)
    assert "修改已生效" in done.text
    kept = await config_of(api, number)
    assert (kept["host"], kept["secret"]) == ("203.0.113.7", secrets("cmpp")["secret"])


async def test_who_changed_it_meanwhile_is_not_overwritten(api: Api) -> None:
    number = await channel(api, "移动", "china_mobile")
    browser = await browser_of(api, "admin")
    page = await browser.get(f"/office/channels/{number}")
    await api.patch(f"/channels/{number}", ADMIN, {"tps": 7})
    seen = await browser.submit(page, page.path, {"tps": "9"})
    assert seen.status == 412
    assert (await api.get(f"/channels/{number}", ADMIN)).json["tps"] == 7
    empty = await browser.submit(await browser.get(page.path), page.path, {"rank": ""})
    assert (empty.status, 'id="e-rank"' in empty.html) == (422, True)


async def test_the_login_is_tested_and_the_channel_switched_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "WATCH_SECONDS", 0.1)
    browser = await browser_of(api, "admin")
    async with running(simulator()) as carrier:
        config = account_of("cmpp", host="127.0.0.1", port=carrier.ports["cmpp"])
        page = await begun(browser, "cmpp")
        typed = {"name": "移动", "carriers": ["china_mobile"], **typed_of(config)}
        seen = await browser.submit(page, NEW, typed)
        base = seen.path
        tried = await browser.submit(seen, f"{base}/test")
        assert "运营商接受了登录" in tried.text
        on = await browser.submit(tried, f"{base}/switch")
        assert "通道已启用" in on.text
        number = number_of(on)
        assert (await api.get(f"/channels/{number}", ADMIN)).json["enabled"] is True
        await api.patch(f"/channels/{number}", ADMIN, {"config": {"secret": "wrong"}})
        bad = await browser.submit(on, f"{base}/test")
        assert "运营商接受了登录" not in bad.text
        assert not [form for form in bad.forms if form.action.endswith("/switch")]
    off = await browser.submit(await browser.get(f"{base}/switch"), f"{base}/switch")
    assert "通道已停用" in off.text
    assert (await api.get(f"/channels/{number}", ADMIN)).json["enabled"] is False


async def test_a_hold_is_lifted_and_a_filing_asked_for(api: Api) -> None:
    number = await channel(api, "移动", "china_mobile")
    async with transaction(api.runtime.pool) as conn:
        await hold_channel(conn, number, Hold(api.clock.at.replace(hour=23), "no balance"))
    browser = await browser_of(api, "admin")
    page = await browser.get(f"/office/channels/{number}")
    assert "no balance" in page.text
    lifted = await browser.submit(page, f"{page.path}/hold/lift")
    assert "no balance" not in lifted.text
    filed = await browser.submit(lifted, f"{page.path}/filing", {"required": "true"})
    assert "只有已报备的短信" in filed.text
    assert (await api.get(f"/channels/{number}", ADMIN)).json["requires_filing"] is True


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_each_page_of_a_channel_is_shown_in_both_languages(api: Api, language: str) -> None:
    number = await real(api, "twilio")
    browser = await browser_of(api, "admin", language)
    base = f"/office/channels/{number}"
    for path in (base, f"{base}/switch", f"{base}/propose", f"/duty/channels/{number}"):
        seen = await browser.get(path)
        assert seen.status == 200, path
        assert "None" not in seen.text, path
        assert ("真实" if language == "zh-CN" else "real") in seen.text or "/switch" in path
    assert base in (await browser.get(f"/duty/channels/{number}")).links
    assert "Twilio" in (await browser.get(base)).text


async def test_only_who_manages_channels_sets_them_up(api: Api) -> None:
    number = await channel(api, "移动", "china_mobile")
    browser = await browser_of(api, "operator")
    duty = await browser.get(f"/duty/channels/{number}")
    assert f"/office/channels/{number}" not in duty.links
    for path in ("/office/channels", NEW, f"/office/channels/{number}", "/office/codes/new"):
        assert (await browser.get(path)).status == 403, path
    admin = await browser_of(api, "admin")
    assert (await admin.get("/office/channels/99")).status == 404
    assert (await admin.get("/office/channels/x")).status == 404
