"""The page for everybody on which a citizen asks whether a text is ours."""

import re
from datetime import timedelta

import pytest

from service.console.render import asset
from service.messages.sent.sent_texts import note_sent
from service.storage.postgres import transaction
from tests.harness.asked_texts import settled_run
from tests.harness.console import Browser
from tests.harness.ledger import TEXT
from tests.integration.api.conftest import Api

MOST_OCTETS = 30_000


@pytest.fixture(autouse=True)
async def _sent(api: Api) -> None:
    pool, now = api.runtime.pool, api.clock.now()
    async with transaction(pool) as conn:
        await settled_run(conn, api.teams["school"].department_id, TEXT, now - timedelta(days=1))
    await note_sent(pool, now)


@pytest.mark.parametrize(
    ("text", "chinese", "english"),
    [
        (TEXT, "是本县发出的短信", "Yes, it is ours."),
        (TEXT + "t.cn/ab1", "和我们的短信不一样", "It is not the same as our text."),
        ("明天开会", "查不到", "We do not find it."),
    ],
)
async def test_a_citizen_is_answered_in_their_language(
    api: Api, text: str, chinese: str, english: str
) -> None:
    for language, said in (("zh-CN", chinese), ("en", english)):
        stranger = Browser(api, language)
        page = await stranger.get("/check")
        answer = await stranger.submit(page, "/check", {"text": text})
        assert answer.status == 200
        assert said in answer.text


async def test_what_is_dangerous_in_it_is_said_first(api: Api) -> None:
    stranger = Browser(api)
    page = await stranger.get("/check")
    answer = (await stranger.submit(page, "/check", {"text": TEXT + "t.cn/ab1"})).text
    assert answer.index("请不要打开") < answer.index("和我们的短信不一样")


async def test_a_wrong_question_keeps_what_was_typed(api: Api) -> None:
    answer = await Browser(api).post("/check", {"text": "国" * 1_001, "mark": ""})
    assert answer.status == 422
    assert "1000" in answer.text.replace(",", "")
    assert dict(answer.form("/check").fields)["text"] == "国" * 1_001


async def test_it_needs_no_script_no_cookie_and_no_named_origin(api: Api) -> None:
    """As an old phone: nothing but the form."""
    async with api.client.post(
        "/check", data={"text": TEXT}, headers={"Accept-Language": "zh-CN"}
    ) as response:
        assert response.status == 200
        assert "Set-Cookie" not in response.headers
        page = await response.text()
    assert "是本县发出的短信" in page
    assert "<script" not in page


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_it_stays_below_30_kb_with_all_that_it_loads(api: Api, language: str) -> None:
    headers = {"Accept-Language": language, "Accept-Encoding": "identity"}
    async with api.client.post("/check", data={"text": TEXT}, headers=headers) as response:
        page = await response.text()
    loaded = re.findall(r'(?:href|src)="(/[^"]+)"', page)
    assert asset("public.css") in loaded
    total = len(page.encode())
    for address in loaded:
        async with api.client.get(address, headers=headers) as response:
            assert response.status == 200
            total += len(await response.read())
    assert total < MOST_OCTETS
