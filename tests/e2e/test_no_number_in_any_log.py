"""Everything that handles numbers, done and failing, on a whole system: no log has one of them.

Not even masked: a masked number is one that somebody logged, and the mask is the last resort.
The logs are those of all processes but the simulator, which is the carrier's. Nor has a span that
they export one.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.collector import Collector, collecting
from tests.harness.live import MORNING, Live, write_in
from tests.harness.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

PHONES = [f"1979008{n:04d}" for n in range(1, 9)]
NAME = "欧阳日志"
FILE = "手机,姓名\n" + "".join(f"{phone},{NAME}\n" for phone in PHONES) + "1979008,坏行\n"
MOBILE = re.compile(
    r"(?<![\w.])(?:(?:00|\+)?86[ -]?)?[1１][3-9３-９]\d"
    r"(?:\d{8}|[ -]\d{4}[ -]\d{4}|\*{2,}\d{4})(?!\w)"
)
"""Any mobile number, and a masked one."""

WRONG: list[tuple[str, str, Any]] = [
    ("GET", "/suppressions?phone={p}", None),
    ("POST", "/suppressions/lookup?phone={p}", {"phone": "{p}0"}),
    ("GET", "/contacts/{p}", None),
    ("POST", "/contacts/lookup", {"phone": "{p}0"}),
    ("GET", "/runs/{p}/messages", None),
    ("GET", "/{p}", None),
    ("POST", "/suppressions", {"phone": "{p}9", "reason": "opted_out"}),
    ("POST", "/suppressions", {"phone": "{p}", "reason": "{p}"}),
    ("POST", "/suppressions", {"{p}": 1}),
    ("POST", "/privacy/lookup", {"phone": "{p}0", "reason": "x"}),
    ("POST", "/segments", {"name": "{p}", "rule": "电话 = {p}"}),
    ("POST", "/messages", {"to": ["{p}"], "text": "{p}", "class": "none"}),
    ("POST", "/routes/explain", {"phone": "{p}x"}),
    ("PUT", "/rosters/x/members", {"members": [{"phone": "{p}", "name": ["{p}"]}]}),
]
RIGHT: list[tuple[str, str, Any]] = [
    ("POST", "/contacts/lookup", {"phone": "{p}"}),
    ("POST", "/suppressions/lookup", {"phone": "{p}"}),
    ("POST", "/suppressions", {"phone": "{p}", "reason": "dead_number", "note": NAME}),
    ("POST", "/privacy/lookup", {"phone": "+86 {p}", "reason": "{p}"}),
    ("POST", "/routes/explain", {"phone": "{p}"}),
    ("PUT", "/rosters/日志二/members", {"members": [{"phone": "{p}", "name": NAME}]}),
    ("GET", "/inbound", None),
    ("GET", "/receipts/unmatched/export", None),
    ("POST", "/privacy/erase", {"phone": "{p}", "reason": "{p}"}),
]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Live]:
    """A system of its own, which exports spans."""
    system = Live(
        tmp_path_factory.mktemp("traced") / "data",
        *("--clock", MORNING, "--tps", "700", "--max-delay", "3", "--profile", "carrier"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    system.start()
    try:
        content = (files("service.local.demo") / "county.csv").read_bytes()
        asyncio.run(system.people(content))
        yield system
    finally:
        system.stop()


def filled(value: Any, phone: str) -> Any:
    """The value with the number in every place of it."""
    if isinstance(value, str):
        return value.replace("{p}", phone)
    if isinstance(value, dict):
        return {filled(k, phone): filled(v, phone) for k, v in value.items()}
    return [filled(v, phone) for v in value] if isinstance(value, list) else value


async def call_everything(live: Live) -> list[tuple[int, str]]:
    """What the API answers to right and wrong requests, with a number in every place of them."""
    answers = []
    headers = {"Authorization": f"Bearer {live.summary['keys']['admin']}"}
    async with aiohttp.ClientSession(live.summary["url"], headers=headers) as session:
        for n, (method, path, body) in enumerate([*WRONG, *RIGHT]):
            phone = PHONES[n % 3]
            async with session.request(
                method,
                "/api/v1" + filled(path, phone),
                json=filled(body, phone),
                headers={"X-Request-Id": phone, "User-Agent": phone},
            ) as answer:
                answers.append((answer.status, await answer.text()))
    return answers


def found_in(log: Path) -> set[str]:
    return words_in(log.read_text("utf-8", errors="replace"))


def words_in(text: str) -> set[str]:
    numbers = {match[0] for match in MOBILE.finditer(text)}
    words = [phone.encode().hex() for phone in PHONES] + [NAME, "退订"]
    return numbers | {word for word in words if word in text}


@pytest.mark.attack
async def test_no_log_of_a_whole_system_has_a_number(live: Live, collector: Collector) -> None:
    await live.people(FILE.encode())
    sent = await live.launch("carrier = telecom")
    await write_in(live, PHONES[3], NAME)
    answers = await call_everything(live)
    statuses = [status for status, _ in answers]
    assert [WRONG[n] for n, status in enumerate(statuses[: len(WRONG)]) if status < 400] == []
    assert [RIGHT[n] for n, status in enumerate(statuses[len(WRONG) :]) if status > 299] == []
    bodies = [text for _, text in answers]
    assert not [text for text in bodies if any(phone in text for phone in PHONES)]
    await sent.under_way(0.1)
    killed = {name: live.pid(name) for name in ("channel-0", "work", "api", "scheduler")}
    for name in killed:
        live.kill(name)

    def all_new() -> bool:
        with suppress(ValueError):  # one is being written
            return all(live.pid(name) != pid for name, pid in killed.items())
        return False

    await until(all_new)

    async def is_back() -> bool:
        try:
            async with live.client("operator") as client:
                await client.get(f"/campaigns/{sent.campaign}/runs")
        except aiohttp.ClientError:
            return False
        return True

    await until(is_back, 30)
    await sent.handed_off()
    logs = [*live.folder.rglob("*.log"), live.folder.parent / f"{live.folder.name}.up.log"]
    ours = [log for log in logs if log.name != "simulator.log"]
    names = {log.name for log in ours if log.stat().st_size}
    assert {"api.log", "work.log", "scheduler.log", "channel-0.log", "postgres.log"} <= names
    assert {log.name: found_in(log) for log in ours if found_in(log)} == {}

    def kinds() -> set[str]:
        return {name.partition(" ")[0] for name, _ in collector.spans}

    await until(lambda: kinds() >= {"GET", "POST", "job", "slice"}, 30)
    exported = "\n".join(body.decode("utf-8", errors="replace") for body in collector.requests)
    assert words_in(exported) == set()
