"""What people choose to be told of: kinds, a way that works, and an address of the deployment."""

from typing import Any

import pytest

from service.settings import Settings
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.ledger import add_channel
from tests.harness.logins import last_code
from tests.integration.api.conftest import Answer, Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
MAILS = {"kinds": ["approval"], "way": "mail", "mail": "wang@example.gov.cn"}
TEXTS = {"kinds": ["approval", "returned"], "way": "text", "language": "en"}


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """With a mail server, which nobody connects to here."""
    mail = {
        "smtp_url": "smtps://mail.example.gov.cn",
        "mail_from": "tocsin@example.gov.cn",
        "mail_domains": "example.gov.cn, Example.com",
    }
    return runtime_settings.model_copy(update=mail)


async def _choose(api: Api, body: dict[str, Any], who: tuple[str, str] = APPROVER) -> Answer:
    return await api.call("PUT", "/account/notices", who, json=body)


async def test_nobody_gets_any_before_they_choose(api: Api) -> None:
    found = (await api.get("/account/notices", OPERATOR)).json
    assert (found["kinds"], found["phone"], found["phone_proved"]) == ([], None, False)
    assert found["mail_domains"] == ["example.gov.cn", "example.com"]
    assert found["lately"] == []


async def test_a_choice_is_kept_until_the_next_and_is_ones_own(api: Api) -> None:
    assert (await _choose(api, MAILS)).status == 200
    found = (await api.get("/account/notices", APPROVER)).json
    assert (found["kinds"], found["way"]) == (["approval"], "mail")
    assert found["mail"] == "wang@example.gov.cn"
    stored = await api.runtime.pool.fetchval("SELECT mail_cipher FROM notice_choices")
    assert b"wang" not in stored
    assert (await api.get("/account/notices", OPERATOR)).json["kinds"] == []
    assert (await _choose(api, {})).json["kinds"] == []


@pytest.mark.attack
@pytest.mark.parametrize(
    "address",
    [
        "wang@elsewhere.example",
        "wang@example.gov.cn.elsewhere.example",
        "wang@sub.example.gov.cn",
        "wang@example.gov.cn@elsewhere.example",
        "wang@elsewhere.example,x@example.gov.cn",
        "<wang@example.gov.cn>",
        "王@example.gov.cn",
        "wang",
        "w" * 250 + "@example.gov.cn",
    ],
)
async def test_no_mail_goes_to_a_stranger(api: Api, address: str) -> None:
    refused = await _choose(api, MAILS | {"mail": address})
    assert refused.status == 422
    assert list(refused.json["fields"]) == ["mail"]


@pytest.mark.attack
@pytest.mark.parametrize("address", ["a@example.gov.cn\r\nBcc: b@elsewhere.example", "a\n@x.cn"])
async def test_an_address_adds_no_line_to_a_mail(api: Api, address: str) -> None:
    assert (await _choose(api, MAILS | {"mail": address})).status == 422


async def test_an_address_is_needed_for_mails(api: Api) -> None:
    refused = await _choose(api, {"kinds": ["approval"], "way": "mail"})
    assert (refused.status, list(refused.json["fields"])) == (422, ["mail"])


async def test_texts_take_a_proved_phone_which_an_operator_has_too(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    refused = await _choose(api, TEXTS, OPERATOR)
    assert (refused.status, list(refused.json["fields"])) == (422, ["way"])
    assert refused.json["type"].endswith("phone_not_proved")
    said = await api.call("PUT", "/account/phone", OPERATOR, json={"phone": phone(7)})
    assert said.status == 200, said.body
    assert (await _choose(api, TEXTS, OPERATOR)).status == 422, "it is not proved yet"
    await api.post("/account/phone/code", OPERATOR, {"code": await last_code(api)})
    chosen = (await _choose(api, TEXTS, OPERATOR)).json
    assert (chosen["language"], chosen["phone_proved"]) == ("en", True)
    assert chosen["phone"] != phone(7)


async def test_without_a_mail_server_there_are_no_mails(api: Api) -> None:
    object.__setattr__(api.runtime.settings, "smtp_url", None)
    assert (await api.get("/account/notices", APPROVER)).json["mail_domains"] == []
    refused = await _choose(api, MAILS)
    assert (refused.status, list(refused.json["fields"])) == (422, ["way"])
