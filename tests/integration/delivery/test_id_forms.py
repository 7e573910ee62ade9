"""Receipts that meet nothing: counted, and read anew by another form of ids."""

from datetime import timedelta

import pytest

from service.channels.config.store import get_channel
from service.delivery.receipts import id_forms, id_forms_store
from service.delivery.receipts.parked_store import expire_parked
from service.delivery.receipts.store import RECEIPT_WAIT
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import phone
from tests.harness.receipts import HandedOff, SetUp

LATER = timedelta(minutes=2)


async def of_smpp(on: HandedOff) -> None:
    """Let the channel be of a kind that knows forms; its settings are not read here."""
    await on.pool.execute("UPDATE channels SET kind = 'smpp'")


async def correct(on: HandedOff, was: str = "same", form: str = "hex_decimal") -> None:
    await of_smpp(on)
    async with transaction(on.pool) as conn:
        await id_forms_store.note_change(conn, on.channel.id, was, form, RECEIPT_WAIT, on.now)


async def missed(pool: Pool) -> int:
    return await pool.fetchval("SELECT coalesce(max(in_a_row), 0) FROM receipt_misses") or 0


async def hint(on: HandedOff) -> id_forms.Hint | None:
    async with on.pool.acquire() as conn:
        channel = await get_channel(conn, on.keyring, on.channel.id)
        return await id_forms.hint(conn, channel)


async def submitted(on: HandedOff, *refs: bytes) -> None:
    """Texts that the carrier took, the first of them number 1."""
    await on.mark(*range(1, len(refs) + 1))
    for no, ref in enumerate(refs, start=1):
        await on.answered(no, ref)


async def test_misses_are_counted_until_one_meets_its_text(stage: SetUp) -> None:
    on = await stage()
    await submitted(on, b"1", b"2")
    for ref in (b"x", b"y", b"z"):
        await on.receive(ref, to=await on.phone(1))
        await on.fold()
    assert await missed(on.pool) == 3
    await on.receive(b"w", to=await on.phone(1))
    await on.receive(b"2", to=await on.phone(2))
    await on.fold()
    assert await missed(on.pool) == 0


async def test_receipts_for_texts_of_nobody_are_no_hint(stage: SetUp) -> None:
    on = await stage()
    await submitted(on, b"1")
    for number in range(id_forms.MISSED):
        await on.receive(b"x%d" % number, to=phone(900))
    await on.fold()
    assert await missed(on.pool) == id_forms.MISSED
    assert await hint(on) is None


async def test_where_no_setting_helps_the_hint_says_whom_to_ask(stage: SetUp) -> None:
    on = await stage()
    await submitted(on, b"1")
    for number in range(id_forms.MISSED - 1):
        await on.receive(b"x%d" % number, to=await on.phone(1))
    await on.fold()
    assert await hint(on) is None
    await on.receive(b"x", to=await on.phone(1))
    await on.fold()
    found = await hint(on)
    assert found is not None
    assert (found.missed, found.since) == (id_forms.MISSED, on.now)
    assert (found.setting, found.form, found.fitting) == ("", "", "")
    assert found.looked_at == id_forms.MISSED


async def test_a_receipt_goes_to_the_text_that_it_means(stage: SetUp) -> None:
    """Whose phone it names, and whose id by the new form; others stay."""
    on = await stage(people=4)
    await submitted(on, b"5F3A", b"00005f3b", b"10")
    await on.receive(b"24378", to=await on.phone(1))  # 5F3A
    await on.receive(b"24379", to=await on.phone(2), state="undelivered", reason="powered_off")
    await on.receive(b"17", to=await on.phone(3))  # 11, and its text has 10
    await on.receive(b"24378", to=await on.phone(4))  # somebody else's
    await on.fold()
    assert len(await on.listed()) == 4
    await correct(on)
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 2
    await on.fold()
    assert [await on.state(no) for no in (1, 2, 3)] == ["delivered", "undelivered", "submitted"]
    assert await on.listed() == [(b"17", "parked"), (b"24378", "parked")]


async def test_what_comes_later_for_an_earlier_text_is_read_anew_too(stage: SetUp) -> None:
    """Its answer was stored by the form of before, and the links of now know only the new one."""
    on = await stage()
    await submitted(on, b"5F3A")
    await correct(on)
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 0
    on.now += LATER
    await on.receive(b"24378", to=await on.phone(1))
    await on.fold()
    async with on.pool.acquire() as conn:
        assert await id_forms.changed(conn, on.now) == [on.channel.id]
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 1
    await on.fold()
    assert await on.state(1) == "delivered"
    async with on.pool.acquire() as conn:
        assert await id_forms.changed(conn, on.now) == []
        assert await id_forms.changed(conn, on.now + RECEIPT_WAIT) == []


async def test_a_text_that_was_given_up_gets_its_receipt_all_the_same(stage: SetUp) -> None:
    """Nobody had looked for three days; what is parked was given up by then."""
    on = await stage()
    await submitted(on, b"5F3A")
    await on.receive(b"24378", to=await on.phone(1))
    await on.fold()
    async with transaction(on.pool) as conn:
        await expire_parked(conn, on.now + RECEIPT_WAIT + LATER)
    assert await on.listed() == [(b"24378", "unmatched")]
    await correct(on)
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 1
    await on.fold()
    assert await on.state(1) == "delivered"


@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_all_batches_are_read_and_none_twice(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(id_forms, "BATCH", batch)
    on = await stage(people=5)
    await submitted(on, *(b"%X" % (160 + no) for no in range(5)))
    for no in range(5):
        await on.receive(b"%d" % (160 + no), to=await on.phone(no + 1))
        await on.receive(b"%d" % (160 + no), to=phone(900 + no))
    await on.fold()
    await correct(on)
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 5
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 0
    await on.fold()
    assert [await on.state(no) for no in range(1, 6)] == ["delivered"] * 5


async def test_forms_of_before_are_remembered(stage: SetUp) -> None:
    """Set wrongly first, then rightly: the answers were stored by either."""
    on = await stage()
    await submitted(on, b"5F3A", b"24379")  # by `same`; by `hex_decimal` of 5F3B
    await correct(on, "same", "hex_decimal")
    await correct(on, "hex_decimal", "same")
    await on.receive(b"5F3B", to=await on.phone(2))
    await on.fold()
    assert await id_forms.reread(on.pool, on.channel.id, on.now) == 1
    await on.fold()
    assert await on.state(2) == "delivered"


async def test_settings_that_stay_start_nothing(stage: SetUp) -> None:
    on = await stage()
    async with transaction(on.pool) as conn:
        assert not await id_forms.follow(conn, on.channel, on.channel, on.now)
        assert await id_forms.changed(conn, on.now) == []
