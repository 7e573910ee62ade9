"""What people would read: the longest text is found without reading everybody's name."""

from datetime import datetime
from uuid import UUID

import pytest

from service.audience.store import load_areas
from service.campaigns import reading
from service.campaigns.reading import Reading, read_by
from service.crypto import Keyring
from service.storage.postgres import Connection
from tests.factories import RULE, make_contact, make_team

TEXT = "【旌德县公安局】{姓名}您好，刷单都是骗局，拿不准拨96110。"
PLAIN = len(TEXT) - len("{姓名}")
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


async def test_it_reads_no_more_names_than_it_must(
    conn: Connection, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["王" * 18, *["王小明"] * 20]
    department_id = await _people(conn, keyring, now, *names)
    read = []
    decrypt = keyring.decrypt

    def counted(kind: str, cipher: bytes) -> str:
        read.append(kind)
        return decrypt(kind, cipher)

    monkeypatch.setattr(reading, "_STEP", 4)
    monkeypatch.setattr(keyring, "decrypt", counted)
    found = await _read(conn, keyring, department_id, now)
    assert found.longest is not None
    assert (found.longest.characters, found.exact) == (PLAIN + 18, True)
    # One step of four settles it: 18 characters are more than the 9 octets of all others.
    assert read.count("name") <= 2 * 4 + reading.SHOWN


async def test_what_it_does_not_read_is_bounded_from_above(
    conn: Connection, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    department_id = await _people(conn, keyring, now, *["王小明"] * 6)
    monkeypatch.setattr(reading, "_STEP", 2)
    monkeypatch.setattr(reading, "_MOST_READ", 4)
    found = await _read(conn, keyring, department_id, now)
    assert found.longest is not None
    assert (found.longest.characters, found.exact) == (PLAIN + 9, False)


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
    strange = await _read(conn, keyring, department_id, now, TEXT.replace("姓名", "起数"))
    assert (strange.missing, strange.longest, strange.at_random) == ({"起数": 3}, None, [])
    nobody = await _people(conn, keyring, now)
    assert (await _read(conn, keyring, nobody, now)).people == 0
