"""Whether a text is ours, over the API: for everybody, bounded, and nothing of it is kept."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from service.messages.sent.sent_texts import note_sent
from service.storage.postgres import transaction
from tests.harness.asked_texts import settled_run
from tests.harness.console import Browser
from tests.harness.ledger import TEXT
from tests.integration.api.conftest import Answer, Api

DAY = timedelta(days=1)
BRITISH = {"Accept-Language": "en"}


@pytest.fixture(autouse=True)
async def _sent(api: Api) -> None:
    """A text was sent on three days."""
    pool, now = api.runtime.pool, api.clock.now()
    async with transaction(pool) as conn:
        department = api.teams["school"].department_id
        await settled_run(conn, department, TEXT, now - 3 * DAY)
        await settled_run(conn, department, TEXT, now - DAY)
    await note_sent(pool, now)


async def ask(api: Api, **body: Any) -> Answer:
    return await api.post("/public/check", None, body)


async def test_everybody_may_ask_and_is_told_whose_it_is_and_when(api: Api) -> None:
    answer = await ask(api, text=TEXT)
    assert answer.status == 200, answer.body
    now = api.clock.now()
    told = answer.json
    assert told["answer"] == "ours"
    assert told["first_on"] == (now - 3 * DAY).date().isoformat()
    assert told["last_on"] == (now - DAY).date().isoformat()
    assert told["department"] in told["sentence"]
    assert (told["foreign"], told["text"]) == ([], "")
    like = (await ask(api, text=TEXT + "t.cn/ab1")).json
    assert (like["answer"], like["foreign"], like["department"]) == ("like_ours", ["link"], "")
    unknown = (await ask(api, text="明天上午九点开会")).json
    assert (unknown["answer"], unknown["first_on"]) == ("unknown", None)


async def test_the_answers_say_what_to_do_in_both_languages(api: Api) -> None:
    for text, chinese in (
        (TEXT + "！", "像我们的短信，但不一样；本县短信不含链接"),
        ("明天开会", "查不到，不等于诈骗；拿不准拨96110"),
    ):
        said = await api.post(
            "/public/check", None, {"text": text}, headers={"Accept-Language": "zh-CN"}
        )
        assert said.json["sentence"].startswith(chinese)
        english = (await ask(api, text=text)).json["sentence"]
        assert "96110" in english
        assert english.isascii()


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": TEXT, "mark": "T7-3"}, {"mark": "seven"}, {"text": "国" * 1_001}],
)
async def test_a_wrong_question_is_told_what_to_do(api: Api, body: dict[str, str]) -> None:
    answer = await ask(api, **body)
    assert answer.status == 422
    assert answer.json["fields"]


@pytest.mark.attack
async def test_an_address_asks_thirty_times_a_minute_and_no_more(api: Api) -> None:
    """Pages and program together, and apart from other pages for everybody."""
    stranger = Browser(api)
    for _ in range(15):
        assert (await ask(api, text=TEXT)).status == 200
        assert (await stranger.post("/check", {"text": TEXT})).status == 200
    refused = await ask(api, text=TEXT)
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert (await stranger.post("/check", {"text": TEXT})).status == 429
    assert (await stranger.get("/check")).status == 200
    assert (await api.get("/bulletins/2027-W01/public", None)).status == 404


@pytest.mark.attack
async def test_what_is_asked_about_is_neither_logged_nor_stored(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "我妈妈收到的奇怪短信九九八"
    before = await _rows(api)
    for body in ({"text": secret}, {"text": secret * 100}, {"mark": secret}):
        answer = await ask(api, **body)
        assert secret not in answer.body.decode()
    await Browser(api).post("/check", {"text": secret})
    assert secret not in caplog.text
    assert secret not in json.dumps([record.__dict__ for record in caplog.records], default=str)
    assert await _rows(api) == before


async def _rows(api: Api) -> dict[str, int]:
    """How many rows each table has."""
    names = await api.runtime.pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
    )
    return {
        row["tablename"]: await api.runtime.pool.fetchval(
            f"SELECT count(*) FROM {row['tablename']}"
        )
        for row in names
        if not row["tablename"].startswith("audit_seal")
    }
