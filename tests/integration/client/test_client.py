"""Everything that the client can ask of the real server, and errors as it tells them."""

import asyncio
import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tocsin_client import (
    Conflict,
    Forbidden,
    HasLeft,
    ImportFailed,
    NotFound,
    RuleInvalid,
    Stale,
    TextBlocked,
    Tocsin,
    Unauthorized,
    WrongState,
)
from tocsin_client.errors import BY_CODE, kind_of
from tocsin_client.types import SentText

import service.api
from service.audience.imports.loading import run_import
from tests.factories import TEXT, phone
from tests.harness.channels import channel
from tests.harness.lossy import LossyWire
from tests.harness.signatures import register_signature
from tests.integration.api.conftest import Api
from tests.integration.client.conftest import Clients

FILE = "phone,name\n19790000001,王小明\n19790000002,李四\n没有,张三\n".encode()
PROBLEMS = Path(service.api.__file__).with_name("problems.json")
RULE = "carrier in (mobile, unicom, telecom, broadnet)"


async def read(api: Api, import_id: str) -> None:
    """What a worker does with a file."""
    async with api.runtime.pool.acquire() as conn:
        await run_import(conn, api.runtime.keyring, UUID(import_id), api.clock.at)


async def test_a_file_its_report_and_its_rejects(api: Api, client: Clients) -> None:
    async with client("operator") as operator:
        taken = await operator.imports.upload(FILE, roster="名单", columns={"phone": "phone"})
        waiting = asyncio.create_task(operator.imports.wait(taken["id"], timeout=5, every=0.02))
        await read(api, taken["id"])
        report = (await waiting)["report"]
        assert report is not None
        assert report["rows"]["accepted"] == 2
        rejects = [row async for row in operator.imports.rejects(taken["id"])]
        assert [(row["row"], row["code"]) for row in rejects] == [("4", "placeholder")]
        saved = io.BytesIO()
        await operator.imports.save_rejects(taken["id"], saved)
        assert saved.getvalue().decode("utf-8-sig").count("\n") == 2
        assert [r["contacts"] async for r in operator.rosters.list()] == [2]
        assert (await operator.imports.undo(taken["id"]))["id"] == taken["id"]


@pytest.mark.parametrize(
    "name",
    [
        "全县 名单（一）.csv",
        "100%.csv",
        "50%25 off.csv",
        "%E5%85%A8.csv",
        'a"b;c;d.csv',
        "plain-list.csv",
    ],
)
async def test_the_name_of_a_file_arrives_as_it_is(client: Clients, name: str) -> None:
    async with client("operator") as operator:
        taken = await operator.imports.upload(FILE, roster="名单", file_name=name)
        assert (await operator.imports.get(taken["id"]))["file_name"] == name


async def test_a_file_that_cannot_be_read_says_why(api: Api, client: Clients) -> None:
    async with client("operator") as operator:
        taken = await operator.imports.upload(b"a,b\n1,2\n", roster="名单")
        await read(api, taken["id"])
        with pytest.raises(ImportFailed, match="failed: ") as caught:
            await operator.imports.wait(taken["id"], timeout=5, every=0.02)
        assert caught.value.report["error"]


async def test_a_wait_for_a_file_ends(client: Clients) -> None:
    async with client("operator") as operator:
        taken = await operator.imports.upload(FILE, roster="名单")
        with pytest.raises(TimeoutError):
            await operator.imports.wait(taken["id"], timeout=0.1, every=0.02)


async def test_members_preview_and_words(client: Clients) -> None:
    async with client("operator") as operator:
        changed = await operator.rosters.set_members(
            "家长/三（1）班",
            [{"phone": phone(1), "name": "王小明", "roles": ["parent"], "class": "1"}],
        )
        assert (changed["added"], changed["left"]) == (1, 0)
        found = await operator.segments.preview("身份 = 家长")
        assert found["target"] == 1
        assert found["sample"][0]["phone"] != phone(1)
        assert "家长" in (await operator.segments.explain("身份 = 家长"))["chinese"]
        with pytest.raises(RuleInvalid, match="身分") as caught:
            await operator.segments.preview("身分 = 家长")
        assert caught.value.code == "segment_rule"
        assert caught.value.problem["position"] == 1
        assert caught.value.problem["suggestions"] == ["身份"]


