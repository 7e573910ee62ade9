"""A run's whole ledger, written before its first submit (invariant I1).

Whoever the rule means is either a row of the ledger or a named exclusion; nobody is neither. The
ciphers are copied as they are. A small ledger is one transaction: a crash leaves nothing, and the
run is expanded again. A large one is written in stretches of the phone hash, a transaction each
(decision 0486): a crash costs one of them. The run stays `expanding` until the last is there, and
of such a run nothing leaves.
"""

import logging
import math
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from redis.asyncio import Redis

from service.accounts.keys.key import Mode
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.campaigns.audience.audience_source import (
    AudienceSource,
    Stretch,
    by_rule,
    of_ledger,
)
from service.campaigns.audience.available_channels import available_routes, barred, sender_of
from service.campaigns.audience.exclusion_store import CapTerms, ExclusionTerms
from service.campaigns.audience.follow_up_store import (
    Members,
    missed,
    not_yet_in,
    of_run,
    stop_arrived,
    to_be_corrected,
)
from service.campaigns.audience.newcomer_store import newcomers, note_met
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.core import rollout_store
from service.campaigns.core.safety import Safety
from service.channels.routing.route_store import list_routable_channels
from service.clock import day_in_china
from service.crypto import Keyring
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.drill import stand_in
from service.dispatch.expansion.expand_store import ExpandedSoFar
from service.dispatch.expansion.expansion_notes import ExpansionNotes
from service.dispatch.expansion.list_values import fill_with_samples, write_with_values
from service.messages.template import variables
from service.messages.value_sources import Fact, facts_of, listed_of
from service.storage.locks import lock_follow_up_runs, try_lock_expansion
from service.storage.postgres import LONG_SECONDS, Connection, Pool, Record, transaction

log = logging.getLogger(__name__)

SLICE_ROWS = 1_000
STRETCH_PEOPLE = 500_000
"""A ledger of more people is written in stretches of the phone hash, of so many or a little fewer,
a transaction each. A pause or a cancel waits no longer than for one of them, and a crash costs one.
A county's ledger is one transaction, as ever."""
MOST_STRETCHES = 1_024


@dataclass(frozen=True, slots=True)
class Expansion:
    """What an expansion made: people in the target, people left out, channels to wake."""

    target: int
    excluded: int
    channels: list[int]


async def expand_run(
    pool: Pool,
    run_id: uuid.UUID,
    now: datetime,
    keyring: Keyring | None = None,
    redis: Redis | None = None,
    *,
    stretch_people: int = STRETCH_PEOPLE,
) -> Expansion | None:
    """Write the ledger of a run that is waiting for it, or what is missing of it; None: it is not
    waiting (any more), or somebody is at it.

    keyring: for the numbers of a drill, and for what a text takes of lists. redis: where it tells
    how far it is. stretch_people: how many people are written in one transaction, about.
    """
    notes = ExpansionNotes(redis, run_id)
    made, relation = None, None
    while made is None:
        async with transaction(pool, seconds=LONG_SECONDS) as conn:  # a province is large
            if not await try_lock_expansion(conn, run_id):
                return None
            run = await expand_store.lock_expanding_run(conn, run_id)
            if run is None:
                return None
            relation = run["relation"]
            wave = await _wave(conn, run)
            if wave is not None and not await rollout_store.is_expanded_before(conn, run_id):
                return None  # who is in that one is not known yet; the sweep comes again
            stretches = _stretches(run, stretch_people)
            so_far = await expand_store.begin_or_go_on(conn, run_id, now, stretches)
            made = await _go_on(conn, run, so_far, keyring, now, notes)
    await notes.end()
    if relation == "resend":
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            await stop_arrived(conn, [run_id], now)
    told = {"run_id": str(run_id), "target": made.target, "excluded": made.excluded}
    log.info("expanded", extra=told)
    return made


def _stretches(run: Record, people: int) -> int:
    """In how many transactions a ledger is written, by the people for whom it was approved. Of
    newcomers there are few, and of a key that tries all is ended at once.
    """
    few = run["newcomers"] or run["relation"] == "top_up" or run["key_mode"] == Mode.TEST
    if few or run["baseline"] is None:
        return 1
    people_approved: int = run["baseline"]
    return min(max(1, math.ceil(people_approved / people)), MOST_STRETCHES)


async def _go_on(
    conn: Connection,
    run: Record,
    so_far: ExpandedSoFar,
    keyring: Keyring | None,
    now: datetime,
    notes: ExpansionNotes,
) -> Expansion | None:
    """Write the next stretch of a ledger, or a small one as a whole; None: more are to follow."""
    if run["campaign_state"] == "cancelled":
        await expand_store.finish_expansion(conn, run["id"], "cancelled", so_far.target, now)
        return Expansion(so_far.target, so_far.excluded, [])
    stretch = None
    if so_far.stretches > 1:
        stretch = Stretch(so_far.written + 1, so_far.stretches)
        await notes.tell_stretch(so_far.target, run["baseline"])
    else:
        await notes.tell(0, None)
    terms, channels = await _terms(conn, run, _needs(run), so_far.at)
    await expand_store.bound_run(conn, run["id"], channels, terms.barred)
    source = await _audience_source(conn, run, terms, so_far.at, stretch)
    reached = await _write(conn, run, terms, source, keyring, notes, so_far)
    nos = range(so_far.target + 1, reached.target + 1)
    channels = await _cut(conn, run, nos, keyring, now, notes)
    if reached.written < reached.stretches:
        await expand_store.save_expansion(conn, run["id"], reached)
        return None
    halted = run["campaign_state"] == "paused" or run["words_stopped"]
    state = "paused" if halted else "running"
    await expand_store.finish_expansion(conn, run["id"], state, reached.target, now)
    if stretch is not None:
        channels = await expand_store.channels_of(conn, run["id"])
    return Expansion(reached.target, reached.excluded, channels)


