"""Fires that did not take place at their time: who is told, and what a person decides of them.

A fire whose time passes while its campaign is paused, held or not approved is recorded as `missed`
once it is too late to fire by itself. Whoever lets the campaign go on says what becomes of those
that are late, if the plan holds them (`late: hold`); of several, the last stands for all.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.audience import target_store
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import (
    Fire,
    Turn,
    Why,
    candidates,
    fires_since,
    next_look,
    opens,
    turn_at,
)
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.calendar.schedule import LATE_AFTER, LatePolicy
from service.campaigns.core import fire_store, store
from service.campaigns.core.fire_store import FireRecord
from service.campaigns.core.model import Campaign, Content
from service.campaigns.plans import sequence_store
from service.campaigns.plans.planning import hour_terms
from service.campaigns.plans.sequence import finish_if_over
from service.campaigns.stops.hold import TOO_LATE, hold, hold_fire
from service.clock import CHINA
from service.errors import Conflict
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import listing, phrase

_MOVED_AT_MOST = timedelta(days=62)
"""How far the calendar moves a fire from its planned instant."""

log = logging.getLogger(__name__)


def _when(instants: Iterable[datetime]) -> str:
    return listing(f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}" for at in instants)


class MissedFires(Conflict):
    """Fires were missed, and the plan leaves to a person what becomes of them."""

    code = "fires_were_missed"

    def __init__(self, missed: Sequence[Fire]) -> None:
        when = _when(fire.planned_at for fire in missed)
        super().__init__(
            phrase(
                "fires were missed ({when}) and the plan holds late ones: say with `missed`"
                " what becomes of them: run (the last one now, in place of all), hold (the"
                " last one waits for a release), skip (none of them); a newer fire that is"
                " still in time goes by itself, with run in their place",
                when=when,
            )
        )


class SeveralHeld(Conflict):
    """Several fires of a campaign are held, and none is named."""

    code = "several_fires_held"

    def __init__(self, held: Sequence[FireRecord]) -> None:
        when = _when(fire.planned_at for fire in held)
        super().__init__(
            phrase("several fires are held: name one of them with `planned_at`: {when}", when=when)
        )


async def turn_of(
    conn: Connection, campaign: Campaign, content: Content, county: County, now: datetime
) -> Turn:
    """What is due of a campaign, and what follows it."""
    schedule = campaign.plan.schedule
    after = await fire_store.last_planned(conn, campaign.id)
    since = opens(schedule, campaign.approved_at or now, campaign.plan.period_start)
    if schedule.kind == "joining":
        since = max(since, now)
    return turn_at(candidates(schedule, content.terms, county, since, after), now)


async def decide_late(
    conn: Connection, campaign: Campaign, choice: LatePolicy | None, by: By
) -> None:
    """Decide of the fires that a campaign, locked, has missed and that are late by now. Without a
    choice they follow the plan; a fire that is still in time goes by itself, and stands for those
    before it unless the choice is to hold or skip these.

    Raises:
        MissedFires: the plan holds late fires, and there is no choice.
        Conflict: the plan skips late fires, and the choice is another.
    """
    await _decide_late_steps(conn, campaign, choice, by)
    if campaign.plan.schedule.kind == "joining" or campaign.next_fire_at is None:
        return
    content = frozen_content(campaign)
    turn = await turn_of(conn, campaign, content, await load_county(conn), by.at)
    if turn.fire is None:
        return
    if by.at - max(turn.fire.at, campaign.next_fire_at) <= LATE_AFTER:
        await _decide_before(conn, campaign, turn, choice, by)
        return
    await _decide(conn, campaign, turn, _chosen(campaign, _late(turn), choice), by)


async def _decide_before(
    conn: Connection, campaign: Campaign, turn: Turn, choice: LatePolicy | None, by: By
) -> None:
    """Decide of the late fires before one that is due and still in time."""
    late = [fire for fire in turn.passed if not fire.skipped and by.at - fire.at > LATE_AFTER]
    if not late or turn.fire is None:
        return
    _chosen(campaign, late, choice)
    if choice in {"hold", "skip"}:
        before = [fire for fire in turn.passed if fire != late[-1]]
        await _decide(conn, campaign, Turn(before, late[-1], turn.fire), choice, by)
        return
    await fire_store.insert_skipped(conn, campaign.id, turn.passed, by.at)
    await store.set_next_fire(conn, campaign.id, turn.fire.at)


async def _decide_late_steps(
    conn: Connection, campaign: Campaign, choice: LatePolicy | None, by: By
) -> None:
    """Decide of the steps of sequences that are late. Held, they hold the campaign: those after
    them keep their distance from them.
    """
    late = await sequence_store.late_steps(conn, campaign.id, by.at - LATE_AFTER)
    if not late:
        return
    match _chosen(campaign, [Fire(step.planned_at, step.due_at) for step in late], choice):
        case "run":
            await sequence_store.make_due(conn, campaign.id, by.at)
        case "hold":
            await hold(conn, campaign, TOO_LATE.by(by.at))
        case "skip":
            for step in late:
                why = by.reason if choice == "skip" else TOO_LATE.sentence
                await sequence_store.record(conn, step, "skipped", why, None, by.at)


async def release_steps(
    conn: Connection, campaign: Campaign, choice: LatePolicy | None, by: By
) -> None:
    """Let the steps of a campaign that was held go that are late, or leave them out."""
    if choice != "skip":
        await sequence_store.make_due(conn, campaign.id, by.at)
        return
    for step in await sequence_store.late_steps(conn, campaign.id, by.at):
        await sequence_store.record(conn, step, "skipped", by.reason, None, by.at)


def _chosen(campaign: Campaign, late: Sequence[Fire], choice: LatePolicy | None) -> LatePolicy:
    policy = campaign.plan.schedule.late
    if choice is None and policy == "hold":
        raise MissedFires(late)
    if policy == "skip" and choice not in {None, "skip"}:
        raise Conflict(
            phrase("the plan that was approved skips late fires: leave `missed` out, or say skip"),
            code="plan_skips_late_fires",
        )
    return choice or policy


def _late(turn: Turn) -> list[Fire]:
    """The fires that are late, from old to new."""
    return [fire for fire in [*turn.passed, turn.fire] if fire is not None and not fire.skipped]


async def _decide(
    conn: Connection, campaign: Campaign, turn: Turn, choice: LatePolicy, by: By
) -> None:
    """Do with the late fires as was chosen, and wait for the fire after them."""
    if turn.fire is None:
        raise ValueError("no fire is late")
    await fire_store.insert_skipped(conn, campaign.id, turn.passed, by.at)
    following = turn.following.at if turn.following else None
    if choice == "hold":
        await hold_fire(conn, campaign, turn.fire, turn, TOO_LATE, by.at)
        return
    await store.set_next_fire(conn, campaign.id, following)
    if choice == "run":
        late = turn.fire._replace(note=TOO_LATE.sentence, code=Why.LATE)
        await fire_store.insert_held(conn, campaign.id, late, by.at, by.user_id)
    else:
        await _skip(conn, campaign, [turn.fire], by)


async def _skip(conn: Connection, campaign: Campaign, fires: Sequence[Fire], by: By) -> None:
    """Leave fires out by a person's word; a campaign of which nothing is to come is done."""
    skipped = [fire._replace(note=by.reason, code=Why.PERSON) for fire in fires]
    await fire_store.insert_skipped(conn, campaign.id, skipped, by.at)
    now_is = await store.get_campaign(conn, campaign.id, None)
    if now_is is not None and now_is.next_fire_at is None:
        await finish_if_over(conn, now_is, by)


