"""Each fault as a raw client sees it, set while the carrier runs and taken away again."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.clock import Clock
from service.protocols.cmpp.digest import ismg_matches
from service.protocols.cmpp.pdu import ConnectResp, SubmitResp
from service.protocols.cmpp.report import parse_report
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.carrier.journal import submits
from service.simulator.run import Simulator, running
from service.simulator.wire.server import GARBAGE
from tests.harness.simulated import ACCOUNT, SECRET, simulator
from tests.harness.waiting import until
from tests.integration.simulator.raw import Client, dialled, logged_in

PHONE = "19790000001"
CALM = {"duplicate_receipts": 0.0, "early_receipts": 0.0, "unknown_receipts": 0.0}


def calm(**others: Any) -> SimulatorConfig:
    """A carrier whose receipts come only when a test asks for them."""
    return simulator(**{"seed": 1, "max_delay_seconds": 3600, **others})


def let(carrier: Simulator, **faults: Any) -> None:
    """Let this go wrong, and nothing else."""
    carrier.smsc.set_faults(Faults(**{**CALM, **faults}))


async def submitted(client: Client, *sequences: int) -> dict[int, int]:
    """Submit with these sequence numbers; the result of each."""
    for sequence in sequences:
        client.submit(sequence, PHONE)
    return dict([await client.answer() for _ in sequences])


# Answers


async def test_answers_become_slow_and_quick_again() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, answer_delay_seconds=0.4)
        began = time.monotonic()
        assert await submitted(client, 2) == {2: 0}
        assert time.monotonic() - began >= 0.4
        let(carrier)
        began = time.monotonic()
        assert await submitted(client, 3) == {3: 0}
        assert time.monotonic() - began < 0.4


async def test_a_shorter_delay_lets_no_answer_overtake_another() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, answer_delay_seconds=0.4)
        client.submit(2, PHONE)
        await until(lambda: accepted(carrier) == 1)
        for sequence, delay in ((3, 0.01), (4, 0.0)):
            let(carrier, answer_delay_seconds=delay)
            client.submit(sequence, PHONE)
            await until(lambda: accepted(carrier) == sequence - 1)  # noqa: B023  # at once
        assert [(await client.answer())[0] for _ in range(3)] == [2, 3, 4]


def accepted(carrier: Simulator) -> int:
    return carrier.smsc.subscribers["cmpp", ACCOUNT].tally.accepted


async def test_a_share_is_too_fast() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, too_fast=0.5)
        results = Counter((await submitted(client, *range(2, 202))).values())
        assert results.keys() == {0, 8}
        assert 60 < results[8] < 140


async def test_a_ceiling_counts_every_recipient_and_goes_away() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, tps_ceiling=10)  # and 2 of tolerance
        client.submit(2, *[f"1979000{n:04d}" for n in range(12)])
        assert await client.answer() == (2, 0)
        assert await submitted(client, 3) == {3: 8}
        let(carrier)
        assert await submitted(client, 4) == {4: 0}


async def test_swallowed_answers_never_come_though_the_text_was_taken(tmp_path: Path) -> None:
    async with running(calm(journal=tmp_path / "j")) as carrier, logged_in(carrier) as client:
        let(carrier, swallow_responses=1)
        client.submit(2, PHONE)
        assert await client.hears_nothing()
        carrier.smsc.journal.flush()
        assert [entry["phone"] for entry in submits(tmp_path / "j")] == [f"+86{PHONE}"]
        let(carrier)
        assert await submitted(client, 3) == {3: 0}


async def test_an_answer_may_be_no_frame_at_all() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, garbage_responses=1)
        client.submit(2, PHONE)
        assert await client.read_octets(len(GARBAGE)) == GARBAGE


async def test_a_day_has_an_amount_and_the_next_begins_at_midnight_in_beijing() -> None:
    evening = datetime(2026, 8, 9, 15, 59, 59, tzinfo=UTC)  # 23:59:59 in Beijing
    clock = Clock(evening, time.time(), speed=0.0001)
    async with running(calm(), clock=clock) as carrier, logged_in(carrier) as client:
        let(carrier, daily_limit=3)
        client.submit(2, "19790000001", "19790000002")
        assert await client.answer() == (2, 0)
        client.submit(3, "19790000003", "19790000004")  # both or none
        assert await client.answer() == (3, 77)
        assert await submitted(client, 4) == {4: 0}
        assert await submitted(client, 5) == {5: 77}
        carrier.smsc.clock = Clock(evening, time.time() - 2)
        assert await submitted(client, 6) == {6: 0}


async def test_a_barred_account_logs_in_and_submits_nothing(tmp_path: Path) -> None:
    config = calm(journal=tmp_path / "j", faults={"barred_accounts": (ACCOUNT,)})
    async with running(config) as carrier, logged_in(carrier) as client:
        assert await submitted(client, 2) == {2: 208}
        assert list(submits(tmp_path / "j")) == []
        let(carrier, barred_accounts=("123456",))
        assert await submitted(client, 3) == {3: 0}


async def test_one_bad_number_refuses_the_lot(tmp_path: Path) -> None:
    async with running(calm(journal=tmp_path / "j")) as carrier, logged_in(carrier) as client:
        client.submit(2, "19790000001", "10086", "19790000002")
        assert await client.answer() == (2, 13)
        carrier.smsc.journal.flush()
        assert list(submits(tmp_path / "j")) == []


# Links


async def test_a_link_is_cut_in_the_middle_of_a_window(tmp_path: Path) -> None:
    """The cut's submit is accepted and never answered; what comes after it is lost."""
    async with running(calm(journal=tmp_path / "j")) as carrier, logged_in(carrier) as client:
        assert len(await submitted(client, 2, 3)) == 2
        let(carrier, disconnect_after=3)
        for sequence in range(4, 10):
            client.submit(sequence, f"1979000{sequence:04d}")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await submitted_forever(client)
        taken = [entry["phone"][-4:] for entry in submits(tmp_path / "j")]
        assert taken == ["0001", "0001", "0004", "0005", "0006"]
        async with logged_in(carrier) as another:
            assert len(await submitted(another, 2, 3)) == 2


