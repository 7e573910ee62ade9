"""`tocsin ctl` against the real server: what it does, what it prints, how it ends."""

import argparse
import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tocsin_client.ctl.command import main, parser
from tocsin_client.ctl.screen import LANGUAGE, cell, padded, speaks_chinese, width

from service.audience.imports.loading import run_import
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.plans.missed import record_missed
from service.clock import CHINA
from service.storage.postgres import transaction
from tests.architecture.tree import ROOT
from tests.factories import TEXT, make_scheduled, phone
from tests.harness.channels import channel
from tests.harness.lossy import LossyWire
from tests.harness.signatures import register_signature
from tests.integration.api.conftest import Api
from tests.integration.client.conftest import Shell, one

RULE = "carrier in (mobile, unicom, telecom, broadnet)"


async def test_a_campaign_from_a_shell(api: Api, shell: Shell, tmp_path: Path) -> None:
    channel_id = await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    file = tmp_path / "people.csv"
    file.write_text(f"phone,name\n{phone(1)},王小明\n没有,李四\n", "utf-8")
    shown = ("--basis", "consent", "--evidence", "档案 7", "--evidence-on", "2027-01-04")
    taken = await one(shell, "imports", "add", str(file), "--roster", "r", *shown, "--no-wait")
    async with api.runtime.pool.acquire() as conn:
        await run_import(conn, api.runtime.keyring, taken["id"], api.clock.at)
    told = await shell("imports", "show", taken["id"])
    assert told.out.splitlines()[0] == f"people.csv → r  [read]  {taken['id']}"
    assert await api.runtime.pool.fetchval("SELECT evidence FROM rosters") == "档案 7"
    rejects = await shell("imports", "rejects", taken["id"])
    assert rejects.out.splitlines()[0].split() == [
        *("sheet", "row", "code", "reason", "value", "suggestion"),
    ]
    assert "placeholder" in rejects.out
    assert (await one(shell, "segments", "preview", RULE))["target"] == 1
    template = await one(shell, "templates", "create", "t", "-", stdin=TEXT + "\n")
    assert template["text"] == TEXT
    segment = await one(shell, "segments", "create", "s", RULE)
    plan = tmp_path / "plan.json"
    plan.write_text('{"over_cap": "stop", "schedule": {"validity_minutes": 60}}')
    made = await one(
        *(shell, "campaigns", "create", "c", "--template", template["id"], "--segment"),
        *(segment["id"], "--plan", str(plan), "--start-at", "2027-01-20T09:30:00+08:00"),
        *("--channel", str(channel_id)),
    )
    assert (made["over_cap"], made["channels"]) == ("stop", [channel_id])
    assert (made["schedule"]["kind"], made["schedule"]["validity_minutes"]) == ("once", 60)
    campaign = made["id"]
    assert (await one(shell, "campaigns", "preview", campaign))["target"] == 1
    await one(shell, "campaigns", "submit", campaign)
    refused = await shell("--json", "campaigns", "approve", campaign, "--yes")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.startswith("tocsin: 403 ")
    approve = ("campaigns", "approve", campaign, "--reason", "ok", "--yes")
    assert (await one(shell, *approve, who="approver"))["state"] == "scheduled"
    for act, state in (("pause", "paused"), ("resume", "scheduled"), ("cancel", "cancelled")):
        assert (await one(shell, "campaigns", act, campaign))["state"] == state
    again = await shell("campaigns", "resume", campaign)
    assert (again.code, "409" in again.err) == (1, True)
    listed = await shell("campaigns", "list", "--state", "cancelled")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["id", campaign]
    assert (await shell("runs", "list", campaign)).out.splitlines()[1:] == []


async def test_lint_is_an_exit_code(shell: Shell) -> None:
    assert (await shell("templates", "lint", TEXT)).code == 0
    blocked = await shell("templates", "lint", "验证码发我，点 http://bit.ly/x 领奖")
    assert blocked.code == 1
    assert "block" in blocked.out


