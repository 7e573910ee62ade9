"""What people would read: the longest text is found without reading everybody's name."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.segments.facts_store import facts_may_be_read
from service.audience.segments.segment import parse
from service.audience.segments.segment_uses import WrittenOut, write_out
from service.campaigns.audience import preview, reader_values, text_preview
from service.campaigns.audience.text_preview import Reading, audiences_of, read_by, who_lacks
from service.crypto import Keyring
from service.storage.postgres import Connection
from tests.factories import RULE, make_contact, make_team, phone

TEXT = "【旌德县公安局】{姓名}您好，刷单都是骗局，拿不准拨96110。"
PLAIN = len(TEXT) - len("{姓名}")
WORDS = [TEXT], "public_interest"
VILLAGE = "341825102201"  # 霍家桥村 in 三溪镇


async def _people(conn: Connection, keyring: Keyring, now: datetime, *names: str | None) -> UUID:
    await load_areas(conn)
    department_id = (await make_team(conn, now=now)).department_id
    for number, name in enumerate(names, 1):
        cipher = keyring.encrypt("name", name) if name else None
        await make_contact(
            conn, keyring, department_id, number, now=now, name_cipher=cipher, area_code=VILLAGE
        )
    return department_id


def _rule() -> WrittenOut:
    return write_out(parse(RULE), ())


async def _read(
    conn: Connection, keyring: Keyring, department_id: UUID, now: datetime, text: str = TEXT
) -> Reading:
    return await read_by(conn, keyring, department_id, RULE, (text, "public_interest"), now)


@pytest.mark.parametrize(
    ("names", "characters"),
    [
        (["王安", "李小明"], 3),
        # More octets are not always more characters.
        (["买买提江·吾买尔", "Wang Jianguo"], 12),
        (["𬭎𬭎𬭎", "王小明明明"], 6),
        (["王安"], 2),
    ],
)
async def test_the_longest_text_is_found(
    conn: Connection, keyring: Keyring, now: datetime, names: list[str], characters: int
) -> None:
    department_id = await _people(conn, keyring, now, *names)
    found = await _read(conn, keyring, department_id, now)
    assert found.longest is not None
    assert (found.longest.characters, found.exact) == (PLAIN + characters, True)
    assert found.by_length[0].size == found.longest


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("姓名", "社区"), TEXT.replace("{姓名}", "")])
async def test_it_is_read_by_facts_as_by_entries(
    conn: Connection,
    keyring: Keyring,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    names = ["买买提江·吾买尔", "王安", None, "李小明"]
    department_id = await _people(conn, keyring, now, *names)
    await conn.execute(
        "UPDATE contacts SET area_code = NULL WHERE phone_hash = $1", keyring.phone_index(phone(2))
    )
    words = text, "public_interest"
    read: list[tuple[object, ...]] = []
    for by_facts in (True, False):

        async def may_be_read(
            conn: Connection, department_id: UUID, *, by_facts: bool = by_facts
        ) -> bool:
            assert await facts_may_be_read(conn, department_id)
            return by_facts

        monkeypatch.setattr(preview, "facts_may_be_read", may_be_read)
        found = await _read(conn, keyring, department_id, now, text)
        at_random = sorted(one.phone for one in found.at_random)
        lacking = await who_lacks(conn, keyring, department_id, _rule(), words, now)
        audience = await audiences_of(
            conn, keyring, department_id, _rule(), ([text], words[1]), now
        )
        read.append((replace(found, at_random=[]), at_random, lacking, audience))
    assert read[0] == read[1]
    assert found.people == len(names)


async def test_it_reads_no_more_names_than_it_must(
    conn: Connection, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["王" * 18, *["王小明"] * 20]
    department_id = await _people(conn, keyring, now, *names)
    read = []
    decrypt = keyring.decrypt

    def counted(kind: str, cipher: bytes) -> str:
        read.append(cipher)
        return decrypt(kind, cipher)

    monkeypatch.setattr(keyring, "decrypt", counted)
    (found,) = await audiences_of(conn, keyring, department_id, _rule(), WORDS, now)
    assert found is not None
    # One name settles it: 18 characters are more than the 9 octets of all others.
    assert (len(found.longest["姓名"]), len(read)) == (18, 1)


async def test_what_it_does_not_read_is_bounded_from_above(
    conn: Connection, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    department_id = await _people(conn, keyring, now, *["王小明"] * 6)
    for module in (reader_values, text_preview):
        monkeypatch.setattr(module, "MOST_READ", 4)
    found = await _read(conn, keyring, department_id, now)
    assert found.longest is not None
    assert (found.longest.characters, found.exact) == (PLAIN + 9, False)
    (unread,) = await audiences_of(conn, None, department_id, _rule(), WORDS, now)
    assert unread is not None
    assert unread.longest["姓名"] == "国" * 9


async def test_a_pair_of_units_is_never_cut_apart_in_the_longest_text(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    """66 units before a name of pairs: the first part ends before its last pair."""
    department_id = await _people(conn, keyring, now, "𬭎" * 10)
    text = (
        "【旌德县公安局】" + "反" * 58 + "{姓名}" + "诈" * 48
    )  # 66 + 20 + 48 = 134, two parts' worth
    found = await _read(conn, keyring, department_id, now, text)
    assert found.longest is not None
    assert (found.longest.characters, found.longest.parts) == (134, 3)
    assert found.longest == found.by_length[0].size


async def test_the_longest_texts_may_be_those_of_a_place(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    department_id = await _people(conn, keyring, now, *["王小明"] * 6)
    await conn.execute(
        "UPDATE contacts SET area_code = $1 WHERE phone_hash <> $2",
        "341825100001",  # 南门, whose name is shorter
        keyring.phone_index(phone(3)),
    )
    found = await _read(conn, keyring, department_id, now, TEXT.replace("姓名", "社区"))
    assert found.by_length[0].phone.endswith("0003")
    assert found.by_length[0].size == found.longest


async def test_a_carriers_subscribers_count_and_are_not_shown(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    await load_areas(conn)
    department_id = (await make_team(conn, now=now, kind="carrier")).department_id
    name = keyring.encrypt("name", "买买提江·吾买尔")
    await make_contact(conn, keyring, department_id, 1, now=now, name_cipher=name)
    await make_contact(conn, keyring, department_id, 2, now=now, name_cipher=None)
    (found,) = await audiences_of(conn, keyring, department_id, _rule(), WORDS, now)
    assert found is not None
    assert (found.people, len(found.longest["姓名"]), found.missing) == (2, 8, {"姓名": 1})
    seen = await _read(conn, keyring, department_id, now)
    assert (seen.people, seen.at_random, seen.by_length) == (0, [], [])


async def test_names_are_masked_and_lengths_are_true(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    department_id = await _people(conn, keyring, now, "王小明")
    text = TEXT.replace("您好", "（{乡镇}{社区}）您好")
    found = await _read(conn, keyring, department_id, now, text)
    (one,) = found.at_random
    assert one.text == text.format(姓名="王**", 乡镇="三溪镇", 社区="霍家桥村委会")
    assert one.phone == "197****0001"
    assert one.size == found.longest
    assert "小明" not in repr(found)


async def test_who_lacks_a_value_is_counted_and_not_shown(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    department_id = await _people(conn, keyring, now, "王安", None, None)
    found = await _read(conn, keyring, department_id, now)
    assert (found.people, found.missing, len(found.at_random)) == (3, {"姓名": 2}, 1)
    strange = await _read(conn, keyring, department_id, now, TEXT.replace("姓名", "学费"))
    assert (strange.missing, strange.longest, strange.at_random) == ({"学费": 3}, None, [])
    nobody = await _people(conn, keyring, now)
    assert (await _read(conn, keyring, nobody, now)).people == 0


async def test_what_a_plan_fills_is_ordinary_to_read_and_measured_at_its_longest(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    department_id = await _people(conn, keyring, now, "王安")
    text = TEXT.replace("您好", "您好：{周期}发案{件数:数量}起")
    found = await _read(conn, keyring, department_id, now, text)
    assert (found.missing, found.exact) == ({}, False)
    (one,) = found.at_random
    assert "1月10日至16日" in one.text
    assert "{" not in one.text
    assert found.longest is not None
    plain = len(TEXT.replace("{姓名}", "王安").replace("您好", "您好：发案起"))
    assert found.longest.characters == plain + 20 + 13
