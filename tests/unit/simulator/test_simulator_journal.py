"""A killed simulator loses no receipt and gives no id twice."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from service.errors import Misconfigured
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.journal import Accepted, Journal
from service.simulator.run import running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.simulated import Inbox, connected, phones, reached, send, simulator
from tests.harness.waiting import until

PROGRAM = """
import asyncio, sys
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.run import running

async def main():
    async with running(SimulatorConfig.model_validate_json(sys.argv[1])) as carrier:
        print(carrier.ports["cmpp"], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start(config: SimulatorConfig) -> tuple[asyncio.subprocess.Process, int]:
    """A simulator in a process of its own, and its port."""
    secret = config.accounts[0].secret.get_secret_value()
    told = config.model_dump(mode="json")
    told["accounts"] = [{"account": config.accounts[0].account, "secret": secret}]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, json.dumps(told)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS))


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_killed_simulator_owes_its_receipts(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    slow = simulator(journal=journal, seed=1, max_delay_seconds=3600)
    process, port = await start(slow)
    async with connected(port, Inbox()) as link:
        results = await send(link, phones(200))
        await kill(process)
    owed = {e["id"]: e["stat"] for e in entries(journal) if e["event"] == "submit" and e["stat"]}
    acknowledged = {e["id"] for e in entries(journal) if e["event"] == "ack"}
    assert {ref.hex() for r in results for ref in r.refs} >= owed.keys()
    hasten(journal)

    inbox = Inbox()
    async with reached(slow, inbox):
        receipts = await inbox.wait_for(len(owed) - len(acknowledged))
    assert {r.ref.hex(): r.code for r in receipts} == {
        key: stat for key, stat in owed.items() if key not in acknowledged
    }
    settled = [e["id"] for e in entries(journal) if e["event"] == "ack"]
    assert sorted(settled) == sorted(owed)


def hasten(journal: Path) -> None:
    """Make every receipt due."""
    told = entries(journal)
    lines = [json.dumps({**e, "due": e["due"] and e["at"]} if "due" in e else e) for e in told]
    journal.write_text("\n".join(lines) + "\n")


async def test_what_was_acknowledged_is_not_sent_again(tmp_path: Path) -> None:
    config = simulator(journal=tmp_path / "journal", seed=1)
    inbox = Inbox()
    async with reached(config, inbox) as (_, link):
        await send(link, phones(20))
        sent = len(await inbox.wait_for(sum(bool(e["due"]) for e in submits(tmp_path))))
    assert sent > 10
    async with running(config) as carrier:
        assert all(len(s.receipts) == 0 for s in carrier.smsc.subscribers.values())


def submits(folder: Path) -> list[dict[str, Any]]:
    return [e for e in entries(folder / "journal") if e["event"] == "submit"]


async def test_a_restart_gives_no_id_twice(tmp_path: Path) -> None:
    config = simulator(journal=tmp_path / "journal", seed=1)
    refs = []
    for _ in range(3):
        async with reached(config) as (_, link):
            refs += [ref for result in await send(link, phones(100)) for ref in result.refs]
    assert len(refs) == len(set(refs)) > 290


async def test_a_submit_is_in_the_file_before_it_is_answered(tmp_path: Path) -> None:
    config = simulator(journal=tmp_path / "journal", seed=1)
    async with reached(config) as (_, link):
        results = await send(link, phones(3), "警" * 100)
        told = submits(tmp_path)
    assert [entry["id"] for entry in told] == [ref.hex() for r in results for ref in r.refs]
    assert [(e["number"], e["total"]) for e in told] == [(1, 2), (2, 2)] * 3
    assert [e["phone"] for e in told] == [phone for phone in phones(3) for _ in range(2)]
    assert {e["account"] for e in told} == {"901234"}


def part(number: int, **others: Any) -> Accepted:
    values: dict[str, Any] = {
        "account": "901234",
        "phone": "+8619790001234",
        "sender": "1069",
        "number": 1,
        "total": 1,
        "fate": "delivered",
        "stat": "DELIVRD",
        "at": 100.0,
        "due": 104.0,
    }
    return Accepted(id=number.to_bytes(8, "big"), sequence=number, **{**values, **others})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "deep" / "journal"
    journal = Journal(file)
    for number in (1, 2, 3):
        journal.accepted(part(number))
    journal.accepted(part(4, due=None, stat=""))
    journal.acknowledged((2).to_bytes(8, "big"), 105.0)
    journal.close()
    return file


def test_a_journal_remembers_what_is_owed(path: Path) -> None:
    journal = Journal(path)
    assert list(journal.owed.values()) == [part(1), part(3)]
    assert journal.last_sequence == 4
    journal.close()


@pytest.mark.parametrize("torn", range(1, 60, 7))
def test_a_torn_last_line_is_cut_off(path: Path, torn: int) -> None:
    whole = path.read_bytes()
    journal = Journal(path)
    journal.accepted(part(5))
    journal.close()
    path.write_bytes(path.read_bytes()[: len(whole) + torn])

    journal = Journal(path)
    assert list(journal.owed.values()) == [part(1), part(3)]
    journal.accepted(part(6))
    journal.close()
    assert path.read_bytes().startswith(whole)
    assert [entry["event"] for entry in entries(path)][-2:] == ["ack", "submit"]


def test_an_unreadable_line_in_the_middle_is_an_error(path: Path) -> None:
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(Misconfigured, match="line 1"):
        Journal(path)


def test_without_a_path_nothing_is_written_or_owed() -> None:
    journal = Journal(None)
    journal.accepted(part(1))
    journal.acknowledged(b"1", 1.0)
    journal.close()
    assert journal.owed == {}


AWKWARD = {
    "account": 'a"b\\c',
    "sender": "1069\t\x00\x7f",
    "digest": "0a1b2c3d4e5f6071",
    "text": '【警钟】"引号"\n换行\\ 🔔 \u2028',
    "callback": 'http://127.0.0.1:1/?a="b"&c=警',
    "protocol": "sgip",
    "due": 1_800_000_000.1234567,
}


def test_any_words_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    accepted = part(9, shared=True, **AWKWARD)
    journal.accepted(accepted)
    journal.accepted(part(10, due=None))
    journal.flush()
    written, without = (json.loads(line) for line in path.read_bytes().splitlines())
    assert {name: written[name] for name in AWKWARD} == AWKWARD
    assert (written["shared"], written["sequence"], without["due"]) == (True, 9, None)
    assert not {"text", "callback", "shared"} & without.keys()
    journal.close()
    again = Journal(path)
    assert list(again.owed.values()) == [accepted]
    again.close()


def test_recipients_that_share_an_id_are_acknowledged_one_by_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    phones = ("+8619790000001", "+8619790000002")
    for phone in phones:
        journal.accepted(part(7, phone=phone, protocol="sgip", shared=True))
    journal.acknowledged((7).to_bytes(8, "big"), 105.0, phones[1])
    journal.close()
    journal = Journal(tmp_path / "journal")
    assert [owed.phone for owed in journal.owed.values()] == [phones[0]]
    journal.close()


def test_a_journal_of_the_first_release_is_read(tmp_path: Path) -> None:
    old = {
        "event": "submit",
        "at": 100.0,
        "id": "0123456789ab0005",
        "account": "901234",
        "phone": "+8619790000001",
        "sender": "1069",
        "number": 1,
        "total": 1,
        "fate": "delivered",
        "stat": "DELIVRD",
        "due": 104.0,
    }
    other = {**old, "id": "0123456789ab0006"}
    ack = {"event": "ack", "at": 105.0, "id": old["id"]}
    path = tmp_path / "journal"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in (old, other, ack)))
    journal = Journal(path)
    assert [owed.id.hex() for owed in journal.owed.values()] == [other["id"]]
    assert journal.last_sequence == 6
    journal.close()


async def test_receipts_go_on_in_the_protocol_of_their_submit(tmp_path: Path) -> None:
    """A receipt that is owed over SMPP is not given to a CMPP link of the same account."""
    journal = Journal(tmp_path / "journal")
    journal.accepted(part(1, protocol="smpp"))
    journal.accepted(part(2))
    journal.close()
    inbox = Inbox()
    config = simulator(journal=tmp_path / "journal", smpp_port=0)
    async with reached(config, inbox) as (carrier, _):
        await inbox.wait_for(1)
        other = carrier.smsc.subscribers["smpp", "901234"].receipts
        await until(lambda: other._ready, what="its time has come, and it waits for a link")
    assert [found.ref for found in inbox.receipts] == [(2).to_bytes(8, "big")]