async def test_a_run_its_report_and_its_ledger(api: Api, shell: Shell) -> None:
    channel_id = await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    made = await api.post(
        *("/templates", ("school", "operator")), {"name": "t", "class": "service", "text": TEXT}
    )
    template = made.json["id"]
    await one(shell, "templates", "approve", template, "1", who="approver")
    body = {"to": [phone(1), phone(2)], "template_id": template}
    run = (await api.post("/messages", ("school", "operator"), body)).json["run_id"]
    report = await one(shell, "runs", "report", run)
    assert report["target"] == sum(report["states"].values()) == 2
    assert "target       2" in (await shell("runs", "report", run)).out
    ledger = await shell("--json", "runs", "messages", run, "--state", "queued")
    assert [row["no"] for row in ledger.rows] == [1, 2]
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent'")  # what the sweep does
    followed = await shell("runs", "report", run, "--follow", "--every", "0.1")
    assert followed.out.count("target") == 1
    assert (await one(shell, "channels", "queue", str(channel_id)))["tps"]
    assert (await one(shell, "channels", "health", str(channel_id)))["state"] == "closed"
    assert (await shell("channels", "list")).out.splitlines()[1].split()[0] == str(channel_id)
    assert (await shell("uncertain", "list", "--run", run)).code == 0
    none = await shell("uncertain", "decide", "unknown", "--reason", "x", "--run", run)
    assert (none.code, "decided      0" in none.out) == (1, True)


async def test_numbers_come_from_standard_input(shell: Shell) -> None:
    added = await shell("suppressions", "add", stdin=f"{phone(1)}\n\n197 9000 0002\n")
    assert added.code == 0, added.err
    assert phone(1)[3:] not in added.out
    found = await one(shell, "suppressions", "list", "--phone", stdin=phone(1))
    assert (await shell("suppressions", "lift", found["id"])).code == 0
    gone = await shell("suppressions", "lift", found["id"])
    assert gone.code == 4
    assert len((await shell("--json", "suppressions", "list")).rows) == 1
    mine = (await one(shell, "me", "show"))["department_id"]
    notices = await one(shell, "suppressions", "add", "--department", mine, stdin=phone(3))
    assert (notices["classes"], notices["department_id"]) == (["service"], mine)


async def test_everything_is_stopped_from_a_shell(shell: Shell) -> None:
    stop = ("stop-all", "stop", "--reason", "wrong text")
    assert (await shell(*stop)).code == 3
    assert (await one(shell, *stop, where="county"))["stopped"]
    assert (await shell("stop-all", "status")).out.split()[:2] == ["stopped", "yes"]
    lift = ("stop-all", "lift", "--reason", "mended")
    assert not (await one(shell, *lift, where="county"))["stopped"]


async def test_what_waits_and_what_becomes_of_a_missed_fire(api: Api, shell: Shell) -> None:
    now = api.clock.at
    schedule = Schedule("recurring", now + timedelta(hours=1), rrule="FREQ=DAILY", late="hold")
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["school"], now=now, schedule=schedule)
    plan = str(campaign.id)
    assert (await shell("campaigns", "pause", plan)).code == 0
    api.clock.at = now + timedelta(hours=2)
    await record_missed(api.runtime.pool, api.clock.at)
    waits = await shell("--lang", "zh", "work")
    assert "这一次" not in waits.out
    assert [line.split()[:2] for line in waits.out.splitlines()[1:]] == [["missed_fires", plan]]
    assert "任务当时暂停" in waits.out
    refused = await shell("campaigns", "resume", plan)
    assert (refused.code, "say with `missed`" in refused.err) == (1, True)
    resumed = await shell("--lang", "zh", "campaigns", "resume", plan, "--missed", "hold")
    assert (resumed.code, "这一次待放行" in resumed.out) == (0, True)
    assert [row["kind"] for row in (await shell("--json", "work", "list")).rows] == ["holds"]
    assert (await shell("campaigns", "release", plan, "--missed", "skip")).code == 0
    assert (await shell("--json", "work")).rows == []


async def test_a_resume_says_what_is_sent_in_place_of_what_it_missed(
    api: Api, shell: Shell
) -> None:
    now = api.clock.at
    schedule = Schedule("recurring", now + timedelta(hours=1), rrule="FREQ=DAILY", late="hold")
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["school"], now=now, schedule=schedule)
    plan = str(campaign.id)
    await shell("campaigns", "pause", plan)
    api.clock.at = now + timedelta(days=1, hours=1, minutes=3)
    first = f"{(now + timedelta(hours=1)).astimezone(CHINA):%Y-%m-%d %H:%M}"
    second = f"{(now + timedelta(days=1, hours=1)).astimezone(CHINA):%Y-%m-%d %H:%M}"
    assert (await shell("campaigns", "resume", plan)).code == 1
    resumed = await shell("--lang", "zh", "campaigns", "resume", plan, "--missed", "run")
    assert resumed.out.splitlines()[-3:] == [
        "本次对错过或待放行的发送作出的决定：",
        f"  {first}  这一次不发：由后面的一次代替。",
        f"  {second}  现在发出。",
    ]


