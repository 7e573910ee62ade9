"""Kill -9 of the channel process under a joint plan whose legs mean the same people, while they are
handed off and while a list is drawn: nobody twice over journals and lists, and nobody lost.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from service.crypto import Keyring, read_key_file
from service.dispatch.limits.in_flight import permits_for
from service.local.demo.client import DemoClient
from service.local.simulated_channels import ACCOUNTS
from service.storage.postgres import connected
from tests.chaos.account import Row, account_for
from tests.chaos.book import Book, Entry
from tests.harness.joint import MOBILE, TELECOM, UNICOM
from tests.harness.list_files import answered, carrier_key, lines_of, opened
from tests.harness.live import MORNING, Launched, Live
from tests.harness.waiting import until

pytestmark = [pytest.mark.xdist_group("joint"), pytest.mark.crash]

WINDOW = 32
SHARED = [19790000001 + n for n in range(2_000)]
"""They are in the bases of two carriers."""
BASES = {
    UNICOM: ("联通", SHARED),
    TELECOM: ("电信", SHARED),
    MOBILE: ("移动", [*SHARED[:300], *(19790010001 + n for n in range(1_200))]),
}
ACCOUNT_OF = {UNICOM: ACCOUNTS["sgip"], TELECOM: ACCOUNTS["smgp"]}
TEXT = "【旌德县公安局】凡是让你先垫钱再返利的都是诈骗，拿不准拨96110。{}。"
RECOVERY_SECONDS = 120.0


@dataclass
class County:
    """A running system with three carriers. sides: department and key of each one's operator."""

    live: Live
    sides: dict[str, tuple[str, str]] = field(default_factory=dict)
    list_channel: int = 0

    def carrier(self, carrier: str) -> DemoClient:
        return DemoClient(self.live.summary["url"], self.sides[carrier][1])

    @property
    def keyring(self) -> Keyring:
        folder = self.live.folder
        return Keyring(read_key_file(folder.with_name(f"{folder.name}.key")))

    async def rows(self, own: str) -> list[Row]:
        """The ledger of a leg, with its phones in clear."""
        async with connected(self.live.summary["database_url"]) as conn:
            found = await conn.fetch(
                "SELECT m.run_id, m.no, m.phone_cipher, m.state::text, m.reason, m.attempt,"
                " m.channel_id FROM messages m JOIN runs r ON r.id = m.run_id"
                " WHERE r.campaign_id = $1 ORDER BY m.no",
                UUID(own),
            )
        keyring = self.keyring
        return [
            Row(str(run), no, keyring.decrypt("phone", cipher), *rest)
            for run, no, cipher, *rest in found
        ]

    async def waiting(self, owns: Sequence[str]) -> int:
        """How many texts of these legs are still to be handed off."""
        found: int = await self.live.query(
            "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id"
            " WHERE r.campaign_id = ANY($1) AND m.state IN ('queued', 'submitting')",
            [UUID(own) for own in owns],
        )
        return found


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    folder = tmp_path_factory.mktemp("joint") / "data"
    live = Live(
        folder,
        *("--clock", MORNING, "--tps", "150", "--window", str(WINDOW), "--max-delay", "2"),
        *("--profile", "carrier"),
    )
    live.start()
    try:
        made = County(live)
        asyncio.run(_settle_in(made))
        yield made
    finally:
        live.stop()


async def _settle_in(county: County) -> None:
    """The three carriers with their people, and the channel over which one takes lists."""
    live = county.live
    async with live.client("admin") as admin, live.client("second_admin") as second:
        for carrier, (word, numbers) in BASES.items():
            body = {"name": f"{word}旌德分公司", "kind": "carrier", "carrier": carrier}
            department = (await admin.post("/departments", body))["id"]
            who = {"department_id": department, "login": carrier, "name": word}
            user = await admin.post("/users", {**who, "roles": ["operator"]})
            grant = user["proposed"]["id"]
            await second.post(f"/users/{user['id']}/grants/{grant}/confirm", {})
            key = await admin.post("/keys", {"user_id": user["id"], "name": "test"})
            await second.post(f"/keys/{key['id']}/activate", {})
            county.sides[carrier] = department, key["token"]
            file = "\n".join(["手机号,运营商", *(f"{number},{word}" for number in numbers)])
            async with county.carrier(carrier) as own:
                fields = {"roster": "在网用户", "basis": "contract_hr"}
                made = await own.upload("/imports", file.encode(), fields)

                async def done() -> bool:
                    state = (await own.get(f"/imports/{made['id']}"))["state"]  # noqa: B023
                    assert state != "failed"
                    return bool(state == "done")

                await until(done, 60, "the base is read")
        channel = {
            "name": "移动名单",
            "kind": "list_file",
            "simulated": True,
            "carriers": [MOBILE],
            "tps": 200,
            "window": WINDOW,
            "config": {"certificate": carrier_key().pem},
        }
        county.list_channel = (await admin.post("/channels", channel))["id"]
    await live.lift_caps()


