"""Refusals and answers in the language that a request asks for: whole sentences, all of them."""

import re
from typing import Any

import pytest

from tests.harness.campaigns import planned
from tests.harness.keys import active_key
from tests.integration.api.conftest import Api

OPERATOR, VIEWER, ADMIN = ("county", "operator"), ("county", "viewer"), ("county", "admin")
CHINESE = re.compile(r"[一-鿿]")


async def _refused(
    api: Api, language: str, path: str, body: object, who: Any = OPERATOR
) -> dict[str, Any]:
    answer = await api.post(path, who, body, headers={"Accept-Language": language})
    assert answer.status >= 400, answer.body
    assert answer.headers["Content-Language"] == language
    assert answer.headers["Vary"] == "Accept-Language"
    problem: dict[str, Any] = answer.json
    return problem


@pytest.mark.parametrize(
    ("body", "field", "chinese", "english"),
    [
        (
            {"name": "a\nb", "rule": "r"},
            "name",
            "须为一行，不含控制字符",
            "write one line, without control characters",
        ),
        ({"name": 5, "rule": "r"}, "name", "须为文字", "Input should be a valid string"),
        ({"name": "n"}, "rule", "必须填写", "Field required"),
        (
            {"name": "n", "rule": "r", "odd": 1},
            "odd",
            "没有这一项，请去掉",
            "Extra inputs are not permitted",
        ),
        (
            {"name": "n" * 201, "rule": "r"},
            "name",
            "最多 200 字",
            "String should have at most 200 characters",
        ),
        (
            {"name": "n", "rule": "身份 = "},
            "rule",
            "第 6 字：规则到此结束，应为“role (身份)”的值；是关键字或带符号的要加引号",
            (
                "character 6: the rule ends here, expected a value for role (身份); quote it if it"
                " is a keyword or has signs"
            ),
        ),
    ],
)
async def test_a_field_says_what_is_wrong_with_it(
    api: Api, body: object, field: str, chinese: str, english: str
) -> None:
    for language, said in (("zh", chinese), ("en", english)):
        problem = await _refused(api, language, "/segments", body)
        assert problem["fields"] == {field: said}
    assert problem["title"] == "The input is wrong"


async def test_several_faults_of_a_field_are_told_one_by_one(api: Api) -> None:
    body = {"name": "c", "template_id": "x", "channels": "some"}
    chinese = (await _refused(api, "zh", "/campaigns", body))["fields"]
    english = (await _refused(api, "en", "/campaigns", body))["fields"]
    assert chinese.keys() == english.keys()
    assert "；或：" in chinese["channels"]
    assert "; or: " in english["channels"]
    assert all(CHINESE.search(said) for said in chinese.values())


async def test_a_right_is_called_by_its_name(api: Api) -> None:
    body = {"name": "n", "rule": "r"}
    problem = await _refused(api, "zh", "/segments", body, VIEWER)
    assert problem["title"] == "您无权这样做"
    assert problem["detail"] == "您不能编写人群和短信：须是管理员或操作员"
    problem = await _refused(api, "en", "/segments", body, VIEWER)
    assert problem["detail"] == (
        "you may not write segments and templates: that takes the role admin or operator"
    )


async def test_a_state_is_called_by_its_name(api: Api) -> None:
    path = f"/campaigns/{await planned(api)}/resume"
    problem = await _refused(api, "zh", path, {"reason": "x"})
    assert problem["detail"] == "任务现为草稿；要继续，须为已暂停"
    problem = await _refused(api, "en", path, {"reason": "x"})
    assert problem["detail"] == "the campaign is draft; to resume it, it must be paused"


async def test_too_many_requests_are_told_in_the_language_too(api: Api) -> None:
    key = (await active_key(api, requests_per_minute=1))["token"]
    assert (await api.get("/campaigns", key)).status == 200
    answer = await api.get("/campaigns", key, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert answer.status == 429
    assert answer.json["title"] == "请求过多"
    assert re.fullmatch(
        r"这个密钥一分钟内请求超过 1 次；请在 \d+ 秒后再试", answer.json["detail"]
    ), answer.json["detail"]


async def test_the_page_of_a_problem_follows_the_language(api: Api) -> None:
    for language, word in (("zh", "停发名单"), ("en", "See the suppressions")):
        answer = await api.get("//problems/suppressed", None, headers={"Accept-Language": language})
        assert word in answer.body.decode()
        assert answer.headers["Content-Language"] == language


async def test_findings_and_reasons_are_in_one_language(api: Api) -> None:
    body = {"to": ["19790000001"], "class": "service", "text": "验证码发给我"}
    fields = (await _refused(api, "zh", "/messages", body, ADMIN))["fields"]
    assert fields["text"].startswith("R01：")
    assert " / " not in fields["text"]
    assert not re.search(r"[a-z]{2} [a-z]{2}", fields["text"]), fields
    english = (await _refused(api, "en", "/messages", body, ADMIN))["fields"]
    assert " / " in english["text"], "as before there was a language to ask for"


async def test_an_answer_is_in_the_language_asked_for_and_says_so(api: Api) -> None:
    path = "/channels/kinds"
    shown = {
        language: await api.get(path, ADMIN, headers={"Accept-Language": language})
        for language in ("zh", "en")
    }
    about = {language: answer.json["items"][0]["about"] for language, answer in shown.items()}
    assert CHINESE.search(about["zh"])
    assert not CHINESE.search(about["en"])
    assert (await api.get(path, ADMIN)).json == shown["en"].json, "without it, English"
    assert {answer.headers["Vary"] for answer in shown.values()} == {"Accept-Language"}


async def test_a_copy_in_one_language_is_none_in_the_other(api: Api) -> None:
    path, tags = "/channels/kinds", {}
    for language in ("zh", "en"):
        answer = await api.get(path, ADMIN, headers={"Accept-Language": language})
        tags[language] = answer.headers["ETag"]
    for asked, had in (("zh", "en"), ("en", "zh")):
        headers = {"Accept-Language": asked, "If-None-Match": tags[had]}
        assert (await api.get(path, ADMIN, headers=headers)).status == 200
        headers["If-None-Match"] = tags[asked]
        assert (await api.get(path, ADMIN, headers=headers)).status == 304


async def test_whoever_read_it_in_chinese_edits_it_in_any_language(api: Api) -> None:
    chinese = {"Accept-Language": "zh"}
    shown = await api.get("/lint/rules", ADMIN, headers=chinese)
    assert CHINESE.search(shown.json["rules"][0]["source"])
    body = {"levels": {"R14": "review"}, "reason": "r"}
    headers = {"If-Match": shown.headers["ETag"]}
    done = await api.call("PUT", "/lint/rules", ADMIN, json=body, headers=headers)
    assert done.status == 200, done.body
    stale = await api.call("PUT", "/lint/rules", ADMIN, json=body, headers=headers)
    assert stale.status == 412