async def release_fire(
    conn: Connection,
    campaign: Campaign,
    held: Sequence[FireRecord],
    choice: LatePolicy | None,
    by: By,
) -> None:
    """Let a fire that is held go, or leave it out; the campaign, locked, goes on beside it.

    held: the one that was named, or all of them.

    Raises:
        SeveralHeld: none is named, and there are several.
        Conflict: the choice is to hold it.
    """
    if len(held) > 1:
        raise SeveralHeld(held)
    if choice == "hold":
        raise _is_held()
    await _let_go(conn, campaign, held[0], choice, by)


def find_held(held: Sequence[FireRecord], planned_at: datetime) -> FireRecord:
    """The held fire that a release names.

    Raises:
        Conflict: code `not_held`: no fire of this instant is held.
    """
    for fire in held:
        if fire.planned_at == planned_at:
            return fire
    raise Conflict(
        phrase(
            "no fire of this instant is held: `held_fires` shows those that are; a campaign"
            " that is held as a whole is released without `planned_at`, too"
        ),
        code="not_held",
    )


def _waiting(held: FireRecord) -> Fire:
    """A held fire as one that may take place."""
    return Fire(
        held.planned_at,
        held.planned_at,
        held.note,
        code=held.code,
        others=held.others,
        people=held.people,
    )


async def _let_go(
    conn: Connection, campaign: Campaign, held: FireRecord, choice: LatePolicy | None, by: By
) -> None:
    fire = _waiting(held)
    if choice == "skip":
        await _skip(conn, campaign, [fire], by)
    else:
        await target_store.approve_held(conn, campaign.id, fire.planned_at)
        await fire_store.insert_held(conn, campaign.id, fire, by.at, by.user_id)