async def test_a_list_longer_than_a_page_comes_whole(client: Clients) -> None:
    numbers = [phone(n) for n in range(1, 502)]
    async with client("operator") as operator:
        await operator.suppressions.add(numbers[:400], note="来电")
        added = await operator.suppressions.add(numbers[400:])
        assert (added["added"], added["waiting"]) == (101, None)
        await operator.suppressions.add(numbers[499:500], reason="complaint")
        found = [item async for item in operator.suppressions.list()]
        assert len({item["id"] for item in found}) == len(found) == 502
        many = await operator.suppressions.add(numbers[:60], reason="protected")
        assert many["waiting"] is not None
        assert (many["added"], many["waiting"]["state"]) == (0, "waits")
        assert many["waiting"]["numbers"] == 60
        one = [item async for item in operator.suppressions.list(phone=phone(500))]
        assert [item["reason"] for item in one] == ["complaint", "opted_out"]
        await operator.suppressions.lift(one[0]["id"])
        with pytest.raises(NotFound):
            await operator.suppressions.lift(one[0]["id"])


async def test_a_campaign_by_two_persons_to_its_report(api: Api, client: Clients) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    async with client("operator") as operator, client("approver") as approver:
        await operator.rosters.set_members("r", [{"phone": phone(n)} for n in range(1, 4)])
        lint = await operator.templates.lint("请加QQ：123456，点击链接领取")
        assert {finding["level"] for finding in lint["lint"]}
        text = await operator.templates.create("t", TEXT)
        text = await operator.templates.add_version(text["id"], TEXT + " ")
        assert (await operator.templates.get(text["id"]))["version"] == text["version"] == 2
        segment = await operator.segments.create("s", RULE)
        plan = await operator.campaigns.create(
            "c", template_id=text["id"], segment_id=segment["id"], schedule={"kind": "now"}
        )
        plan, version = await operator.campaigns.get_versioned(plan["id"])
        api.clock.at += timedelta(minutes=1)
        changes = {"name": "d", "max_tps": 5}
        plan = await operator.campaigns.edit(plan["id"], changes, version=version)
        with pytest.raises(Stale):
            await operator.campaigns.edit(plan["id"], {"name": "e"}, version=version)
        assert (await operator.campaigns.preview(plan["id"]))["target"] == 3
        await operator.campaigns.submit(plan["id"])
        with pytest.raises(Forbidden):
            await operator.campaigns.approve(plan["id"])
        assert (await approver.campaigns.send_back(plan["id"], "why?"))["state"] == "returned"
        await operator.campaigns.submit(plan["id"])
        assert (await approver.campaigns.approve(plan["id"], reason="ok"))["state"] == "scheduled"
        assert (await operator.campaigns.pause(plan["id"]))["state"] == "paused"
        assert (await operator.campaigns.resume(plan["id"]))["state"] == "scheduled"
        with pytest.raises(WrongState):
            await operator.campaigns.resume(plan["id"])
        assert (await operator.campaigns.report(plan["id"]))["total"]["target"] == 0
        listed = [c["id"] async for c in operator.campaigns.list(state="scheduled")]
        assert listed == [plan["id"]]
        cancelled = await operator.campaigns.cancel(plan["id"], "enough")
        assert cancelled["moves"][-1]["reason"] == "enough"


async def test_a_run_is_followed_until_nothing_is_left(api: Api, client: Clients) -> None:
    channel_id = await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    async with client("operator") as operator, client("approver") as approver:
        made = await operator.templates.create("t", TEXT, message_class="service")
        await approver.templates.approve(made["id"], 1)
        sent = await operator.messages.send(
            [phone(1), {"phone": phone(2)}, "12345"], template_id=made["id"]
        )
        assert [item["index"] for item in sent["rejected"]] == [2]
        run_id = sent["run_id"]
        seen = []
        following = operator.runs.follow(run_id, until="settled", every=0.02)
        first = await anext(following)
        assert sum(first["states"].values()) == first["target"] == 2
        ledger = [message async for message in operator.runs.messages(run_id)]
        assert [message["no"] for message in ledger] == [1, 2]
        for message in ledger:
            await operator.messages.cancel(message["id"])
        await api.runtime.pool.execute("UPDATE runs SET state = 'sent'")  # what the sweep does
        seen = [report async for report in following]
        assert seen[-1]["states"]["cancelled"] == 2
        states = await operator.messages.statuses([ledger[0]["id"], f"{run_id}.9"])
        assert states["items"][0]["plain"]["zh"]
        assert states["not_found"] == [f"{run_id}.9"]
        with pytest.raises(HasLeft):
            await operator.messages.cancel(ledger[0]["id"])
        assert sent["ids"] == [item and item["id"] for item in await by_number(operator, 1, 2, 3)]
        assert (await operator.messages.wait(ledger[0]["id"]))["reason"] == "cancelled_by_sender"
        assert (await operator.messages.cancel_send(run_id))["cancelled"] == 2
        assert (await operator.runs.get(run_id))["kind"] == "direct"
        queue = await operator.channels.queue(channel_id)
        assert queue["classes"] == []
        assert (await operator.channels.health(channel_id))["state"] == "closed"
        assert [c["id"] async for c in operator.channels.list()] == [channel_id]
        assert [d async for d in operator.uncertain.list(run_id=run_id)] == []
        decided = await operator.uncertain.decide("unknown", "no statement", run_id=run_id)
        assert decided["decided"] == 0


