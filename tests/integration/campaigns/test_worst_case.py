"""A text is judged by the longest values of those who would read it, and none may be missing."""

from datetime import datetime
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.campaigns.approval import approval
from service.campaigns.audience.content_checks import ValuesMissing
from service.campaigns.core.model import Campaign, State
from service.crypto import Keyring
from service.errors import Conflict
from service.messages.lint.lint_store import policy_set
from service.messages.text_approval import TextBlocked
from service.storage.postgres import Connection
from tests.factories import Team, make_contact, make_draft, make_team, phone

# 64 characters without the name: one part with up to six more.
TEXT = "【县反诈中心】{姓名}" + "凡是要求转账的都是诈骗，拨96110。" * 3
ONE_PART = 70 - (len(TEXT) - len("{姓名}"))
PLACES = TEXT.replace("姓名", "社区")
VILLAGE = "341825102201"  # 霍家桥村委会


@pytest.fixture
async def team(conn: Connection, now: datetime) -> Team:
    await load_areas(conn)
    return await make_team(conn, now=now, kind="county")


async def _named(
    conn: Connection, keyring: Keyring, team: Team, now: datetime, *names: str | None
) -> None:
    for number, name in enumerate(names, 1):
        cipher = keyring.encrypt("name", name) if name else None
        await make_contact(conn, keyring, team.department_id, number, now=now, name_cipher=cipher)


async def _rename(conn: Connection, keyring: Keyring, number: int, name: str | None) -> None:
    await conn.execute(
        "UPDATE contacts SET name_cipher = $2 WHERE phone_hash = $1",
        keyring.phone_index(phone(number)),
        keyring.encrypt("name", name) if name else None,
    )


async def _submit(
    conn: Connection, keyring: Keyring, team: Team, now: datetime, text: str = TEXT
) -> Campaign:
    draft = await make_draft(conn, team.operator, now=now, text=text)
    return await approval.submit(conn, team.operator, draft.id, now, keyring=keyring)


async def _approve(
    conn: Connection, keyring: Keyring, team: Team, campaign_id: UUID, now: datetime
) -> Campaign:
    return await approval.approve(
        conn, team.approver, campaign_id, "", now, acknowledged=["R17"], keyring=keyring
    )


def _levels(campaign: Campaign, rule: str) -> list[str]:
    return [f["level"] for f in campaign.findings if f["rule"] == rule]


@pytest.mark.parametrize(
    ("names", "levels"),
    [
        (["王小明", "欧阳建国"], []),
        (["国" * ONE_PART, "王小明"], []),
        (["国" * (ONE_PART + 1), "王小明"], ["warn"]),
        # 12 letters are as many octets as four Chinese characters.
        (["欧阳建国", "Wang Jianguo"], ["warn"]),
        # A character outside the BMP counts two.
        (["𬭎" * ((ONE_PART + 2) // 2)], ["warn"]),
        # Nobody has a name by which to judge, so the longest allowed one counts.
        ([], ["warn"]),
    ],
)
async def test_the_length_is_that_of_the_longest_name_on_the_list(
    conn: Connection,
    keyring: Keyring,
    now: datetime,
    team: Team,
    names: list[str],
    levels: list[str],
) -> None:
    await _named(conn, keyring, team, now, *names)
    submitted = await _submit(conn, keyring, team, now)
    assert _levels(submitted, "R15") == levels


async def test_names_of_others_do_not_count(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    """Neither of those whom the rule does not mean, nor of those who refuse such texts."""
    await _named(conn, keyring, team, now, "王小明", None, "买买提江·吾买尔")
    await conn.execute(
        "UPDATE contacts SET carrier = 'none' WHERE phone_hash = $1", keyring.phone_index(phone(2))
    )
    await conn.execute(
        """
        INSERT INTO suppressions (phone_hash, reason, classes, note, created_at)
        VALUES ($1, 'opted_out', '{public_interest}', '', $2)
        """,
        keyring.phone_index(phone(3)),
        now,
    )
    assert _levels(await _submit(conn, keyring, team, now), "R15") == []


async def test_whoever_lacks_a_value_is_named_before_anybody_approves(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    await _named(conn, keyring, team, now, "王小明", None, None)
    with pytest.raises(ValuesMissing, match="{姓名}") as caught:
        await _submit(conn, keyring, team, now)
    assert caught.value.code == "missing_value"
    assert caught.value.fields == {"values.姓名": "2 of 3 people have none"}
    with pytest.raises(ValuesMissing) as caught:
        await _submit(conn, keyring, team, now, PLACES)
    assert caught.value.fields == {"values.社区": "3 of 3 people have none"}
    await conn.execute("UPDATE contacts SET area_code = $1", VILLAGE)
    submitted = await _submit(conn, keyring, team, now, PLACES)
    assert submitted.state is State.PENDING_APPROVAL


async def test_a_county_may_leave_people_without_a_value_to_the_approver(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    await _named(conn, keyring, team, now, "王小明", None)
    await policy_set(conn, {"levels": {"R17": "review"}}, "名单不全也发", None, now)
    submitted = await _submit(conn, keyring, team, now)
    assert _levels(submitted, "R17") == ["review"]
    (finding,) = (f for f in submitted.findings if f["rule"] == "R17")
    assert "1 of 2 people" in finding["message"]
    assert finding["at"] == TEXT.index("{") + 1
    assert (await _approve(conn, keyring, team, submitted.id, now)).state is State.SCHEDULED


async def test_a_list_that_makes_texts_longer_voids_the_submission(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    await _named(conn, keyring, team, now, "王小明")
    submitted = await _submit(conn, keyring, team, now)
    await _rename(conn, keyring, 1, "欧阳建国")  # longer, and still one part
    await make_contact(conn, keyring, team.department_id, 2, now=now)
    await _rename(conn, keyring, 2, "买买提江·吾买尔")
    with pytest.raises(Conflict, match="has changed since") as caught:
        await _approve(conn, keyring, team, submitted.id, now)
    assert caught.value.code == "changed_since_submission"
    await _rename(conn, keyring, 2, "王安")
    assert (await _approve(conn, keyring, team, submitted.id, now)).state is State.SCHEDULED


async def test_somebody_new_without_a_value_is_named_at_the_approval(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    await _named(conn, keyring, team, now, "王小明")
    submitted = await _submit(conn, keyring, team, now)
    await make_contact(conn, keyring, team.department_id, 2, now=now, name_cipher=None)
    with pytest.raises(ValuesMissing, match="{姓名}"):
        await _approve(conn, keyring, team, submitted.id, now)


async def test_a_text_too_long_for_somebody_is_blocked(
    conn: Connection, keyring: Keyring, now: datetime, team: Team
) -> None:
    """Three parts are 201 characters: 200 with the short name, 202 with the long one."""
    text = "【县反诈中心】{姓名}" + "凡" * 191 + "。"
    await _named(conn, keyring, team, now, "王安")
    assert _levels(await _submit(conn, keyring, team, now, text), "R15") == ["warn"]
    await _rename(conn, keyring, 1, "欧阳建国")
    with pytest.raises(TextBlocked) as caught:
        await _submit(conn, keyring, team, now, text)
    assert [finding["rule"] for finding in caught.value.findings] == ["R15"]
