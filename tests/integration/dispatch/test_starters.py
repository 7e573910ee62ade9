"""Every text that comes with the program can be sent by a campaign, and is read as it should be."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from service.accounts.people.model import Role, User
from service.audience.areas.area_store import load_areas
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Plan, State
from service.campaigns.plans import planning
from service.campaigns.runs.firing import fire_due
from service.clock import day_in_china
from service.coding.parts import split
from service.crypto import Keyring
from service.dispatch.compose import ClaimedSlice, Composer
from service.dispatch.expansion.expand import expand_run
from service.dispatch.fair_queue import Flow
from service.messages.lint.lint import lint
from service.messages.plan_values import plan_values
from service.messages.store import NewVersion, TemplateInfo, template_insert
from service.messages.template import SAMPLE_VALUES, Starter, load_library, planned, render
from service.storage.postgres import Connection, Pool, one, transaction
from tests.factories import Team, make_contact, make_segment, make_team, make_user
from tests.harness.bulletins import RELEASED, WEEK, give_bulletin
from tests.harness.ledger import add_channel, lift_caps

pytestmark = pytest.mark.slow  # some hundred plans

VILLAGE = "341825102201"
NAME, ORG = "欧阳建国", "县市场监管局"
AREAS = {VILLAGE: ("三溪镇", "霍家桥村委会")}


async def _one_person(conn: Connection, keyring: Keyring, team: Team, now: datetime) -> None:
    """Somebody of whom everything is known that a text of the library asks."""
    cipher = keyring.encrypt("name", NAME)
    await make_contact(
        conn, keyring, team.department_id, 1, now=now, name_cipher=cipher, area_code=VILLAGE
    )
    roster = await conn.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on) VALUES ($1, '全', 'duty', $2)"
        " RETURNING id",
        team.department_id,
        day_in_china(now) + timedelta(days=90),
    )
    await conn.execute(
        "INSERT INTO links (contact_id, roster_id, digest, roles, org)"
        " SELECT id, $1, 'x', '{liaison}', $2 FROM contacts WHERE department_id = $3",
        roster,
        ORG,
        team.department_id,
    )


async def _scheduled(
    conn: Connection,
    keyring: Keyring,
    planner: User,
    approvers: Sequence[User],
    starter: Starter,
    now: datetime,
) -> None:
    """A campaign of the text, approved: a warning by two."""
    info = TemplateInfo(starter.id, starter.message_class, "", starter.language)
    version = NewVersion(starter.text, lint(starter.text), planner.id)
    template = await template_insert(conn, planner.department_id, info, version, now)
    segment = await make_segment(conn, planner, now=now)
    plan = Plan(
        name=starter.id,
        template_id=template.id,
        segment_id=segment.id,
        channels=None,
        priority="normal",
        schedule=Schedule(),
        max_tps=None,
        values=plan_values({name: SAMPLE_VALUES[name] for name in planned(starter.text)}),
        figures_from=WEEK if RELEASED.keys() & set(planned(starter.text)) else None,
    )
    draft = await planning.create(conn, planner, plan, now)
    submitted = await approval.submit(conn, planner, draft.id, now, keyring=keyring)
    doubts = {f["rule"] for f in submitted.findings if f["level"] == "review"}
    for approver in approvers:
        approved = await approval.approve(
            conn, approver, draft.id, "", now, acknowledged=doubts, keyring=keyring
        )
        if approved.state is State.SCHEDULED:
            return
    raise AssertionError(starter.id)


async def test_every_text_of_the_library_is_planned_and_expanded(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        await load_areas(conn)
        await lift_caps(conn)
        await add_channel(conn, keyring, 1, now)
        teams = {kind: await make_team(conn, now=now, kind=kind) for kind in ("county", "police")}
        third = {
            kind: await make_user(
                conn, Role.APPROVER, now=now, department_id=teams[kind].department_id
            )
            for kind in teams
        }
        for team in teams.values():
            await _one_person(conn, keyring, team, now)
        await give_bulletin(conn, teams["police"].operator.id, now)
        await conn.execute(
            "UPDATE departments SET signature = '旌德县公安局' WHERE kind = 'police'"
        )
    library = load_library()
    assert len(library) == 56
    read = 0
    for starter in library:
        kind = "police" if starter.message_class == "warning" else "county"
        async with transaction(pool) as conn:
            team = teams[kind]
            approvers = (team.approver, third[kind])
            await _scheduled(conn, keyring, team.operator, approvers, starter, now)
        (run,) = await fire_due(pool, now)
        made = await expand_run(pool, run, now, keyring)
        assert made is not None
        assert (made.target, made.excluded) == (1, 0), starter.id
        found = await pool.fetchrow(
            "SELECT m.*, r.text FROM messages m JOIN runs r ON r.id = m.run_id WHERE r.id = $1", run
        )
        row = one(found)
        work = ClaimedSlice(
            run, 1, row["text"], starter.message_class, None, hours=None, valid_until=None,  # type: ignore[arg-type]  # not read here
            flow=Flow(1, run), weight=1, rows=None,  # type: ignore[arg-type]  # not read here
        )  # fmt: skip
        composer = Composer(keyring, AREAS, lambda text: tuple(split(text)), simulated=True)
        message = composer.compose(work, row)
        said = b"".join(part.body for part in message.parts).decode("utf-16-be")
        own = {"姓名": NAME, "name": NAME, "单位": ORG, "乡镇": "三溪镇", "社区": "霍家桥村委会"}
        assert said == render(starter.text, {**SAMPLE_VALUES, **own}), starter.id
        await pool.execute("UPDATE messages SET state = 'cancelled', final_at = $1", now)
        await pool.execute("UPDATE runs SET state = 'cancelled'")
        read += 1
    assert read == 56