def _needs(run: Record) -> set[Fact]:
    """The facts without which somebody is left out. A later text of a drill asks nothing of lists,
    on which its people are not.
    """
    needs = facts_of(variables(run["text"]))
    return needs - listed_of(needs).keys() if _follows_drill(run) else needs


def _follows_drill(run: Record) -> bool:
    return run["mode"] == "drill" and run["follows"] is not None


async def _write(
    conn: Connection,
    run: Record,
    terms: ExclusionTerms,
    source: AudienceSource,
    keyring: Keyring | None,
    notes: ExpansionNotes,
    so_far: ExpandedSoFar,
) -> ExpandedSoFar:
    """Write a ledger, or the next stretch of it, with what its text takes of lists; returns how far
    it is then.
    """
    run_id, before = run["id"], so_far.target
    if source.said:
        drill = run["mode"] == "drill"
        written = await write_with_values(
            conn, keyring, run_id, terms, source, notes, before, drill=drill
        )
        excluded = await expand_store.count_excluded(conn, run_id) - so_far.excluded
    else:
        written, excluded = await expand_store.write_ledger(conn, run_id, terms, source, before)
    if _follows_drill(run) and (listed := listed_of(facts_of(variables(run["text"])))):
        nos = range(before + 1, before + written + 1)
        await fill_with_samples(conn, keyring, run_id, list(listed), nos, notes)
    return replace(
        so_far,
        written=so_far.written + 1,
        target=before + written,
        excluded=so_far.excluded + excluded,
    )


async def _members(conn: Connection, run: Record) -> Members:
    """Which people of the ledger that a run follows it is for. Of two that follow one run at
    once the second waits for the first, so that nobody is in both.
    """
    if run["relation"] == "step":
        return of_run(run["follows"])
    await lock_follow_up_runs(conn, run["follows"])
    if run["relation"] == "resend":
        return missed(run["follows"])
    return to_be_corrected(run["follows"], run["id"])


async def _audience_source(
    conn: Connection,
    run: Record,
    terms: ExclusionTerms,
    now: datetime,
    stretch: Stretch | None,
) -> AudienceSource:
    """Whom a run is for, of a stretch of all people: those whom its rule means, of them those who
    are new to its plan, or the people of the run that it follows. A drill's people are nobody's
    numbers, on no list.
    """
    follows = run["follows"] is not None and run["relation"] != "top_up"
    rule = None if follows else parse(run["rule"], max_characters=len(run["rule"]))
    condition = compile_rule(
        rule,
        areas=RuleAreas(await read_area_tree(conn)),
        department_id=run["department_id"],
        today=day_in_china(now),
        fields=listed_of(terms.needs),
    )
    if follows:
        members = await _members(conn, run)
        listed = run["relation"] != "correction" and run["mode"] != "drill"
        return of_ledger(members, condition, must_be_listed=listed, stretch=stretch)
    if run["relation"] == "top_up":
        return by_rule(condition, not_yet_in(run["campaign_id"]))
    if run["newcomers"]:
        return by_rule(condition, newcomers(run["campaign_id"], run["newcomers"], now))
    if (wave := await _wave(conn, run)) is not None:
        turn = rollout_store.up_to_wave(run["campaign_id"], wave)
        return by_rule(condition, turn & not_yet_in(run["campaign_id"]), stretch)
    return by_rule(condition, stretch=stretch)


async def _wave(conn: Connection, run: Record) -> int | None:
    """Of which wave of a rollout a fire is; None: it is of none."""
    if run["follows"] is not None or run["campaign_id"] is None:
        return None
    return await rollout_store.wave_of_run(conn, run["id"])


async def _cut(
    conn: Connection,
    run: Record,
    nos: range,
    keyring: Keyring | None,
    now: datetime,
    notes: ExpansionNotes,
) -> list[int]:
    """Make slices of what was written of a ledger, its canary apart; returns the channels that have
    work.

    nos: the numbers of what was written.
    A plan for newcomers has met whoever is in it, by their own numbers also in a drill.
    """
    if run["newcomers"]:
        await note_met(conn, run["id"], run["campaign_id"], now)
    if run["mode"] == "drill" and run["follows"] is None:
        await stand_in(conn, keyring, run["id"], nos, notes)
    if run["key_mode"] == Mode.TEST:
        await expand_store.stop_tested(conn, run["id"], now)
        return []
    canary = Safety.from_json(run["safety"]).canary
    first = canary(nos.stop - 1)
    if first is not None:
        first -= canary(nos.start - 1) or 0
    return await expand_store.write_slices(conn, run, SLICE_ROWS, nos, first)


async def _terms(
    conn: Connection, run: Record, needs: Collection[Fact], now: datetime
) -> tuple[ExclusionTerms, list[int] | None]:
    """What decides who of those that a run looks at is left out, and the channels it may use."""
    sender = await sender_of(conn, run["department_id"], run["plan_of"])
    channels = await list_routable_channels(conn, now)
    available = available_routes(sender, channels, run["channels"], drill=run["mode"] == "drill")
    whose, message_class = run["department_id"], run["class"]
    leaves_at = (await load_county(conn)).next_opening(now, HourTerms.of_run(run))
    terms = ExclusionTerms(
        department_id=whose,
        message_class=message_class,
        routes=available.routes,
        needs=needs,
        at=now,
        trial=run["key_mode"] == Mode.TRIAL,
        barred=await barred(conn, sender, message_class, run["text"]),
        joint_fire=run["joint_fire"],
        caps=CapTerms(run["text"], run["over_cap"], run["valid_until"], leaves_at),
    )
    return terms, available.channels
