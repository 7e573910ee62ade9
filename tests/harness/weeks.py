"""A joint plan of four legs that lives for weeks: its bases, its carriers, and what they took.

Two carriers and a provider are simulated over TCP, each with a journal; the third carrier takes
lists and sends by itself.
"""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.vocabulary.choices import CARRIERS as ALL_CARRIERS
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.crypto import Keyring
from service.delivery.receipts.parked_store import channels_with_receipts
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import sweep_store
from service.simulator.carrier.journal import submits
from service.simulator.carrier.outcomes import fates
from service.storage.postgres import Pool, transaction
from tests.chaos.book import digest_of
from tests.factories import phone
from tests.harness.joint import MOBILE, TELECOM, UNICOM
from tests.harness.links import account_of
from tests.harness.list_files import answered, closed, lines_of, opened
from tests.harness.uploads import only
from tests.harness.waiting import until
from tests.integration.api.conftest import Api
from workers import scheduler

SCHOOL = "school"
LEGS = (MOBILE, UNICOM, TELECOM, SCHOOL)
PROFILE = "carrier"

BASES: Mapping[str, frozenset[str]] = {
    leg: frozenset(phone(number) for numbers in spans for number in numbers)
    for leg, spans in {
        MOBILE: [range(2_000)],
        UNICOM: [range(1_900, 3_900)],
        TELECOM: [range(3_800, 5_700), range(100)],
        SCHOOL: [range(80, 140), range(1_970, 2_030), range(3_870, 3_930), range(5_680, 5_720)],
    }.items()
}
"""Whom each leg has. 300 numbers lie in two bases; 200 of a base are on the school's roster as
well, 80 of them in two bases; 20 are on the roster alone.
"""


class Sent(NamedTuple):
    """A text that a carrier took. at, due: seconds since the epoch; due is when its result was
    said, None for never. fate: what became of it, in the ledger's word for a reason. expired:
    whether it failed since the carrier gave up.
    """

    at: float
    due: float | None
    fate: str
    expired: bool = False

    @property
    def state(self) -> str:
        """What the ledger must say in the end."""
        if self.due is None:
            return "unknown"
        if self.fate == "delivered":
            return "delivered"
        return "expired" if self.expired else "undelivered"

    @property
    def failed(self) -> bool:
        """Whether it was said that it did not arrive."""
        return self.state not in {"unknown", "delivered"}


Taken = dict[str, list[Sent]]
"""What a carrier took of one text, by number."""