async def submitted_forever(client: Client) -> None:
    while True:
        await client.answer()


async def test_links_are_cut_now() -> None:
    accounts = (
        Account(account=ACCOUNT, secret=SecretStr(SECRET)),
        Account(account="123456", secret=SecretStr("x")),
    )
    async with (
        running(calm(accounts=accounts)) as carrier,
        logged_in(carrier) as client,
        logged_in(carrier),
        dialled(carrier) as other,
    ):
        other.login("x", "123456")
        await other.read()
        assert carrier.smsc.disconnect("123456") == 1
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await other.read()
        assert await client.hears_nothing()
        assert carrier.smsc.disconnect() == 2
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.read()


async def test_a_half_open_link_stays_and_says_nothing_until_it_lives_again() -> None:
    quick = calm(heartbeat_seconds=0.05, response_timeout_seconds=0.1)
    async with running(quick) as carrier, logged_in(carrier) as client:
        let(carrier, half_open=True)
        await client.read_what_is_there()
        client.submit(2, PHONE)
        client.ask_for_life()
        async with dialled(carrier) as late:
            late.login()
            assert await client.hears_nothing()  # three response timeouts long
            assert await late.hears_nothing()
            assert accepted(carrier) == 0
            let(carrier)
            assert await client.answer() == (2, 0)
            _, answer = await late.read()
            assert isinstance(answer, ConnectResp)


async def test_a_half_open_link_gets_its_receipts_when_it_lives_again() -> None:
    async with (
        running(calm(max_delay_seconds=0.05, response_timeout_seconds=0.4)) as carrier,
        logged_in(carrier) as client,
    ):
        assert await submitted(client, 2) == {2: 0}
        let(carrier, half_open=True)
        assert await client.hears_nothing()
        let(carrier)
        assert parse_report((await client.deliver()).msg_content) is not None


