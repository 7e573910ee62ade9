"""One rule of exclusion: what a preview, a submission and a forecast say is what is sent, person by
person, in worlds that are drawn at random.

`TOCSIN_TEST_WORLDS=2000` draws more of them; `TOCSIN_TEST_FIRST_WORLD` begins with another.
"""

import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.keys.key import Mode
from service.audience.areas.area_store import load_areas
from service.audience.segments.segment import canonical, parse
from service.audience.vocabulary.ages import BANDS
from service.audience.vocabulary.choices import CARRIERS
from service.campaigns.approval import approval
from service.campaigns.audience.exclusion_store import REASON_SQL, excluded
from service.campaigns.audience.preview import preview_rule
from service.campaigns.audience.reach import count_ledger, next_ledger
from service.campaigns.audience.recipients import count_approval_audience
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import Schedule, validity_end
from service.campaigns.core import run_store
from service.campaigns.core.model import Campaign, Content, Plan
from service.campaigns.plans import planning
from service.campaigns.runs.firing import fire_due
from service.clock import day_in_china
from service.crypto import Keyring
from service.dispatch.direct import direct_send
from service.dispatch.direct.direct_people import Named
from service.dispatch.direct.direct_send import DirectSender, DirectText
from service.dispatch.expansion.expand import expand_run
from service.dispatch.forecast.fire_forecast import foretell
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import lint
from service.messages.lint.lint_store import policy_set
from service.messages.store import NewVersion, TemplateInfo, template_insert
from service.storage import sql
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import Team, make_segment, make_team, phone
from tests.harness.ledger import add_channel, add_real_channel

WORLDS = int(os.environ.get("TOCSIN_TEST_WORLDS", "100"))
FEW = 30
"""Worlds of `make test`; `make slow` draws all."""
FIRST = int(os.environ.get("TOCSIN_TEST_FIRST_WORLD", "0"))
PEOPLE = 12

HEAD = "【旌德县反诈中心】"
WORDS = "凡是要求转账到安全账户的都是诈骗，请勿相信，有疑问请拨打96110。"
TEXTS = {
    f"{HEAD}{WORDS}": frozenset[str](),
    f"{HEAD}{{姓名}}您好，{WORDS}": frozenset({"name"}),
    f"{HEAD}{{乡镇}}居民您好，{WORDS}": frozenset({"town"}),
    f"{HEAD}{{姓名}}您好，{{村}}居民，{WORDS}": frozenset({"name", "village"}),
    f"{HEAD}{{单位}}同志您好，{WORDS}": frozenset({"org"}),
}
FINDINGS = {text: lint(text) for text in TEXTS}
COUNTY, TOWN, VILLAGE = "341825000000", "341825100000", "341825100001"
OTHER_TOWN, OTHER_VILLAGE = "341825101000", "341825101200"
LEVELS = {COUNTY: "county", TOWN: "town", OTHER_TOWN: "town"}
RULES = (
    "carrier in (mobile, unicom, telecom, broadnet) or not carrier = mobile",
    "age >= 60 or role = parent",
    "age < 60",
    "not role = parent",
    f'area = "{TOWN}" or not gender = f',
)
WAYS = {"no_route", "synthetic_range", "not_synthetic", "capped", "same_text"}
"""Of these an approval says nothing: they change by the day."""

Reasons = dict[bytes, str | None]


@dataclass
class World:
    """What was drawn: a department, its people and their columns, and a campaign to them."""

    draw: random.Random
    team: Team
    people: dict[bytes, dict[str, Any]]
    campaign: Campaign
    rule: str
    employed: set[bytes]
    """Of whom a list that holds says where they work."""

    @property
    def needs(self) -> frozenset[str]:
        return TEXTS[self.campaign.text]

    def fits(self, person: bytes) -> bool:
        """Whether a person has what the text needs."""
        columns = self.people[person]
        level = LEVELS.get(columns["area_code"], "village") if columns["area_code"] else None
        return not (
            ("name" in self.needs and columns["name_cipher"] is None)
            or ("town" in self.needs and level not in {"town", "village"})
            or ("village" in self.needs and level != "village")
            or ("org" in self.needs and person not in self.employed)
        )


