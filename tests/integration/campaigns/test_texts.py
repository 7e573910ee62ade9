"""Several texts of one campaign: all of them are approved, and they take turns."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from service.accounts.people.model import Role
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Campaign, State
from service.campaigns.core.texts import MoreText
from service.campaigns.plans import planning
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due
from service.errors import Conflict, Forbidden, Invalid
from service.messages.lint.lint import lint
from service.messages.store import NewVersion, TemplateInfo, template_add_version, template_insert
from service.messages.text_approval import TextBlocked
from service.storage.postgres import CheckViolation, Connection, Pool, transaction
from tests.factories import TEXT, Team, make_draft, make_scheduled, make_team, make_user

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
START = datetime(2027, 1, 13, 9, tzinfo=SHANGHAI)
DAILY = Schedule("recurring", START, rrule="FREQ=DAILY", late="skip")
TEXTS = [
    "【旌德县反诈中心】陌生人让你先付款再返利的，都是刷单诈骗，请拨打96110。",
    "【旌德县反诈中心】网上贷款先收手续费的，都是贷款诈骗，请拨打96110。",
    "【旌德县反诈中心】自称客服要退款、让你共享屏幕的，都是诈骗，请拨打96110。",
]
FURTHER = [(text, None) for text in TEXTS]
LATER = [(TEXTS[0], 7), (TEXTS[1], 21)]


async def _fire(pool: Pool, campaign: Campaign, at: datetime) -> list[str]:
    """The texts that went out at an instant; everything is handed off at once."""
    runs = await asyncio.gather(*(fire_due(pool, at) for _ in range(2)))
    async with transaction(pool) as conn:
        rows = await conn.fetch(
            "UPDATE runs SET state = 'sent' WHERE id = ANY($1) RETURNING text, text_no",
            [run for found in runs for run in found],
        )
        await finish_campaigns(conn, [campaign.id], at)
    texts = [TEXT, *TEXTS]
    assert all(texts[row["text_no"] - 1] == row["text"] for row in rows)
    return [row["text"] for row in rows]


async def _again(conn: Connection, team: Team, campaign_id: UUID, now: datetime) -> Campaign:
    await approval.submit(conn, team.operator, campaign_id, now)
    return await approval.approve(conn, team.approver, campaign_id, "", now)


async def test_each_fire_sends_the_next_text(pool: Pool, now: datetime) -> None:
    """A day on which nothing goes out takes no text's turn; two schedulers look at each fire."""
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        campaign = await make_scheduled(conn, team, now=now, schedule=DAILY, further=FURTHER)
    sent: list[str] = []
    for day in range(7):
        late = timedelta(hours=1) if day == 2 else timedelta()
        sent += await _fire(pool, campaign, START + day * DAY + late)
    assert sent == [TEXT, *TEXTS, TEXT, TEXTS[0]]
    async with pool.acquire() as conn:
        assert (await planning.load(conn, campaign.id, None)).state is State.SCHEDULED


async def test_after_an_edit_the_turns_go_on(pool: Pool, now: datetime) -> None:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        campaign = await make_scheduled(conn, team, now=now, schedule=DAILY, further=FURTHER)
    assert await _fire(pool, campaign, START) == [TEXT]
    at = START + timedelta(hours=1)
    async with transaction(pool) as conn:
        fewer = campaign.plan.more_texts[:1]
        edited = await planning.edit(
            conn, team.operator, campaign.id, lambda plan: replace(plan, more_texts=fewer), at
        )
        assert (edited.state, edited.approved_hash) == (State.DRAFT, None)
        assert await _fire(pool, campaign, at) == []
        await _again(conn, team, campaign.id, at)
    assert await _fire(pool, campaign, START + DAY) == [TEXTS[0]]
    assert await _fire(pool, campaign, START + 2 * DAY) == [TEXT]


async def test_a_new_version_of_any_text_changes_nothing_that_was_approved(
    pool: Pool, now: datetime
) -> None:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        campaign = await make_scheduled(conn, team, now=now, schedule=DAILY, further=FURTHER)
        new = NewVersion(TEXT + "请转告。", lint(TEXT), team.operator.id)
        await template_add_version(conn, campaign.plan.more_texts[0].template_id, new, now)
    assert await _fire(pool, campaign, START) == [TEXT]
    assert await _fire(pool, campaign, START + DAY) == [TEXTS[0]]


