"""What lists say in a campaign's text: who lacks it is named, and the longest value is judged."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.audience.segments.segment import parse
from service.audience.segments.segment_uses import write_out
from service.campaigns.approval import approval
from service.campaigns.audience.content_checks import ValuesMissing
from service.campaigns.audience.reach import count_ledger
from service.campaigns.audience.text_preview import Reading, audiences_of, read_by
from service.campaigns.core.model import State
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict
from service.storage.postgres import Connection
from tests.factories import RULE, Team, make_contact, make_draft, make_team, phone
from tests.harness.ledger import add_channel

TEXT = "【旌德县反诈中心】{单位}财务同志：未当面核实的付款指令一律是骗局，拨96110。"
PLAIN = len(TEXT) - len("{单位}")
CLASSES = "【旌德县反诈中心】{学校}{班级}家长：群里收费请先打老师电话核实，拨96110。"


@pytest.fixture
async def team(conn: Connection, now: datetime) -> Team:
    return await make_team(conn, now=now, kind="county")


async def roster(conn: Connection, team: Team, now: datetime, name: str = "名单") -> UUID:
    found: UUID = await conn.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on) VALUES ($1, $2, 'duty', $3)"
        " RETURNING id",
        team.department_id,
        name,
        day_in_china(now) + timedelta(days=90),
    )
    return found


async def listed(
    conn: Connection,
    keyring: Keyring,
    team: Team,
    now: datetime,
    number: int,
    roster_id: UUID,
    **said: object,
) -> None:
    """A person on a list, which says this of them."""
    await conn.execute(
        "DELETE FROM contacts WHERE phone_hash = $1", keyring.phone_index(phone(number))
    )
    await make_contact(conn, keyring, team.department_id, number, now=now)
    columns = {"roles": ["finance"], **said}
    names = ", ".join(columns)
    places = ", ".join(f"${n}" for n in range(4, 4 + len(columns)))
    await conn.execute(
        f"INSERT INTO links (contact_id, roster_id, digest, {names})"
        f" SELECT id, $2, $3, {places} FROM contacts WHERE phone_hash = $1",
        keyring.phone_index(phone(number)),
        roster_id,
        str(said).encode(),
        *columns.values(),
    )


async def _read(
    conn: Connection, keyring: Keyring, team: Team, now: datetime, text: str = TEXT
) -> Reading:
    words = (text, "public_interest")
    return await read_by(conn, keyring, team.department_id, RULE, words, now)


async def test_the_preview_shows_the_longest_and_who_lacks_what_masked(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    own = await roster(conn, team, now)
    for number, org in enumerate(("县局", "旌德县市场监管局", "𬭎𬭎厂", "", "长" * 31), 1):
        await listed(conn, keyring, team, now, number, own, org=org)
    await make_contact(conn, keyring, team.department_id, 9, now=now)  # by hand, on no list
    found = await _read(conn, keyring, team, now)
    assert found.longest is not None
    assert (found.people, found.missing) == (6, {"单位": 3})
    assert found.longest.characters == PLAIN + 8
    assert [read.size.characters - PLAIN for read in found.by_length] == [8, 5, 2]
    assert found.by_length[0].text == TEXT.replace("{单位}", "旌" + "*" * 7)
    assert sorted((one.phone[-4:], one.name, *one.variables) for one in found.lacking) == [
        (number, "王**", "单位") for number in ("0004", "0005", "0009")
    ]
    assert "市场监管" not in repr(found)
    everybody = await read_by(
        conn, keyring, team.department_id, None, (TEXT, "public_interest"), now
    )
    assert (everybody.people, everybody.missing) == (6, {"单位": 3})


async def test_whoever_lacks_a_value_is_named_before_the_submission(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    own = await roster(conn, team, now)
    await listed(conn, keyring, team, now, 1, own, school="一小", **{"class": "三班"})
    await listed(conn, keyring, team, now, 2, own, school="一小")
    draft = await make_draft(conn, team.operator, now=now, text=CLASSES)
    with pytest.raises(ValuesMissing, match="{班级}") as caught:
        await approval.submit(conn, team.operator, draft.id, now, keyring=keyring)
    assert caught.value.fields == {"values.班级": "1 of 2 people have none"}
    assert caught.value.details()["people"] == [
        {"phone": "197****0002", "name": "王**", "variables": ["班级"]}
    ]
    await listed(conn, keyring, team, now, 2, own, school="二小", **{"class": "一班"})
    submitted = await approval.submit(conn, team.operator, draft.id, now, keyring=keyring)
    assert submitted.state is State.PENDING_APPROVAL
    await listed(conn, keyring, team, now, 3, own, school="二小")
    with pytest.raises(ValuesMissing, match="{班级}"):
        await approval.approve(
            conn, team.approver, draft.id, "", now, acknowledged=["R17"], keyring=keyring
        )


async def test_a_longer_value_on_a_list_voids_the_submission(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    own = await roster(conn, team, now)
    text = TEXT.replace("拨96110。", "疑" * (70 - PLAIN - 4) + "拨96110。")
    room = 70 - (len(text) - len("{单位}"))
    await listed(conn, keyring, team, now, 1, own, org="县" * room)
    draft = await make_draft(conn, team.operator, now=now, text=text)
    submitted = await approval.submit(conn, team.operator, draft.id, now, keyring=keyring)
    assert "R15" not in {finding["rule"] for finding in submitted.findings}
    await listed(conn, keyring, team, now, 1, own, org="县" * (room + 1))
    with pytest.raises(Conflict, match="has changed since") as caught:
        await approval.approve(
            conn, team.approver, draft.id, "", now, acknowledged=["R17", "R25"], keyring=keyring
        )
    assert caught.value.code == "changed_since_submission"


async def test_each_text_of_a_sequence_is_filled_by_itself(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    """Two entries say one thing each: both texts can be filled, though no entry says both."""
    own, other = await roster(conn, team, now), await roster(conn, team, now, "另一份")
    await listed(conn, keyring, team, now, 1, own, org="县局")
    await conn.execute(
        "INSERT INTO links (contact_id, roster_id, digest, roles, office)"
        " SELECT id, $1, 'x', '{}', '办公室' FROM contacts",
        other,
    )
    texts = [TEXT, TEXT.replace("{单位}", "{科室}"), TEXT.replace("{单位}", "")]
    rule = write_out(parse(RULE), ())
    words = (texts, "public_interest")
    org, office, none = await audiences_of(conn, keyring, team.department_id, rule, words, now)
    assert org is not None
    assert office is not None
    assert none is None
    assert (org.missing, office.missing) == ({}, {})
    assert (len(org.longest["单位"]), len(office.longest["科室"])) == (2, 3)
    both = [TEXT.replace("{单位}", "{单位}{科室}")]
    (found,) = await audiences_of(
        conn, keyring, team.department_id, rule, (both, "public_interest"), now
    )
    assert found is not None
    assert found.missing == {"单位": 1}  # the newer of two entries that say as much


async def test_the_count_foresees_whom_the_ledger_leaves_out(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    own = await roster(conn, team, now)
    await listed(conn, keyring, team, now, 1, own, org="县局")
    await listed(conn, keyring, team, now, 2, own)
    draft = await make_draft(conn, team.operator, now=now, text=TEXT)
    await add_channel(conn, keyring, 1, now)
    counts = await count_ledger(conn, draft, RULE, now)
    assert (counts.target, counts.excluded) == (1, {"no_value": 1})