async def set_channels(conn: Connection, draw: random.Random, channels: Sequence[int]) -> None:
    """Let the channels take other numbers in each world."""
    for channel in channels:
        carriers = draw.sample(tuple(CARRIERS), draw.choice((1, 1, 2, 3)))
        await conn.execute(
            "UPDATE channels SET carriers = $2, enabled = $3, on_net_only = $4, rank = $5,"
            " operated_by = $6 WHERE id = $1",
            channel,
            carriers,
            draw.random() < 0.85,
            draw.random() < 0.6,
            draw.randrange(1, 200),
            draw.choice((None, carriers[0])),
        )


async def set_caps(conn: Connection, draw: random.Random, now: datetime) -> None:
    for message_class in ("public_interest", "service"):
        day = draw.choice((None, 1, 2))
        week = draw.choice((None, 2, 3))
        await conn.execute(
            "INSERT INTO frequency_caps (class, per_day, per_week, per_month, same_text, reason,"
            " set_at) VALUES ($1, $2, $3, $4, $5, 'test', $6)",
            message_class,
            *(day, week, draw.choice((None, 3, 6)), draw.random() < 0.5, now),
        )


def _told(target: int, excluded: Mapping[str, int]) -> Counter[str | None]:
    """How many get the text (None), and how many do not, by reason."""
    return Counter[str | None]({None: target}) + Counter[str | None](excluded)


LINK_ROLES: tuple[list[str], ...] = (["parent"], ["finance", "parent"], [])


def person(draw: random.Random, keyring: Keyring, number: int, team: Team) -> dict[str, Any]:
    own = phone(number)
    return {
        "department_id": team.department_id,
        "phone_hash": keyring.phone_index(own),
        "phone_cipher": keyring.encrypt("phone", own),
        "name_cipher": keyring.encrypt("name", "王小明") if draw.random() < 0.8 else None,
        "carrier": draw.choice((*CARRIERS, "china_mobile", "another", None)),
        "area_code": draw.choice((None, COUNTY, TOWN, VILLAGE, OTHER_TOWN, OTHER_VILLAGE)),
        "age_band": draw.choice((None, *BANDS)),
        "gender": draw.choice((None, "f", "m")),
        "synthetic": draw.random() < 0.9,
    }


async def insert_people(
    conn: Connection, draw: random.Random, people: Sequence[dict[str, Any]], team: Team, now: Any
) -> None:
    """The people, with what lists, overrides, suppressions, guests and caps have of them."""
    columns = [*people[0], "created_at", "updated_at"]
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    await conn.executemany(
        f"INSERT INTO contacts ({', '.join(columns)}) VALUES ({places})",
        [(*one.values(), now, now) for one in people],
    )
    hashes = [one["phone_hash"] for one in people]
    today = day_in_china(now)
    for name, last_day in (("holds", today), ("ended", today - timedelta(days=1))):
        roster = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on)"
            " VALUES ($1, $2, 'duty', $3) RETURNING id",
            team.department_id,
            name,
            last_day,
        )
        await conn.executemany(
            "INSERT INTO links (contact_id, roster_id, digest, roles, org)"
            " SELECT id, $2, $3, $4, $6 FROM contacts WHERE department_id = $1 AND phone_hash = $5",
            [
                (
                    *(team.department_id, roster, name.encode(), draw.choice(LINK_ROLES), one),
                    draw.choice(("", "县局", "县局")),
                )
                for one in hashes
                if draw.random() < 0.3
            ],
        )
    await conn.executemany(
        "INSERT INTO carrier_overrides (phone_hash, carrier, source, set_by, set_at)"
        " VALUES ($1, $2, 'operator', $3, $4)",
        [
            (one, draw.choice(tuple(CARRIERS)), team.operator.id, now)
            for one in hashes
            if draw.random() < 0.2
        ],
    )
    await conn.executemany(
        "INSERT INTO guests (department_id, phone_hash, phone_cipher, created_by, created_at)"
        " VALUES ($1, $2, 'x', $3, $4)",
        [(team.department_id, one, team.operator.id, now) for one in hashes if draw.random() < 0.6],
    )
    await conn.executemany(
        "INSERT INTO suppressions (phone_hash, reason, classes, expires_at, department_id,"
        " created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [suppressed(draw, one, team, now) for one in draw.sample(hashes, PEOPLE // 4)],
    )