class ListCarrier:
    """A carrier that draws lists, sends them by itself and says what became of them."""

    SAYS: Mapping[str, tuple[str, str]] = {
        "delivered": ("成功", ""),
        "powered_off": ("过期", "关机"),
        "suspended": ("失败", "停机"),
        "empty_number": ("失败", "空号"),
        "blacklisted": ("失败", "黑名单"),
        "memory_full": ("失败", "收件箱满"),
        "no_receipt": ("", ""),
    }
    """What it writes, by what becomes of a text."""

    def __init__(self, api: Api, channel: int) -> None:
        self._api, self.channel = api, channel
        self._judge = fates(PROFILE, 11, MOBILE)
        self._who = (MOBILE, "operator")
        self._lists: list[tuple[str, list[dict[str, str]]]] = []
        self.lines = 0
        self.taken: dict[str, Taken] = defaultdict(lambda: defaultdict(list))

    async def begin(self) -> str:
        """Have a list drawn; returns its id when the channel hands off to it."""
        made = await self._api.post("/list-files", self._who, {"channel_id": self.channel})
        assert made.status == 201, made.body
        pool = self._api.runtime.pool

        async def up() -> bool:
            found: bool = await pool.fetchval(
                "SELECT bool_or(state = 'up') FROM connections WHERE channel_id = $1",
                self.channel,
            )
            return found

        await until(up, what="the channel is up while its list is drawn")
        return str(made.json["id"])

    async def take(
        self, list_id: str, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Wait until a list is ready, fetch and open it, and send what stands on it. meanwhile:
        what happens between.
        """
        pool = self._api.runtime.pool

        async def handed_off() -> bool:
            found: bool = await pool.fetchval(
                "SELECT NOT EXISTS (SELECT FROM slices WHERE channel_id = $1 AND done_at IS NULL"
                " AND (slot IS NOT NULL OR coalesce(not_before, $2) <= $2))",
                self.channel,
                self._api.clock.at,
            )
            return found

        await until(handed_off, 120, "all that waits is handed off to the list")
        found = await closed(self._api, self._who, list_id)
        if found["state"] == "empty":
            return
        if meanwhile is not None:
            await meanwhile()
        answer = await self._api.post(f"/list-files/{list_id}/archive", self._who)
        assert answer.status == 200, answer.body
        lines = lines_of(opened(answer.body))
        found = (await self._api.get(f"/list-files/{list_id}", self._who)).json
        assert len(lines) == found["lines"]
        self.lines += len(lines)
        self._lists.append((list_id, lines))
        at = time.time()
        for line in lines:
            number = f"+86{line['手机号码']}"
            fate = self._judge(number).fate
            self.taken[digest_of(line["短信内容"])][number].append(Sent(at, None, fate))

    async def give_back(self, files: int = 1) -> None:
        """Say what became of all that was sent since the last time, in so many files a list."""
        for list_id, lines in self._lists:
            for part in range(files):
                await self._give(list_id, lines[part::files])
        self._lists.clear()

    async def _give(self, list_id: str, lines: Sequence[dict[str, str]]) -> None:
        said = {line["手机号码"]: self.SAYS[self._fate(line)] for line in lines}
        answer = await self._api.call(
            "POST", f"/list-files/{list_id}/results", self._who, data=only(answered(lines, said))
        )
        assert answer.status == 200, answer.body
        assert answer.json["rows"] == []
        silent = sum(status == "" for status, _ in said.values())
        assert (answer.json["lines"]["recorded"], answer.json["lines"]["open"]) == (
            len(lines) - silent,
            silent,
        )
        now = time.time()
        for line in lines:
            found = self.taken[digest_of(line["短信内容"])][f"+86{line['手机号码']}"]
            fate = found[-1].fate
            if fate != "no_receipt":
                expired = self.SAYS[fate][0] == "过期"
                found[-1] = found[-1]._replace(due=now, expired=expired)

    def _fate(self, line: Mapping[str, str]) -> str:
        return self._judge(f"+86{line['手机号码']}").fate


def journal_of(path: Path, text: str) -> Taken:
    """What a simulated carrier took of a text, by number."""
    found: Taken = defaultdict(list)
    digest = digest_of(text)
    for entry in submits(path):
        if entry["digest"] == digest:
            assert entry["total"] == 1
            sent = Sent(entry["at"], entry["due"], entry["fate"], _has_expired(entry))
            found[entry["phone"]].append(sent)
    return found


def _has_expired(entry: Mapping[str, Any]) -> bool:
    """Whether a receipt says so: by the family of its code in CMPP, by its stat in SMGP."""
    if entry["protocol"] == "smgp":
        return entry["fate"] in {"powered_off", "memory_full"}
    stat: str = entry["stat"]
    return stat == "EXPIRED" or stat.startswith("MI:")


async def fill(
    pool: Pool, keyring: Keyring, department_id: UUID, numbers: Iterable[str], carrier: str,
    now: datetime,
) -> None:  # fmt: skip
    """Put people on the list of a department."""
    rows = [
        (department_id, keyring.phone_index(number), keyring.encrypt("phone", number), carrier, now)
        for number in sorted(numbers)
    ]
    async with transaction(pool) as conn:
        await conn.executemany(
            "INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, synthetic,"
            " created_at, updated_at) VALUES ($1, $2, $3, $4, true, $5, $5)",
            rows,
        )


async def lay_channel(
    pool: Pool, keyring: Keyring, kind: str, port: int, carrier: str | None, now: datetime
) -> int:
    """A channel to a simulated carrier's gateway; None: to a provider's, for all networks."""
    settings = ChannelSettings(
        name=f"{kind} {carrier}",
        kind=kind,
        simulated=True,
        carriers=(carrier,) if carrier else tuple(ALL_CARRIERS),
        config=parse_settings(kind, account_of(kind, host="127.0.0.1", port=port)),
        window=64,
    )
    async with transaction(pool) as conn:
        return (await insert_channel(conn, keyring, settings, now)).id


async def turn(api: Api) -> None:
    """What the scheduler and the workers do at an instant, but for the looks at lists."""
    runtime = api.runtime
    context: dict[str, Any] = {"runtime": runtime}
    await scheduler.fire(context)
    async with runtime.pool.acquire() as conn:
        runs = await sweep_store.expanding_runs(conn)
    for run_id in runs:
        await expand_run(runtime.pool, run_id, runtime.clock.now(), runtime.keyring)
    for channel_id in await channels_to_fold(runtime.pool):
        await fold_receipts(runtime.pool, channel_id, runtime.clock.now())
    for act in (
        scheduler.record_missed,
        scheduler.recover,
        scheduler.stop,
        scheduler.guard,
        scheduler.watch,
        scheduler.match,
        scheduler.settle,
    ):
        await act(context)
    await scheduler.fire(context)


async def channels_to_fold(pool: Pool) -> list[int]:
    """The channels that have receipts which are not in the ledger yet."""
    async with transaction(pool) as conn:
        return list((await channels_with_receipts(conn))[0])