async def test_a_release_says_that_the_fire_goes_out_now(api: Api, shell: Shell) -> None:
    now = api.clock.at
    schedule = Schedule("recurring", now + timedelta(hours=1), rrule="FREQ=DAILY", late="hold")
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["school"], now=now, schedule=schedule)
    plan = str(campaign.id)
    await shell("campaigns", "pause", plan)
    api.clock.at = now + timedelta(hours=2)
    await shell("campaigns", "resume", plan, "--missed", "hold")
    released = await shell("campaigns", "release", plan)
    assert "This fire was released" in released.out
    assert released.out.splitlines()[-1].endswith("  It goes out now.")
    assert "held" not in released.out


async def test_how_it_ends_when_it_cannot_begin(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: Api
) -> None:
    assert (await shell("campaigns", "dance")).code == 2
    key = tmp_path / "key"
    key.write_text("tk_wrong\n")
    assert (await shell("--key-file", str(key), "stop-all", "status")).code == 3
    key.write_text(api.tokens["school", "viewer"] + "\n")
    assert (await shell("--key-file", str(key), "stop-all", "status")).code == 0
    assert (await shell("--url", "http://127.0.0.1:1", "stop-all", "status")).code == 5
    missing = await shell("imports", "add", str(tmp_path / "none.csv"), "--roster", "r")
    assert (missing.code, "none.csv" in missing.err) == (2, True)
    monkeypatch.delenv("TOCSIN_API_URL")
    assert (await shell("stop-all", "status")).code == 2


async def test_what_somebody_on_duty_does(api: Api, shell: Shell, tmp_path: Path) -> None:
    """Find a text, call it back, see whom a run missed, keep the evidence, take a key away."""
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    await register_signature(api, api.teams["school"].department_id, "旌德中学")
    body = {"to": [phone(1), phone(2)], "text": "【旌德中学】王小明，家长会改在周五下午三点。"}
    run = (await api.post("/messages", ("school", "admin"), body)).json["run_id"]
    (found,) = (await one(shell, "messages", "lookup", stdin=phone(1)))["items"]
    table = (await shell("--lang", "zh", "messages", "lookup", stdin=phone(1))).out
    assert (found["run_id"], "还在排队，尚未发出：通道没有连接。" in table) == (run, True)
    assert "It waits" in (await shell("--lang=en", "messages", "show", found["id"])).out
    assert (await one(shell, "messages", "cancel", found["id"]))["state"] == "cancelled"
    assert (await one(shell, "runs", "show", run))["kind"] == "direct"
    assert (await one(shell, "runs", "cancel", run))["cancelled"] == 2
    assert (await shell("runs", "missed", run)).code == 0
    assert (await shell("runs", "resend-missed", run, "--reason", "x")).code == 1
    unmask = ("messages", "unmask", found["id"], "--reason", "asked by phone")
    assert (await shell(*unmask)).code == 3
    assert (await one(shell, *unmask, who="admin"))["phone"].endswith(phone(1))
    pack = tmp_path / "evidence.zip"
    assert (await shell("runs", "evidence", run, str(pack))).code == 3
    assert not pack.exists(), "a refusal leaves no file"
    kept = await shell("runs", "evidence", run, str(pack), who="admin")
    assert (kept.code, pack.read_bytes()[:2]) == (0, b"PK"), kept.err
    assert (await shell("runs", "evidence", run, str(pack), who="admin")).code == 2
    actions = (await shell("audit", "list", "--object", run, who="admin")).out
    assert "send_messages" in actions, "who sent it is found by its run"
    assert "cancel_run" in actions
    mine = (await one(shell, "me", "show"))["id"]
    listed = (await shell("--json", "keys", "list", who="admin")).rows
    (key,) = [key["id"] for key in listed if key["user_id"] == mine]
    assert (await shell("keys", "revoke", key, who="admin")).code == 0
    assert (await shell("me", "show")).code == 3
    assert (await shell("webhooks", "list", who="admin")).code == 0