async def employed(conn: Connection, team: Team) -> set[bytes]:
    rows = await conn.fetch(
        "SELECT c.phone_hash FROM contacts c JOIN links l ON l.contact_id = c.id"
        " JOIN rosters o ON o.id = l.roster_id"
        " WHERE c.department_id = $1 AND o.name = 'holds' AND l.org <> ''",
        team.department_id,
    )
    return {row["phone_hash"] for row in rows}


def suppressed(draw: random.Random, one: bytes, team: Team, now: datetime) -> tuple[Any, ...]:
    reason = draw.choice(("opted_out", "protected", "dead_number", "complaint"))
    classes = draw.choice((["service"], ["public_interest"], ["public_interest", "service"]))
    is_own = reason == "opted_out" and classes == ["service"] and draw.random() < 0.5
    whose = team.department_id if is_own else None
    expires = draw.choice((None, now - timedelta(days=1), now + timedelta(days=1)))
    return one, reason, classes, expires, whose, now - timedelta(days=9)


async def insert_texts(conn: Connection, draw: random.Random, world: World, now: datetime) -> None:
    """What people had lately; some of them the same words."""
    same = await conn.fetchval("SELECT hashtextextended($1, 0)", world.campaign.text)
    rows = []
    for one in world.people:
        count = draw.choice((0, 0, 1, 2, 3))
        hours = sorted(draw.sample(range(1, 40 * 24), count))
        texts = [draw.choice((same, 1, 2)) for _ in hours]
        if count:
            at = [now - timedelta(hours=n) for n in hours]
            rows.append((one, world.campaign.message_class, at, [UUID(int=1)] * count, texts))
    await conn.executemany(
        "INSERT INTO recent_texts (phone_hash, class, at, runs, texts) VALUES ($1, $2, $3, $4, $5)",
        rows,
    )


async def make_world(
    conn: Connection, keyring: Keyring, seed: int, channels: Sequence[int], now: datetime
) -> World:
    draw = random.Random(seed)
    await set_channels(conn, draw, channels)
    await set_caps(conn, draw, now)
    kind = draw.choice(("department", "department", "department", "police", "carrier"))
    team = await make_team(conn, now=now, kind=kind)
    await conn.execute(
        "UPDATE departments SET area_code = $2, direct_send_limit = 1000 WHERE id = $1",
        team.department_id,
        draw.choice((None, COUNTY, TOWN)),
    )
    numbers = range(seed * PEOPLE, (seed + 1) * PEOPLE)
    people = [person(draw, keyring, number, team) for number in numbers]
    await insert_people(conn, draw, people, team, now)
    rule, text = draw.choice(RULES), draw.choice(tuple(TEXTS))
    classes: tuple[MessageClass, ...] = ("public_interest", "service")
    message_class = draw.choice(classes)
    template = await template_insert(
        conn,
        team.department_id,
        TemplateInfo(f"模板{seed}", message_class, "", "zh"),
        NewVersion(text, FINDINGS[text], team.operator.id),
        now,
    )
    segment = await make_segment(conn, team.operator, now=now, rule=rule)
    valid = draw.choice((60, 1440, 4000))
    hours = draw.choice(((("08:00", "20:00"),), (("14:00", "18:00"),)))
    plan = Plan(
        name="反诈宣传",
        template_id=template.id,
        segment_id=segment.id,
        channels=draw.choice((None, None, tuple(draw.sample(list(channels), 2)))),
        priority="normal",
        schedule=draw.choice((Schedule(), Schedule(send_hours=hours, validity_minutes=valid))),
        max_tps=None,
        over_cap=draw.choice(("defer", "stop")),
    )
    mode = draw.choice((Mode.LIVE, Mode.LIVE, Mode.TRIAL))
    campaign = await planning.create(conn, team.operator, plan, now, mode)
    known = {one["phone_hash"]: one for one in people}
    world = World(draw, team, known, campaign, rule, await employed(conn, team))
    await insert_texts(conn, draw, world, now)
    return world


