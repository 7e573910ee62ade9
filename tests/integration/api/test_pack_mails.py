"""Mails of packs: one to each reader who wants it, once a version, with its address and hash."""

import zipfile
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest

from service.delivery.notices import mail_proof_store, mail_store, mails
from service.reports.weekly.pack_due_store import DUE_FOR
from service.reports.weekly.packs import build_next, make_due
from service.settings import Settings
from service.storage.postgres import transaction
from tests.harness.mail_server import MailServer, mail_server
from tests.harness.owed import COUNTY, FRIDAY, SCHOOL, made_duty
from tests.integration.api.conftest import Answer, Api

WEEK = "2027-W02"
CONSOLE = "https://tocsin.example.gov.cn"
INSPECTOR, VIEWER = ("county", "inspector"), ("county", "viewer")


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """With a mail server; a test that sends says at which port."""
    mail = {
        "smtp_url": "smtp+plain://127.0.0.1:9",
        "mail_from": "tocsin@example.gov.cn",
        "mail_domains": "example.gov.cn",
        "console_url": CONSOLE,
    }
    return runtime_settings.model_copy(update=mail)


async def choose(api: Api, who: tuple[str, str], **more: Any) -> Answer:
    body = {"packs": True, "mail": f"{who[1]}@example.gov.cn"} | more
    return await api.call("PUT", "/account/notices", who, json=body)


async def prove(api: Api) -> None:
    """All addresses are proved; codes are not sent."""
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("DELETE FROM notice_mails WHERE code_cipher IS NOT NULL")
        for row in await conn.fetch("SELECT user_id FROM notice_choices"):
            await mail_proof_store.set_proved(conn, row["user_id"], api.clock.at)


async def build(api: Api) -> None:
    runtime = api.runtime
    assert await make_due(runtime.pool, api.clock.at)
    assert await build_next(runtime.pool, runtime.keyring, api.clock, runtime.settings)


async def send(api: Api, server: MailServer) -> None:
    runtime = api.runtime
    url = {"smtp_url": f"smtp+plain://127.0.0.1:{server.port}"}
    settings = runtime.settings.model_copy(update=url)
    while await mails.send_mails(runtime.pool, runtime.keyring, api.clock, settings):
        pass


async def owed(api: Api) -> int:
    found: int = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM notice_mails WHERE pack_week IS NOT NULL"
    )
    return found


async def manifest_hash(api: Api, version: int) -> str:
    answer = await api.get(f"/reports/weekly/pack?week={WEEK}&version={version}", COUNTY)
    with zipfile.ZipFile(BytesIO(answer.body)) as archive:
        return sha256(archive.read("manifest.json")).hexdigest()


async def test_each_version_is_one_mail_with_its_address_and_hash_and_nothing_attached(
    api: Api,
) -> None:
    assert (await choose(api, COUNTY, language="en")).status == 200
    assert (await choose(api, INSPECTOR)).json["packs"] is True
    await prove(api)
    duty = await made_duty(api)
    api.clock.at = FRIDAY + DUE_FOR
    await build(api)
    async with mail_server() as server:
        await send(api, server)
        await send(api, server)
        sent = {recipients[0]: mail for _, recipients, mail in server.mails}
        assert len(server.mails) == 2
        link, digest = f"{CONSOLE}/reports/weekly/packs?week={WEEK}", await manifest_hash(api, 1)
        for name, said in (
            ("operator", "version 1, is built; 0 of 1 units"),
            ("inspector", "1 个单位中 0 个已报送"),
        ):
            mail = sent[f"{name}@example.gov.cn"]
            words = mail.get_content()
            assert not mail.is_multipart(), "nothing is attached"
            assert all(part in words for part in (said, link, digest)), words
            assert WEEK in mail["Subject"]
        report = {"narrative": "集市宣讲两场。"}
        assert (await api.post(f"/duties/{duty}/submit", SCHOOL, report)).status == 200
        await build(api)
        await send(api, server)
        assert len(server.mails) == 4
        assert await manifest_hash(api, 2) in server.mails[-1][2].get_content()
    (last, first) = (await api.get("/account/notices", INSPECTOR)).json["pack_mails"]
    assert (last["version"], first["version"]) == (2, 1)
    assert last["plain"]["en"] == "sent by mail"


async def test_nobody_has_a_mail_who_may_not_open_the_pack_or_has_proved_no_address(
    api: Api,
) -> None:
    for who in (COUNTY, INSPECTOR, VIEWER, ("county", "approver")):
        assert (await choose(api, who)).status == 200
    await prove(api)
    pool, teams = api.runtime.pool, api.teams
    await pool.execute(
        "UPDATE notice_choices SET mail_proved_at = NULL WHERE user_id = $1",
        teams["county"].approver.id,
    )
    await pool.execute(  # as it was chosen while they were of the county
        "INSERT INTO notice_choices (user_id, kinds, packs, way, mail_cipher, language, chosen_at,"
        " mail_proved_at) SELECT $1, kinds, packs, way, mail_cipher, language, chosen_at,"
        " mail_proved_at FROM notice_choices WHERE user_id = $2",
        teams["school"].operator.id,
        teams["county"].operator.id,
    )
    assert (await choose(api, VIEWER, packs=False)).json["packs"] is False
    await made_duty(api)
    api.clock.at = FRIDAY + DUE_FOR
    await build(api)
    rows = await pool.fetch("SELECT user_id FROM notice_mails WHERE pack_week IS NOT NULL")
    told = {row["user_id"] for row in rows}
    assert teams["county"].operator.id in told
    assert len(told) == 2, "the operator and the inspector"

    await pool.execute(  # decided before the mails leave
        "UPDATE notice_choices SET packs = false WHERE user_id <> $1", teams["county"].operator.id
    )
    async with mail_server() as server:
        await send(api, server)
        assert [to for _, to, _ in server.mails] == [["operator@example.gov.cn"]]


async def test_without_a_mail_server_nobody_is_owed_a_mail(api: Api) -> None:
    await choose(api, COUNTY)
    await prove(api)
    object.__setattr__(api.runtime.settings, "smtp_url", None)
    await made_duty(api)
    api.clock.at = FRIDAY + DUE_FOR
    await build(api)
    assert await owed(api) == 0
    refused = await choose(api, COUNTY)
    assert (refused.status, list(refused.json["fields"])) == (422, ["packs"])


async def test_a_version_is_owed_to_a_person_once(api: Api) -> None:
    await choose(api, COUNTY)
    await prove(api)
    await made_duty(api)
    api.clock.at = FRIDAY + DUE_FOR
    await build(api)
    async with transaction(api.runtime.pool) as conn:
        operator = api.teams["county"].operator.id
        await mail_store.insert_pack_mails(conn, WEEK, 1, [operator], api.clock.at)
    assert await owed(api) == 1


async def test_what_one_may_choose_is_what_one_may_see(api: Api) -> None:
    refused = await choose(api, SCHOOL)
    assert (refused.status, list(refused.json["fields"])) == (422, ["packs"])
    assert (await choose(api, ("school", "viewer"))).status == 403
    assert (await choose(api, INSPECTOR, kinds=["approval"])).status == 403
    refused = await choose(api, INSPECTOR, mail=None)
    assert (refused.status, list(refused.json["fields"])) == (422, ["mail"])
    found = (await api.get("/account/notices", INSPECTOR)).json
    assert (found["may_open_packs"], found["packs"]) == (True, False)