async def by_number(operator: Tocsin, *numbers: int) -> list[SentText | None]:
    """The latest text to each number, if there is one."""
    found = [await operator.messages.to_number(phone(n)) for n in numbers]
    return [sent["items"][0] if sent["items"] else None for sent in found]


async def test_an_address_is_called_and_its_calls_are_seen(client: Clients) -> None:
    async with client("operator") as operator:
        made = await operator.webhooks.create("https://a.gov.cn/told", ["message.final"])
        assert made["secret"].startswith("whsec_")
        assert await operator.webhooks.renew_secret(made["id"]) != made["secret"]
        event = await operator.webhooks.test(made["id"])
        (told,) = [told async for told in operator.webhooks.deliveries(made["id"])]
        assert (told["event_id"], told["state"]) == (event, "waiting")
        edited = await operator.webhooks.edit(made["id"], events=["run.finished"])
        assert (await operator.webhooks.get(made["id"])) == edited
        assert edited["events"] == ["run.finished"]
        assert await operator.webhooks.replay(made["id"], "2027-01-01T00:00:00Z") == 0
        assert [found["id"] async for found in operator.webhooks.list()] == [made["id"]]
        await operator.webhooks.delete(made["id"])
        with pytest.raises(NotFound):
            await operator.webhooks.get(made["id"])


async def test_an_administrator_looks_and_takes_away(api: Api, client: Clients) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    async with client("admin") as admin, client("operator") as operator:
        assert (await operator.me())["roles"] == ["operator"]
        await register_signature(api, api.teams["school"].department_id, "旌德中学")
        words = "【旌德中学】王小明，家长会改在周五下午三点。"
        sent = await admin.messages.send([phone(1)], text=words, message_class="service")
        with pytest.raises(TextBlocked):
            await admin.messages.send([phone(1)], text="点 http://bit.ly/x 领奖")
        with pytest.raises(Forbidden):
            await operator.messages.unmask(str(sent["ids"][0]), "asked by phone")
        seen = await admin.messages.unmask(str(sent["ids"][0]), "asked by phone")
        assert seen["phone"].endswith(phone(1))
        entries = [entry async for entry in admin.audit.entries(action="unmask_message")]
        assert [entry["object_id"] for entry in entries] == sent["ids"]
        with pytest.raises(NotFound):
            await admin.keys.activate("00000000-0000-0000-0000-000000000000")
        mine = (await operator.me())["id"]
        (key,) = [key["id"] async for key in admin.keys.list() if key["user_id"] == mine]
        await admin.keys.revoke(key)
        with pytest.raises(Unauthorized):
            await operator.me()
        evidence = io.BytesIO()
        await api.runtime.pool.execute("UPDATE runs SET state = 'sent', settled_at = now()")
        await admin.runs.save_evidence(sent["run_id"], evidence)
        assert zipfile.ZipFile(evidence).testzip() is None


def test_a_refusal_is_of_its_type_where_that_has_a_class() -> None:
    known = json.loads(PROBLEMS.read_text("utf-8"))
    assert BY_CODE.keys() <= known.keys(), "a problem that the service does not know"
    assert kind_of(409, "wrong_state") is WrongState
    assert kind_of(409, "segment_in_use") is Conflict
    assert issubclass(kind_of(403, "out_of_scope"), Forbidden)


async def test_everything_is_stopped_and_goes_on(api: Api, wire: LossyWire) -> None:
    async with Tocsin(wire.url + "/api/v1/", api.tokens["county", "operator"]) as county:
        assert (await county.stop_all.stop("wrong text"))["stopped"]
        assert (await county.stop_all.get())["stopped"]
        assert not (await county.stop_all.lift("mended"))["stopped"]


async def test_a_wrong_key_is_said_plainly(wire: LossyWire) -> None:
    async with Tocsin(wire.url, "tk_wrong") as nobody:
        with pytest.raises(Unauthorized, match="401"):
            await nobody.stop_all.get()