async def test_a_new_version_between_submission_and_approval_is_refused(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    draft = await make_draft(conn, team.operator, now=now, further=LATER)
    await approval.submit(conn, team.operator, draft.id, now)
    new = NewVersion(TEXTS[2], lint(TEXTS[2]), team.operator.id)
    await template_add_version(conn, draft.plan.more_texts[1].template_id, new, now)
    with pytest.raises(Conflict, match="has changed since"):
        await approval.approve(conn, team.approver, draft.id, "", now)
    await approval.send_back(conn, team.approver, draft.id, "neu", now)
    approved = await _again(conn, team, draft.id, now)
    assert approved.further[1].text == TEXTS[2]


@pytest.mark.attack
@pytest.mark.parametrize(
    "changed",
    [
        "UPDATE campaign_texts SET after_days = 8 WHERE no = 2",
        "UPDATE campaign_texts SET no = no + 2",
        "DELETE FROM campaign_texts WHERE no = 3",
        'UPDATE campaign_texts SET verdict = \'[{"rule": "R01", "level": "info", "at": 0}]\'',
    ],
)
async def test_what_is_changed_behind_the_approval_is_held(
    pool: Pool, now: datetime, changed: str
) -> None:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        campaign = await make_scheduled(conn, team, now=now, further=LATER)
        await conn.execute(changed)
    held = "no = no + 2" not in changed  # the order alone counts
    assert (await _fire(pool, campaign, now) == []) is held
    async with pool.acquire() as conn:
        state = (await planning.load(conn, campaign.id, None)).state
    assert (state is State.HELD) is held


async def test_who_wrote_any_of_the_texts_cannot_approve(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    both = await make_user(
        conn, Role.OPERATOR, Role.APPROVER, now=now, department_id=team.department_id
    )
    draft = await make_draft(conn, team.operator, now=now, further=LATER, writer=both)
    await approval.submit(conn, team.operator, draft.id, now)
    with pytest.raises(Forbidden, match="you wrote one of its texts"):
        await approval.approve(conn, both, draft.id, "", now)
    with pytest.raises(CheckViolation, match="writers_of_texts_have_no_seat"):
        async with conn.transaction():
            await conn.execute(
                "UPDATE campaigns SET approved_by = $1, approved_at = $2,"
                " approved_hash = content_hash, state = 'scheduled'",
                both.id,
                now,
            )
    await approval.approve(conn, team.approver, draft.id, "", now)


async def test_lint_looks_at_each_text(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    bad = "【旌德县反诈中心】请把验证码发给我们，点击 http://1.2.3.4/a 领取奖金。"
    draft = await make_draft(conn, team.operator, now=now, further=[(bad, 7)])
    with pytest.raises(TextBlocked):
        await approval.submit(conn, team.operator, draft.id, now)


async def test_all_texts_are_of_one_class_and_the_departments_own(
    conn: Connection, now: datetime
) -> None:
    team, stranger = await make_team(conn, now=now), await make_team(conn, now=now)
    draft = await make_draft(conn, team.operator, now=now)
    foreign = await make_draft(conn, stranger.operator, now=now)
    info = TemplateInfo("通知", "service", "", "zh")
    notice = await template_insert(
        conn, team.department_id, info, NewVersion(TEXT, [], team.operator.id), now
    )
    for template_id in (notice.id, foreign.plan.template_id):
        more = (MoreText(template_id, 7),)
        with pytest.raises(Invalid) as refused:
            await planning.edit(
                conn, team.operator, draft.id, partial(replace, more_texts=more), now
            )
        assert list(refused.value.fields) == ["more_texts.0.template_id"]


async def test_a_clone_has_the_same_texts(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    draft = await make_draft(conn, team.operator, now=now, further=LATER)
    copy = await planning.clone(conn, team.operator, draft.id, None, now)
    assert [(text.text, text.after_days) for text in copy.further] == LATER