async def previewed(conn: Connection, world: World, now: datetime) -> dict[bytes, tuple[Any, ...]]:
    """What the preview's own statement says of each person: the reason and the channel."""
    terms, source = await next_ledger(conn, world.campaign, world.rule, now)
    rows = await sql.fetch(
        conn,
        f"SELECT phone_hash, {REASON_SQL} AS reason, channel_id FROM ({excluded(terms, source)}) e"
        " WHERE matches IS NOT FALSE",
        **terms.values,
        **source.values,
    )
    assert len({row["phone_hash"] for row in rows}) == len(rows)
    return {
        row["phone_hash"]: (row["reason"], None if row["reason"] else row["channel_id"])
        for row in rows
    }


async def in_ledger(conn: Connection, run: UUID) -> dict[bytes, tuple[Any, ...]]:
    """The ledger and the exclusions of a run, in the same form."""
    rows = await conn.fetch(
        "SELECT phone_hash, NULL AS reason, channel_id FROM messages WHERE run_id = $1"
        " UNION ALL SELECT phone_hash, reason, NULL FROM exclusions WHERE run_id = $1",
        run,
    )
    assert len({row["phone_hash"] for row in rows}) == len(rows)
    return {row["phone_hash"]: (row["reason"], row["channel_id"]) for row in rows}


async def made_at_once(conn: Connection, world: World, now: datetime) -> tuple[int, UUID]:
    """The count that a submission would have, and the run that a fire would make."""
    campaign = world.campaign
    rule = canonical(parse(world.rule))
    version, text = campaign.template_version_id, campaign.text
    content = Content(version, text, campaign.message_class, rule, campaign.plan)
    ends = validity_end(campaign.plan.schedule, content.terms, await load_county(conn), now)
    baseline = (await count_approval_audience(conn, campaign, content, now)).target
    run = await run_store.insert_run(conn, campaign, content, now, ends, now)
    assert run is not None
    return baseline, run


async def approved(conn: Connection, world: World, now: datetime) -> int:
    """Submit and approve it; the count of the submission."""
    operator, approver = world.team.operator, world.team.approver
    submitted = await approval.submit(conn, operator, world.campaign.id, now)
    to_read = {f["rule"] for f in submitted.findings if f["level"] == "review"}
    await approval.approve(conn, approver, submitted.id, "", now, acknowledged=to_read)
    assert submitted.baseline is not None
    return submitted.baseline


async def sent_directly(
    conn: Connection, keyring: Keyring, world: World, numbers: Mapping[bytes, str], now: datetime
) -> Reasons:
    """Why a direct send of the same words leaves out each of these people."""
    campaign, team = world.campaign, world.team
    sender = DirectSender(
        team.operator.id, team.operator.id, team.department_id, Mode(campaign.key_mode)
    )
    words = DirectText(
        next(iter(TEXTS)), campaign.message_class, campaign.template_version_id, approved=True
    )
    named = [Named(number) for number in numbers.values()]
    sent = await direct_send.send(conn, keyring, sender, words, named, None, now)
    refused = {one.index: one.reason for one in sent.refused}
    return {one: refused.get(index) for index, one in enumerate(numbers)}


async def check_direct(conn: Connection, keyring: Keyring, world: World, now: datetime) -> int:
    """A direct send leaves out whom a campaign of the same words would, wherever both ask: people
    whose carrier their number says, without a choice of channels, needs and caps. Returns how many
    were compared.
    """
    campaign = replace(
        world.campaign, text=next(iter(TEXTS)), plan=replace(world.campaign.plan, channels=None)
    )
    terms, source = await next_ledger(conn, campaign, RULES[0], now)
    rows = await sql.fetch(
        conn,
        "SELECT phone_hash, coalesce(early, stop, late) AS reason"
        f" FROM ({excluded(terms, source)}) e WHERE matches",
        **terms.values,
        **source.values,
    )
    expected: Reasons = {}
    numbers: dict[bytes, str] = {}
    for row in rows:
        columns = world.people[row["phone_hash"]]
        if columns["synthetic"] and columns["carrier"] == "china_mobile":
            expected[row["phone_hash"]] = row["reason"]
            cipher = await conn.fetchval(
                "SELECT phone_cipher FROM contacts WHERE department_id = $1 AND phone_hash = $2",
                *(campaign.department_id, row["phone_hash"]),
            )
            numbers[row["phone_hash"]] = keyring.decrypt("phone", cipher)
    if numbers:
        assert await sent_directly(conn, keyring, world, numbers, now) == expected
    return len(numbers)