def parsers(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and all that stand below it."""
    yield of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert {choice.dest for choice in action._choices_actions} == set(action.choices)
            for below in action.choices.values():
                yield from parsers(below)


@pytest.mark.parametrize(
    ("language", "speaks", "other"),
    [("zh", r"[一-鿿]", r"[a-z]+ [a-z]+ [a-z]+"), ("en", r"[a-z]", r"[一-鿿]")],
)
def test_each_word_of_the_help_is_there_and_in_one_language(
    language: str, speaks: str, other: str
) -> None:
    before = LANGUAGE.set(language)
    try:
        all_of_them = list(parsers(parser("tocsin-ctl")))
        assert len(all_of_them) > 60
        for made in all_of_them:
            words = [made.description, made.epilog or made.description]
            for action in made._actions:
                if isinstance(action, argparse._SubParsersAction):
                    words += [choice.help for choice in action._choices_actions]
                else:
                    words.append(action.help)
            for said in words:
                assert said, made.prog
                assert re.search(speaks, said), f"{made.prog}: {said}"
                assert not re.search(other, said), f"{made.prog}: {said}"
            assert len(re.findall("usage: |用法：", made.format_help())) == 1, made.prog
            headings = re.findall(r"^[a-z ]+:", made.format_help(), re.MULTILINE)
            assert not headings or language == "en", (made.prog, headings)
    finally:
        LANGUAGE.reset(before)


@pytest.mark.slow
def test_every_command_that_the_documents_show_is_one() -> None:
    pages = (ROOT / name for name in ("docs/operating.md", "clients/python/README.md"))
    text = "\n".join(page.read_text("utf-8") for page in pages)
    shown = re.findall(r"(?:^|`)tocsin[ -]ctl ([a-z-]+ [^`\n]*)", text, re.MULTILINE)
    shown += re.findall(r"^tocsin-ctl (--json [^`\n]*)", text, re.MULTILINE)
    assert len(shown) > 20
    for words in shown:
        given = shlex.split(re.split(r" [<|#\[]", words)[0].replace("$", ""))
        assert parser("tocsin-ctl").parse_args(given).act, words


def test_the_help_speaks_the_language_of_the_shell() -> None:
    for language, word in (("zh_CN.UTF-8", "全部停发"), ("en_US.UTF-8", "stops everything")):
        done = subprocess.run(
            [sys.executable, "-m", "service", "ctl", "--help"],
            env={"LANG": language, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert word in done.stdout


async def test_a_refusal_is_in_the_language_of_the_shell(api: Api, shell: Shell) -> None:
    body = {"name": "n", "rule": RULE}
    assert (await api.post("/segments", ("school", "operator"), body)).status == 201
    act = ("segments", "create", "n", RULE)
    chinese, english = await shell("--lang", "zh", *act), await shell("--lang", "en", *act)
    assert (chinese.code, english.code) == (1, 1)
    assert chinese.err == "tocsin: 409 conflict: 已有名为“n”的人群\n"
    assert english.err == "tocsin: 409 conflict: there is a segment named n already\n"
    wrong = await shell("--lang", "zh", "segments", "create", "m", "身份 =")
    assert "规则到此结束" in wrong.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["campaigns", "submit"], "缺少参数：ID"),
        (["campaigns", "submit", "x", "--odd"], "不认识的参数：--odd"),
        (["--patience", "long", "me"], "参数 --patience 的值无效：'long'"),
        (["campaigns", "odd"], "不能是 'odd'，可选："),
        (["--url"], "tocsin ctl：参数 --url 后须有一个值\n"),
    ],
)
def test_wrong_arguments_are_told_in_the_language_of_the_shell(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOCSIN_LANGUAGE", "zh_CN.UTF-8")
    with pytest.raises(SystemExit) as ended:
        main(words, prog="tocsin ctl")
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "chinese"),
    [
        ({}, False),
        ({"TOCSIN_LANGUAGE": "zh", "LC_ALL": "C"}, True),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, False),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US"}, True),
    ],
)
def test_whose_language_it_is(told: dict[str, str], chinese: bool) -> None:
    assert speaks_chinese(told) is chinese


def test_a_cell_stays_on_its_line_and_in_its_column() -> None:
    assert cell("a\x1b[31m\nb") == "a�[31m�b"
    assert (width("财务a"), padded("财务", 6)) == (5, "财务  ")
    assert cell({"a": [1, None]}) == "a 1, -"


async def test_a_list_whose_reader_has_gone_ends_quietly(api: Api, wire: LossyWire) -> None:
    for number in range(3):
        body = {"name": f"r{number}", "rule": RULE}
        assert (await api.post("/segments", ("school", "operator"), body)).status == 201
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin_client.ctl", "--json", "segments", "list"),
        env={
            **os.environ,
            "TOCSIN_API_URL": wire.url,
            "TOCSIN_API_KEY": api.tokens["school", "operator"],
        },
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writer)
    _, said = await process.communicate()
    assert (process.returncode, said) == (141, b"")
