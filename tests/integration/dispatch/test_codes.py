"""The operator's codes: over the gateway's tables, on answers and on receipts, at once."""

from datetime import datetime
from pathlib import Path

import pytest

from service.channels.config.codes import CarrierCode
from service.channels.config.codes_store import delete_code, load_codes, put_code
from service.channels.contract.gateway import Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import store
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import add_channel, phone, states
from tests.harness.runs import handed_off, ready
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve, Simulate


def receipt(code: str) -> Receipt:
    return Receipt(code.encode(), phone(1), ReceiptState.UNDELIVERED, code, "other", None)


async def stored(conn: Connection) -> list[tuple[str, str, str]]:
    rows = await conn.fetch("SELECT code, state, reason FROM receipt_inbox ORDER BY id")
    return [tuple(row) for row in rows]


async def test_a_receipt_is_stored_as_the_operator_reads_its_code(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    channel = await add_channel(conn, keyring, 1, now)
    await put_code(conn, CarrierCode("cmpp", "receipt", "MK:0099", "expired", "powered_off"), now)
    await put_code(conn, CarrierCode("cmpp", "submit", "MK:0098", "throttled"), now)
    await put_code(conn, CarrierCode("smgp", "receipt", "MK:0097", "delivered"), now)
    given = [(channel.id, receipt(f"MK:009{n}")) for n in (9, 8, 7)]
    await store.insert_receipts(conn, keyring, given, now)
    assert await stored(conn) == [
        ("MK:0099", "expired", "powered_off"),
        ("MK:0098", "undelivered", "other"),  # said of answers to submits
        ("MK:0097", "undelivered", "other"),  # said of another kind
    ]
    await delete_code(conn, "cmpp", "receipt", "MK:0099")
    await store.insert_receipts(conn, keyring, given[:1], now)
    assert (await stored(conn))[-1] == ("MK:0099", "undelivered", "other")


async def test_the_codes_are_loaded_by_kind(conn: Connection, now: datetime) -> None:
    assert await load_codes(conn) == {}
    await put_code(conn, CarrierCode("cmpp", "submit", "108", "throttled", note="busy"), now)
    await put_code(conn, CarrierCode("smgp", "receipt", "X", "delivered"), now)
    codes = await load_codes(conn)
    assert set(codes) == {"cmpp", "smgp"}
    result = SubmitResult(Outcome.REJECTED, code="108", reason="other")
    assert codes["cmpp"].submit(result).outcome is Outcome.THROTTLED
    assert codes["smgp"].submit(result) is result


async def test_a_row_that_makes_no_sense_stops_nothing(
    conn: Connection, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    await put_code(conn, CarrierCode("cmpp", "submit", "108", "throttled"), now)
    await conn.execute(
        "INSERT INTO channel_codes (kind, applies_to, code, outcome, created_at) "
        "VALUES ('cmpp', 'submit', '109', 'accepted', $1)",
        now,
    )
    codes = (await load_codes(conn))["cmpp"]
    refused = SubmitResult(Outcome.REJECTED, code="109", reason="other")
    assert codes.submit(refused) is refused
    assert list(codes.submits) == ["108"]
    assert "a code is left out" in caplog.text


async def test_a_receipts_meaning_reaches_the_ledger(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    """In this province DELIVRD is said to mean "not known"."""
    async with simulate(profile="carrier") as carrier, pool.acquire() as conn:
        _, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 40)
        await put_code(conn, CarrierCode("cmpp", "receipt", "DELIVRD", "unknown"), clock.now())
        await serve()

        async def mostly_unknown() -> bool:
            return (await states(conn, run)).get("unknown", 0) > 30

        await until(mostly_unknown)
        assert "delivered" not in await states(conn, run)
        codes = await conn.fetch("SELECT DISTINCT code FROM messages WHERE state = 'unknown'")
        assert "DELIVRD" in {row["code"] for row in codes}  # as it came


async def test_an_answers_meaning_decides_the_hand_off(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    """A carrier's "too fast" that this operator was told to take for a refusal."""
    faults = CalmFaults.model_copy(update={"too_fast": 1.0})
    async with simulate(faults=faults) as carrier, pool.acquire() as conn:
        _, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 5)
        code = CarrierCode("cmpp", "submit", "8", "rejected", "frequency_limit")
        async with transaction(pool) as told:
            await put_code(told, code, clock.now())
        await serve()
        await until(lambda: handed_off(conn, run))
        assert await states(conn, run) == {"rejected": 5}
        reasons = await conn.fetch("SELECT DISTINCT reason, code FROM messages")
        assert [tuple(row) for row in reasons] == [("frequency_limit", "8")]