# Logins


@pytest.mark.parametrize("status", [1, 5, 57])
async def test_logins_are_refused_with_any_status(status: int) -> None:
    async with running(calm()) as carrier, dialled(carrier) as client:
        let(carrier, login_status=status)
        client.login()
        _, answer = await client.read()
        assert isinstance(answer, ConnectResp)
        assert answer.status == status
        assert await client.read_to_the_end() == b""
        let(carrier)
        async with logged_in(carrier):
            pass


@pytest.mark.parametrize("protocol", ["cmpp", "sgip", "smgp", "smpp"])
async def test_a_status_that_has_no_room_is_the_highest_that_has(protocol: str) -> None:
    """No fault makes the carrier stumble over its own answer."""
    octets = Path(__file__).parents[2] / "vectors" / protocol
    logins = {"cmpp": "connect", "sgip": "bind", "smgp": "login", "smpp": "bind"}
    hexadecimal = first_login(octets, logins[protocol])
    config = calm(**{"cmpp_port": None, f"{protocol}_port": 0}, faults={"login_status": 70_000})
    async with running(config) as carrier:
        address = "127.0.0.1", carrier.ports[protocol]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(bytes.fromhex(hexadecimal))
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        assert len(answer) >= 16
        status = 70_000 if protocol in {"smgp", "smpp"} else 255
        assert status.to_bytes(4 if status > 255 else 1, "big") in answer


def first_login(folder: Path, word: str) -> str:
    """The first golden frame whose name says that it is a login, not its answer."""
    for path in sorted(folder.glob("*.json")):
        for vector in vectors_of(json.loads(path.read_text())):
            if word in vector.get("id", "") and "resp" not in vector["id"]:
                found: str = vector["hex"]
                return found
    raise AssertionError(f"no {word} in {folder}")


def vectors_of(content: Any) -> list[dict[str, Any]]:
    return [entry for entry in content if isinstance(entry, dict) and "hex" in entry]


@pytest.mark.parametrize("wrong", [True, False])
async def test_a_login_is_answered_with_the_digest_of_another_secret(wrong: bool) -> None:
    async with running(calm()) as carrier, dialled(carrier) as client:
        let(carrier, wrong_digest=wrong)
        source = client.login()
        _, answer = await client.read()
        assert isinstance(answer, ConnectResp)
        assert answer.status == 0
        assert ismg_matches(answer.authenticator_ismg, source, SECRET) is not wrong


# Receipts


async def test_receipts_come_early_twice_or_for_nothing_as_asked() -> None:
    async with running(calm()) as carrier, logged_in(carrier) as client:
        let(carrier, early_receipts=1)
        client.submit(2, PHONE)
        early = parse_report((await client.deliver()).msg_content)
        _, answer = await client.read()
        assert early is not None
        assert isinstance(answer, SubmitResp)
        assert early.msg_id == answer.msg_id

    config = calm(max_delay_seconds=0, faults={**CALM, "duplicate_receipts": 1})
    async with running(config) as carrier, logged_in(carrier) as client:
        client.submit(2, PHONE)
        reports = [parse_report((await client.deliver()).msg_content) for _ in range(2)]
        first, again = reports
        assert first
        assert again
        assert replace(again, done_time=first.done_time) == first  # a minute may end between them
        let(carrier, unknown_receipts=1)
        client.submit(3, PHONE)
        reports = [parse_report((await client.deliver()).msg_content) for _ in range(2)]
        assert len({report.msg_id for report in reports if report}) == 2


async def test_no_receipt_comes_for_a_text_that_asked_for_none() -> None:
    async with running(calm(max_delay_seconds=0)) as carrier, logged_in(carrier) as client:
        client.submit(2, PHONE, registered_delivery=0)
        assert await client.answer() == (2, 0)
        assert await client.hears_nothing()