async def check_segment(
    conn: Connection, keyring: Keyring, world: World, told: Counter[str | None], now: datetime
) -> bool:
    """The preview of a segment says what that of a plan says which says nothing else. Returns
    whether this one is such a plan.
    """
    campaign = world.campaign
    seen = await preview_rule(
        conn,
        keyring,
        world.team.department_id,
        world.rule,
        now,
        message_class=campaign.message_class,
        trial=campaign.key_mode == Mode.TRIAL,
    )
    plan = campaign.plan
    plain = plan.schedule == Schedule() and plan.over_cap == "defer" and plan.channels is None
    if world.needs or not plain or "same_text" in told:
        return False
    assert _told(seen.counts.target, seen.counts.excluded) == told
    return True


@pytest.mark.parametrize("worlds", [FEW, pytest.param(WORLDS, marks=pytest.mark.slow)])
async def test_who_is_left_out_is_decided_once(
    pool: Pool, keyring: Keyring, now: datetime, worlds: int
) -> None:
    seen: Counter[str | None] = Counter()
    async with transaction(pool) as conn:
        await load_areas(conn)
        levels = {"levels": {"R02": "warn", "R17": "warn"}}
        await policy_set(conn, levels, "for tests", None, now)
        channels = [(await add_channel(conn, keyring, n, now)).id for n in (1, 2, 3)]
        channels.append(await add_real_channel(conn, keyring, now))
        await conn.execute("UPDATE channels SET requires_filing = false")
    for seed in range(FIRST, FIRST + worlds):
        async with transaction(pool) as conn:
            world = await make_world(conn, keyring, seed, channels, now)
        async with transaction(pool) as conn:
            expected = await previewed(conn, world, now)
            counts = await count_ledger(conn, world.campaign, world.rule, now)
            told = Counter(reason for reason, _ in expected.values())
            seen["segment"] += await check_segment(conn, keyring, world, told, now)
        assert told == _told(counts.target, counts.excluded), seed
        if seed % 2:
            async with transaction(pool) as conn:
                found = await foretell(conn, lambda _: True, world.campaign, world.rule, now)
            (fire,) = found.fires
            assert told == _told(fire.target, fire.excluded), seed
        if seed % 10 == 0:  # the whole way takes long
            async with transaction(pool) as conn:
                baseline = await approved(conn, world, now)
            (run,) = await fire_due(pool, now)
        else:
            async with transaction(pool) as conn:
                baseline, run = await made_at_once(conn, world, now)
        async with transaction(pool) as conn:
            seen["direct"] += await check_direct(conn, keyring, world, now)
        included = [one for one, (why, _) in expected.items() if why is None or why in WAYS]
        assert baseline == sum(map(world.fits, included)), seed
        if seed % 10 == 9:  # between the fire and the ledger the department lost the class
            await pool.execute(
                "UPDATE departments SET classes = array_remove(classes, $2) WHERE id = $1",
                world.team.department_id,
                world.campaign.message_class,
            )
            async with transaction(pool) as conn:
                expected = await previewed(conn, world, now)
        made = await expand_run(pool, run, now, keyring)
        async with pool.acquire() as conn:
            ledger = await in_ledger(conn, run)
            await conn.execute("UPDATE slices SET done_at = $2 WHERE run_id = $1", run, now)
        assert ledger == expected, seed
        assert made is not None
        assert made.target == sum(why is None for why, _ in ledger.values())
        seen.update(why for why, _ in ledger.values())
    if worlds >= 100:
        assert set(+seen) >= REASONS, REASONS - set(+seen)


REASONS: set[str | None] = {
    *(None, "direct", "segment", "class_not_allowed", "age_unclear", "not_a_guest", "outside_area"),
    *("opted_out", "protected", "dead_number", "complaint", "no_route", "not_synthetic"),
    *("synthetic_range", "no_name", "no_area", "no_value", "capped", "same_text"),
}
"""What a hundred worlds must have shown, or the draw says nothing."""