async def plan(county: County, text: str, legs: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A joint plan that fires now and whose legs are taken; its id, and the legs' campaigns.

    What is uncertain of an earlier one is settled: nothing else would leave to its people.
    """
    live = county.live
    await Launched(live, "", 0.0).settle_by_hand()
    async with live.client("operator") as operator, live.client("approver") as approver:
        template = await operator.post(
            "/templates", {"name": text[-8:], "class": "public_interest", "text": text}
        )
        made = await operator.post(
            "/campaigns",
            {
                "name": text[-8:],
                "template_id": template["id"],
                "legs": [{"department_id": county.sides[leg][0]} for leg in legs],
                # Short, so that no text waits to be tried again.
                "schedule": {"kind": "now", "validity_minutes": 20},
            },
        )
        await operator.post(f"/campaigns/{made['id']}/submit", {})
        await approver.post(f"/campaigns/{made['id']}/approve", {})
    owns = {}
    for leg in legs:
        async with county.carrier(leg) as carrier:
            (asked,) = (await carrier.get("/legs?state=asked"))["items"]
            how = {"channels": [county.list_channel]} if leg == MOBILE else {}
            taken = await carrier.post(f"/legs/{asked['id']}/take", how)
            owns[leg] = taken["own_campaign_id"]
    return made["id"], owns


async def add_up(
    county: County, plan_id: str, owns: Mapping[str, str], entries: Mapping[str, Sequence[Entry]]
) -> int:
    """Everybody of the bases got it once over all legs, or is named as uncertain in one; returns
    how many are uncertain. entries: what each leg's carrier took.
    """
    uncertain: set[str] = set()
    held: Counter[str] = Counter()
    targets = 0
    for leg, own in owns.items():
        rows = await county.rows(own)
        assert {row.reason for row in rows if row.state == "suppressed"} <= {"other_leg"}
        account = account_for((row.phone for row in rows), rows, entries[leg])
        assert account.lost == {}
        assert account.twice == []
        held.update(row.phone for row in rows if row.state != "suppressed")
        never = {row.phone for row in account.never_left}
        async with county.carrier(leg) as carrier:
            report = await carrier.get(f"/campaigns/{own}/report")
            assert report["total"]["target"] == sum(report["total"]["states"].values())
            left_out = report["total"]["excluded"].get("other_leg", 0)
            path = f"/runs/{rows[0].run}/messages?state=uncertain&limit=200"
            named = await carrier.get(path)
            assert len(named["items"]) == account.uncertain_count
        assert len(rows) + left_out == len(BASES[leg][1])
        assert report["total"]["target"] == len(rows)
        targets += len(rows)
        uncertain |= never
    people = {f"+86{number}" for leg in owns for number in BASES[leg][1]}
    assert held == Counter(people)  # one leg each
    taken = Counter(entry.phone for found in entries.values() for entry in found)
    assert set(taken.values()) == {1}, "somebody got it twice"
    assert people - taken.keys() == uncertain
    async with county.live.client("operator") as operator:
        whole = await operator.get(f"/campaigns/{plan_id}/report")
    assert whole["total"]["target"] == targets == sum(whole["total"]["states"].values())
    return len(uncertain)


def entries_of(county: County, text: str, leg: str) -> list[Entry]:
    book = Book(county.live.folder / "simulator.journal")
    return [entry for entry in book.of(text) if entry.account == ACCOUNT_OF[leg]]


async def receipts_in(county: County, text: str, owns: Mapping[str, str]) -> None:
    """Wait until every receipt that the carrier owes has come."""

    async def told() -> bool:
        for leg, own in owns.items():
            rows = await county.rows(own)
            account = account_for((r.phone for r in rows), rows, entries_of(county, text, leg))
            if account.open:
                return False
        return True

    await until(told, RECOVERY_SECONDS, "all receipts have come", every=0.5)


async def test_two_legs_with_the_same_people_while_their_channel_process_is_killed(
    county: County,
) -> None:
    text = TEXT.format("一")
    plan_id, owns = await plan(county, text, (UNICOM, TELECOM))

    def under_way() -> bool:
        return all(len(entries_of(county, text, leg)) > 200 for leg in owns)

    await until(under_way, 60, "both legs hand off", every=0.05)
    assert await county.waiting([*owns.values()]) > 500
    county.live.kill("channel-0")

    async def handed_off() -> bool:
        return await county.waiting([*owns.values()]) == 0

    await until(handed_off, RECOVERY_SECONDS, "all is handed off", every=0.5)
    await receipts_in(county, text, owns)
    entries = {leg: entries_of(county, text, leg) for leg in owns}
    assert await add_up(county, plan_id, owns, entries) <= 2 * permits_for(WINDOW)


async def test_a_list_that_is_drawn_while_the_channel_process_is_killed(county: County) -> None:
    text = TEXT.format("二")
    plan_id, owns = await plan(county, text, (MOBILE, TELECOM))
    own = owns[MOBILE]

    async def expanded() -> bool:
        return await county.waiting([own]) > 0

    await until(expanded, 60, "the leg of the list has its ledger", every=0.05)
    lists = [await draw(county)]

    async def in_the_middle() -> bool:
        states = Counter(row.state for row in await county.rows(own))
        return states["submitted"] > 200 and states["submitting"] > 0

    await until(in_the_middle, 60, "part of the list is drawn", every=0.02)
    county.live.kill("channel-0")
    assert await county.waiting([own]) > 0
    await ready(county, lists[0])
    while await county.waiting([own]):
        lists.append(await draw(county))
        await ready(county, lists[-1])
        assert len(lists) < 5
    sent = []
    for number in lists:
        lines = await fetch(county, number)
        assert all(line["短信内容"] == text for line in lines)
        sent += [Entry(0.0, "list", f"+86{line['手机号码']}", 0.0, "DELIVRD") for line in lines]
        if lines:
            await give_back(county, number, lines)
    listed = {TELECOM: owns[TELECOM]}

    async def handed_off() -> bool:
        return await county.waiting([*owns.values()]) == 0

    await until(handed_off, RECOVERY_SECONDS, "all is handed off", every=0.5)
    await receipts_in(county, text, listed)

    async def told() -> bool:
        states = {row.state for row in await county.rows(own)}
        return states <= {"delivered", "suppressed"}  # what was marked stood on no list

    await until(told, 60, "the results of the lists are in the ledger", every=0.5)
    entries = {MOBILE: sent, TELECOM: entries_of(county, text, TELECOM)}
    await add_up(county, plan_id, owns, entries)


async def draw(county: County) -> str:
    async with county.carrier(MOBILE) as carrier:
        made = await carrier.post("/list-files", {"channel_id": county.list_channel})
        return str(made["id"])


async def ready(county: County, number: str) -> None:
    async def closed() -> bool:
        async with county.carrier(MOBILE) as carrier:
            state = (await carrier.get(f"/list-files/{number}"))["state"]
        return state in {"ready", "empty"}

    await until(closed, RECOVERY_SECONDS, "the list is ready", every=0.5)


async def fetch(county: County, number: str) -> list[dict[str, str]]:
    """The lines of a list, opened with the carrier's key; none of one that is empty."""
    url = f"{county.live.summary['url']}/api/v1/list-files/{number}"
    headers = {"Authorization": f"Bearer {county.sides[MOBILE][1]}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(url) as answer:
            if (await answer.json())["state"] == "empty":
                return []
        async with session.post(f"{url}/archive") as answer:
            assert answer.status == 200, await answer.text()
            return lines_of(opened(await answer.read()))


async def give_back(county: County, number: str, lines: list[dict[str, str]]) -> None:
    """The carrier has reached everybody."""
    said: dict[str, Any] = {line["手机号码"]: ("成功", "") for line in lines}
    async with county.carrier(MOBILE) as carrier:
        path = f"/list-files/{number}/results"
        told = await carrier.upload(path, answered(lines, said), {})
    assert told["lines"]["recorded"] == len(lines)