async def release_whole(
    conn: Connection,
    campaign: Campaign,
    held: Sequence[FireRecord],
    planned_at: datetime | None,
    choice: LatePolicy | None,
    by: By,
) -> None:
    """Let a campaign go on that was held as a whole and is scheduled again: what it was held for
    takes place now; of fires that were missed meanwhile, the last stands for all.

    planned_at: the fire that the release names, one of `held`; None: none is named.

    Raises:
        MissedFires: more than one fire waits, the plan holds late ones, and there is no choice.
        Conflict: the choice is to hold it, or a later fire takes the place of the named one.
    """
    if campaign.plan.schedule.kind == "joining":
        await store.set_next_fire(conn, campaign.id, by.at)
        return
    content = frozen_content(campaign)
    turn = await turn_of(conn, campaign, content, await load_county(conn), by.at)
    late = [_waiting(fire) for fire in held] + _late(turn)
    if choice is None and len(late) > 1 and campaign.plan.schedule.late == "hold":
        raise MissedFires(late)
    if choice == "hold" and late:
        raise _is_held()
    if planned_at is not None and planned_at != late[-1].planned_at:
        raise _another_goes(late[-1])
    following = turn.following.at if turn.following else None
    if not late:  # its time is still to come; if none is, the scheduler ends it
        await store.set_next_fire(conn, campaign.id, following or by.at)
        return
    await store.set_next_fire(conn, campaign.id, following)
    await fire_store.insert_skipped(conn, campaign.id, turn.passed, by.at)
    if choice == "skip":
        await _skip(conn, campaign, late, by)
    else:
        await _release_last(conn, campaign, late, by)


async def _release_last(conn: Connection, campaign: Campaign, late: Sequence[Fire], by: By) -> None:
    """Let the last of several fires go, in place of all."""
    others = [f._replace(note="a later fire takes its place", code=Why.SUPERSEDED) for f in late]
    await fire_store.insert_skipped(conn, campaign.id, others[:-1], by.at)
    await target_store.approve_held(conn, campaign.id, late[-1].planned_at)
    code = late[-1].code or Why.HELD
    await fire_store.insert_held(conn, campaign.id, late[-1]._replace(code=code), by.at, by.user_id)


def _another_goes(last: Fire) -> Conflict:
    return Conflict(
        phrase(
            "the campaign is held as a whole, and its last fire stands for those before it:"
            " name {when}, or no fire",
            when=_when([last.planned_at]),
        ),
        code="not_held",
    )


def _is_held() -> Conflict:
    return Conflict(
        phrase("it is held already: release it with run or skip, or leave it"),
        code="is_held_already",
    )


async def record_missed(pool: Pool, now: datetime) -> int:
    """Record the fires whose time has passed while their campaigns could not fire, and tell of
    campaigns that wait for no fire although one should come; returns of how much it has told.

    Each campaign is one transaction. Harmless to do twice, and by several at once.
    """
    async with pool.acquire() as conn:
        expecting = await fire_store.expecting(conn, now - LATE_AFTER)
        silent = await fire_store.without_next_fire(conn)
    async with transaction(pool) as conn:
        told = await sequence_store.note_missed(conn, now - LATE_AFTER, now)
    for campaign_id, look in itertools.chain(
        ((one, _record_missed) for one in expecting), ((one, _note_silence) for one in silent)
    ):
        try:
            async with transaction(pool) as conn:
                told += await look(conn, campaign_id, now)
        except Exception:
            log.exception("campaign not looked at", extra={"campaign_id": str(campaign_id)})
    return told


async def _record_missed(conn: Connection, campaign_id: UUID, now: datetime) -> int:
    campaign = await store.get_campaign(conn, campaign_id, None, lock=True)
    expected = await fire_store.get_expected(conn, campaign_id, now - LATE_AFTER)
    if campaign is None or expected is None:
        return 0
    since, code = expected
    code = code or campaign.state.value
    terms, county = await hour_terms(conn, campaign), await load_county(conn)
    missed, following = _passed(campaign, terms, county, since, now - LATE_AFTER)
    missed = [fire._replace(code=code) for fire in missed]
    await fire_store.insert_missed(conn, campaign_id, missed, now)
    await fire_store.set_expected(conn, campaign_id, following)
    return bool(missed)


def _passed(
    campaign: Campaign, terms: HourTerms, county: County, since: datetime, until: datetime
) -> tuple[list[Fire], datetime | None]:
    """The fires of a plan from one instant to another, and when the next one is."""
    schedule, end = campaign.plan.schedule, campaign.plan.period_end
    if schedule.kind == "joining":
        return [], None
    passed: list[Fire] = []
    for fire in fires_since(schedule, terms, county, since - _MOVED_AT_MOST):
        if fire.skipped or fire.at < since:
            continue
        if end is not None and fire.at >= end:
            break
        if fire.at > until:
            return passed, fire.at
        passed.append(fire)
    return passed, None


async def _note_silence(conn: Connection, campaign_id: UUID, now: datetime) -> int:
    campaign = await store.get_campaign(conn, campaign_id, None, lock=True)
    if campaign is None or campaign.next_fire_at is not None:
        return 0
    terms, county = await hour_terms(conn, campaign), await load_county(conn)
    schedule, end = campaign.plan.schedule, campaign.plan.period_end
    if schedule.kind == "joining":
        ahead = next_look(schedule, terms, county, now)
    else:
        _, ahead = _passed(campaign, terms, county, now, now)
    if ahead is None or (end is not None and ahead >= end):
        return 0
    await fire_store.set_silent(conn, campaign_id, now)
    log.error("campaign waits for no fire", extra={"campaign_id": str(campaign_id)})
    return 1
