"""The regular acts of the scheduler, such as the sweep that enqueues again what is still open.

Each act has turns of its own, so that a slow act does not delay the others, above all not the
recovery of what dead processes held. If the last turn of an act still goes on in this process, its
next turn is left out.

arq keeps the turns in Redis, and anybody who can write to Redis can make arq skip some or all of
them. PostgreSQL records the end of each act's last turn, so this module asks it too, and does a
late act without arq (decision 0242).

One module: each act is a few lines, and CRONS is their table.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast
from uuid import UUID

from arq.cron import CronJob, cron

from service.accounts.audit.sealing import seal_committed
from service.api.http.store import delete_old_answers
from service.audience.imports.store import waiting_imports, waiting_undos
from service.audience.rosters.counting import count_rosters
from service.audience.segments.facts import check_facts, freshen_waiting
from service.campaigns.plans import missed
from service.campaigns.plans.lifecycle import expire_pending, finish_campaigns, finish_joint_plans
from service.campaigns.rollouts.drawing import reveal_seeds
from service.campaigns.runs.firing import DriftLimits, fire_due
from service.campaigns.stops import restored
from service.campaigns.stops.guard import guard_runs
from service.campaigns.stops.guard import limits_of as limits_of_runs
from service.delivery.inbound import inbound, replies
from service.delivery.list_files.list_file import look_at_lists
from service.delivery.notices import mail_store, notices, robot_posts
from service.delivery.receipts import id_forms
from service.delivery.receipts.parked_store import channels_with_receipts, expire_parked
from service.delivery.receipts.receipts import sweep_parked
from service.delivery.receipts.settle_store import settle_runs
from service.delivery.uncertain.uncertain import sweep_decided
from service.delivery.webhooks import webhooks
from service.dispatch.failover.channel_monitor import judge, limits_of
from service.dispatch.failover.failover import shift_waiting
from service.dispatch.handoff import lease_store, sweep_store
from service.dispatch.limits import caps
from service.dispatch.limits.pace import Pace
from service.dispatch.retries import dead_numbers
from service.duties.owing import owe as do_for_duties
from service.followups.climbing import climb
from service.liveness.process_store import forget_gone
from service.logs import seldom
from service.messages.sent import sent_texts
from service.privacy.erasure_store import delete_left_behind
from service.privacy.retention import let_go, terms_of
from service.privacy.trusted_clock import may_let_go
from service.queue import Job
from service.relays.groups.ownerless import find_ownerless
from service.relays.passing import pass_on
from service.reports.coverage.counting import count_coverage
from service.reports.plan_counts import count_audiences
from service.reports.runs.facts import keep_run_facts
from service.reports.weekly.packs import make_due
from service.runtime import Runtime
from service.storage.postgres import COUNT_SECONDS, UNREACHABLE, transaction
from workers.context import WorkerKind, runtime_of

EVERY_SECOND = set(range(60))
EVERY_FIFTH = set(range(0, 60, 5))
ONCE_A_MINUTE = {30}
ONCE_AN_HOUR = {17}

LATE_SECONDS = 10.0
"""An act is done without arq if its last turn ended this much longer ago than its interval."""
LOOK_SECONDS = 2.0
FREQUENT_SECONDS = 5.0
"""Acts of at most this interval show that a scheduler lives; the others are too seldom."""
TURN = "acts"
LATE_ACT = "an act is late, and is done without arq"
MADE_UP = "no scheduler could do these acts for a while; they are done now"
"""Said when a process begins, or the database is back, or the machine stood still."""

log = logging.getLogger(__name__)

STOP_SLICES = 100
"""How many left-over slices are looked up at once."""

ActT = TypeVar("ActT", bound=Callable[[dict[str, Any]], Awaitable[None]])


_going: dict[str, float] = {}
"""The acts that this process is doing, and since when."""
_ended: dict[str, float] = {}
"""When this process last ended an act, well or not."""


def one_turn_at_a_time(act: ActT) -> ActT:
    """Give an act one turn at a time in this process, and note its end for /readyz and /metrics."""

    @wraps(act)
    async def turn(ctx: dict[str, Any]) -> None:
        if act.__name__ in _going:
            return
        _going[act.__name__] = began = time.monotonic()
        try:
            await act(ctx)
            async with runtime_of(ctx).pool.acquire() as conn:
                await sweep_store.note_turn(conn, act.__name__, time.monotonic() - began)
        finally:
            del _going[act.__name__]
            _ended[act.__name__] = time.monotonic()

    return cast(ActT, turn)


@one_turn_at_a_time
async def fire(ctx: dict[str, Any]) -> None:
    """Start the runs that are due; close those of which nothing is left to hand off."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    limits = DriftLimits(runtime.settings.drift_share, runtime.settings.exchanged_share)
    for run_id in await fire_due(runtime.pool, now, limits=limits):
        await runtime.queue.enqueue(Job.EXPAND_RUN, run_id)
    async with transaction(runtime.pool) as conn:
        await finish_campaigns(conn, await sweep_store.close_finished_runs(conn, now), now)
    await finish_joint_plans(runtime.pool, now)
    async with transaction(runtime.pool) as conn:
        await sweep_store.close_direct_runs(conn, now)


@one_turn_at_a_time
async def record_missed(ctx: dict[str, Any]) -> None:
    """Record the fires that were missed, and tell of campaigns that do not fire any more; tell the
    seeds of rollouts that are over.
    """
    runtime = runtime_of(ctx)
    await missed.record_missed(runtime.pool, runtime.clock.now())
    await reveal_seeds(runtime.pool, runtime.keyring, runtime.clock.now())


@one_turn_at_a_time
async def enqueue_inbound(ctx: dict[str, Any]) -> None:
    """Enqueue, each second, the reading of texts from handsets, since an opt-out must not wait for
    the sweep; and the replies that are due.
    """
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    async with runtime.pool.acquire() as conn:
        texts_wait = await inbound.waits(conn, now)
        replies_wait = await replies.waits(conn, now)
    if texts_wait:
        await runtime.queue.enqueue(Job.READ_INBOUND)
    if replies_wait:
        await runtime.queue.enqueue(Job.SEND_REPLIES)


@one_turn_at_a_time
async def heartbeat(ctx: dict[str, Any]) -> None:
    """Record that the database is alive; if it was restored from a backup, hold everything."""
    await restored.beat(runtime_of(ctx))


@one_turn_at_a_time
async def enqueue_webhooks(ctx: dict[str, Any]) -> None:
    """Give new events to the webhooks that want them, and enqueue the calls that are due."""
    runtime = runtime_of(ctx)
    for webhook_id in await webhooks.hand_out(runtime.pool, runtime.clock.now()):
        await runtime.queue.enqueue(Job.CALL_WEBHOOK, webhook_id)


@one_turn_at_a_time
async def enqueue_notices(ctx: dict[str, Any]) -> None:
    """Enqueue the notices that are due: to persons, their mails, and to work groups."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    async with runtime.pool.acquire() as conn:
        notices_wait = await notices.waits(conn, now)
        mails_wait = await mail_store.mails_wait(conn, now)
        robots_wait = await robot_posts.waits(conn, now)
    if notices_wait:
        await runtime.queue.enqueue(Job.MAKE_NOTICES)
    if mails_wait and runtime.settings.smtp_url is not None:
        await runtime.queue.enqueue(Job.SEND_MAILS)
    if robots_wait:
        await runtime.queue.enqueue(Job.POST_TO_ROBOTS)


@one_turn_at_a_time
async def recover(ctx: dict[str, Any]) -> None:
    """Free what dead processes held."""
    runtime = runtime_of(ctx)
    async with runtime.pool.acquire() as conn:
        expired = await lease_store.expired_connections(conn)
    for channel_id, slot in expired:
        async with transaction(runtime.pool) as conn:
            await lease_store.recover_connection(conn, channel_id, slot, runtime.clock.now())


@one_turn_at_a_time
async def sweep(ctx: dict[str, Any]) -> None:
    """Enqueue again whatever is open."""
    runtime = runtime_of(ctx)
    async with transaction(runtime.pool) as conn:
        runs = await sweep_store.expanding_runs(conn)
        channels = await sweep_store.channels_with_work(conn, runtime.clock.now())
        inbox, _ = await channels_with_receipts(conn)
        imports = await waiting_imports(conn)
        undos = await waiting_undos(conn)
    for run_id in runs:
        await runtime.queue.enqueue(Job.EXPAND_RUN, run_id)
    for channel_id in channels:
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)
    for channel_id in inbox:
        await runtime.queue.enqueue(Job.FOLD_RECEIPTS, channel_id)
    for import_id in imports:
        await runtime.queue.enqueue(Job.READ_IMPORT, import_id)
    for import_id in undos:
        await runtime.queue.enqueue(Job.UNDO_IMPORT, import_id)


@one_turn_at_a_time
async def finish_lists(ctx: dict[str, Any]) -> None:
    """Close the lists on which nothing more comes to stand."""
    runtime = runtime_of(ctx)
    await look_at_lists(runtime.pool, runtime.clock.now())


@one_turn_at_a_time
async def watch(ctx: dict[str, Any]) -> None:
    """Judge whether the channels work, and move queued texts away from those that do not."""
    runtime = runtime_of(ctx)
    now, speed = runtime.clock.now(), runtime.clock.speed
    pace = Pace(runtime.redis)
    await judge(runtime.pool, pace, limits_of(runtime.settings), now, speed=speed)
    if not runtime.settings.failover:
        return
    for channel_id in await shift_waiting(runtime.pool, now, speed=speed):
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


@one_turn_at_a_time
async def guard(ctx: dict[str, Any]) -> None:
    """Pause runs in which something is wrong; hand off the rest of runs whose canary passed."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    for channel_id in await guard_runs(runtime.pool, limits_of_runs(runtime.settings), now):
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


@one_turn_at_a_time
async def stop(ctx: dict[str, Any]) -> None:
    """Stop messages that may not be handed off any more, slice by slice: those of cancelled runs,
    and those of runs whose validity is over, in slices that no connection holds.
    """
    runtime = runtime_of(ctx)
    after = (UUID(int=0), 0)
    while True:
        async with runtime.pool.acquire() as conn:
            now = runtime.clock.now()
            slices = await sweep_store.leftover_slices(conn, after, STOP_SLICES, now)
        for run_id, slice_no in slices:
            async with transaction(runtime.pool) as conn:
                await sweep_store.stop_slice(conn, run_id, slice_no, runtime.clock.now())
        if len(slices) < STOP_SLICES:
            return
        after = slices[-1]


@one_turn_at_a_time
async def match(ctx: dict[str, Any]) -> None:
    """Match parked receipts again, and list those that found no match in time."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    async with runtime.pool.acquire() as conn:
        changed = await id_forms.changed(conn, now)
    for channel_id in changed:
        if await id_forms.reread(runtime.pool, channel_id, now):
            await runtime.queue.enqueue(Job.FOLD_RECEIPTS, channel_id)
    async with runtime.pool.acquire() as conn:
        _, parked = await channels_with_receipts(conn)
    for channel_id in parked:
        async with transaction(runtime.pool) as conn:
            await sweep_decided(conn, channel_id, now)
        async with transaction(runtime.pool) as conn:
            await sweep_parked(conn, channel_id, now)
    async with transaction(runtime.pool) as conn:
        await sweep_store.delete_settled_uncertain(conn)
        await expire_parked(conn, now)


@one_turn_at_a_time
async def settle(ctx: dict[str, Any]) -> None:
    """Make texts `unknown` whose receipt has not come in time; settle runs without an open text."""
    runtime = runtime_of(ctx)
    async with runtime.pool.acquire() as conn:
        await settle_runs(conn, runtime.clock.now())


@one_turn_at_a_time
async def count(ctx: dict[str, Any]) -> None:
    """Count the people that each plan would reach, for the calendar."""
    runtime = runtime_of(ctx)
    await count_audiences(runtime.pool, runtime.clock.now())


@one_turn_at_a_time
async def count_lists(ctx: dict[str, Any]) -> None:
    """Count the people of lists that have changed."""
    await count_rosters(runtime_of(ctx).pool)


@one_turn_at_a_time
async def freshen(ctx: dict[str, Any]) -> None:
    """Make anew what rules ask of people whose lists changed."""
    await freshen_waiting(runtime_of(ctx).pool)


@one_turn_at_a_time
async def compare_facts(ctx: dict[str, Any]) -> None:
    """Compare, once a day, what rules ask of people with what their lists say."""
    runtime = runtime_of(ctx)
    await check_facts(runtime.pool, runtime.clock.now())


@one_turn_at_a_time
async def count_reached(ctx: dict[str, Any]) -> None:
    """Count whom the texts of runs, campaigns and quarters have reached, by area and role."""
    runtime = runtime_of(ctx)
    await count_coverage(runtime.pool, runtime.clock)


@one_turn_at_a_time
async def keep_facts(ctx: dict[str, Any]) -> None:
    """Keep what the reports of settled runs count."""
    runtime = runtime_of(ctx)
    await keep_run_facts(runtime.pool, runtime.clock)


@one_turn_at_a_time
async def follow_up(ctx: dict[str, Any]) -> None:
    """Take the next step of follow-ups of those whom runs missed."""
    runtime = runtime_of(ctx)
    for run_id in await climb(runtime.pool, runtime.clock):
        await runtime.queue.enqueue(Job.EXPAND_RUN, run_id)


@one_turn_at_a_time
async def note_sent(ctx: dict[str, Any]) -> None:
    """Note which texts were sent to the public, so that people can ask whether one is ours."""
    runtime = runtime_of(ctx)
    await sent_texts.note_sent(runtime.pool, runtime.clock.now())


@one_turn_at_a_time
async def owe(ctx: dict[str, Any]) -> None:
    """Make the duties of departments, tick those that a fact fulfils, and tell of them."""
    runtime = runtime_of(ctx)
    owed = await do_for_duties(runtime.pool, runtime.keyring, runtime.clock.now())
    for channel_id in owed.channels:
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


@one_turn_at_a_time
async def keep_groups(ctx: dict[str, Any]) -> None:
    """Find chat groups whose owner is on no list any more, and tell the liaison."""
    runtime = runtime_of(ctx)
    for channel_id in await find_ownerless(runtime.pool, runtime.keyring, runtime.clock):
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


@one_turn_at_a_time
async def pack(ctx: dict[str, Any]) -> None:
    """Add the packs of weekly reports that are due, and enqueue the building of those that wait."""
    runtime = runtime_of(ctx)
    if await make_due(runtime.pool, runtime.clock.now()):
        await runtime.queue.enqueue(Job.BUILD_PACKS)


@one_turn_at_a_time
async def relay(ctx: dict[str, Any]) -> None:
    """Read what was answered to relays, and give the text to whoever is due."""
    runtime = runtime_of(ctx)
    for channel_id in await pass_on(runtime.pool, runtime.keyring, runtime.clock):
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


@one_turn_at_a_time
async def seal(ctx: dict[str, Any]) -> None:
    """Seal what was written down in the audit trail."""
    runtime = runtime_of(ctx)
    await seal_committed(runtime.pool, runtime.keyring)


@one_turn_at_a_time
async def purge_history(ctx: dict[str, Any]) -> None:
    """Delete records of who got a text when, of numbers that a carrier called unassigned, and of
    texts that the public was sent, once no rule needs them any more.
    """
    runtime = runtime_of(ctx)
    if not await may_let_go(runtime):
        return
    async with transaction(runtime.pool, seconds=COUNT_SECONDS) as conn:
        await caps.forget(conn, runtime.clock.now())
        await dead_numbers.forget(conn, runtime.clock.now())
        await sent_texts.forget(conn, runtime.clock.now())


@one_turn_at_a_time
async def cleanup(ctx: dict[str, Any]) -> None:
    """Return campaigns that waited too long for approval. Delete old answers, contacts and guests
    that an erasure left behind, the turns of acts that no longer exist, and processes that are
    gone.
    """
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    await expire_pending(runtime.pool, now)
    async with transaction(runtime.pool) as conn:
        await delete_left_behind(conn)
        await forget_gone(conn)
        await sweep_store.delete_other_turns(conn, [act_of(job) for job in CRONS])
    if not await may_let_go(runtime):
        return
    async with transaction(runtime.pool) as conn:
        await delete_old_answers(conn, now)
    await webhooks.forget(runtime.pool, now)
    await notices.forget(runtime.pool, now)


@one_turn_at_a_time
async def apply_retention(ctx: dict[str, Any]) -> None:
    """Remove what is past its retention term, if the clock can be trusted."""
    runtime = runtime_of(ctx)
    if await may_let_go(runtime):
        terms = terms_of(runtime.settings)
        await let_go(runtime.pool, runtime.keyring, terms, runtime.clock.now())


CRONS = [
    cron(fire, second=EVERY_SECOND, keep_result=0, timeout=60),
    cron(enqueue_inbound, second=EVERY_SECOND, keep_result=0, timeout=60),
    cron(enqueue_webhooks, second=EVERY_SECOND, keep_result=0, timeout=60),
    cron(enqueue_notices, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(stop, second=EVERY_SECOND, keep_result=0, timeout=60),
    cron(heartbeat, second=EVERY_FIFTH, keep_result=0, timeout=20, run_at_startup=True),
    cron(seal, second=EVERY_SECOND, keep_result=0, timeout=60),
    cron(recover, second=EVERY_FIFTH, keep_result=0, timeout=20, run_at_startup=True),
    cron(sweep, second=EVERY_FIFTH, keep_result=0, timeout=20, run_at_startup=True),
    cron(finish_lists, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(watch, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(record_missed, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(guard, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(match, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(count_lists, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(freshen, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(compare_facts, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(count, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(count_reached, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(keep_facts, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(note_sent, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(follow_up, second=EVERY_FIFTH, keep_result=0, timeout=600),
    cron(pack, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(owe, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(relay, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(keep_groups, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(settle, second=EVERY_FIFTH, keep_result=0, timeout=60),
    cron(purge_history, minute=ONCE_AN_HOUR, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
    cron(cleanup, second=ONCE_A_MINUTE, keep_result=0, timeout=60),
    cron(apply_retention, second=ONCE_A_MINUTE, keep_result=0, timeout=600),
]
KIND = WorkerKind("scheduler", [], CRONS, connections=len(CRONS), by_key=True)
"""A connection for each act, apart from the process's pool: a ledger that is being written beside
it, or a fold, must not keep the recovery waiting."""


async def keep_turns(runtime: Runtime, stop: asyncio.Event) -> None:
    """Do the acts that arq does not, until `stop` is set."""
    doing: dict[str, asyncio.Task[None]] = {}
    began = looked = able_since = time.monotonic()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            break
        before, looked = looked, time.monotonic()
        if looked - before > LOOK_SECONDS + LATE_SECONDS:
            able_since = looked
        for act in [act for act, turn in doing.items() if turn.done()]:
            _report(act, doing.pop(act))
        # A turn that goes on now may end after PostgreSQL's answer, which knows only of the one
        # before it.
        going = doing.keys() | _going.keys()
        try:
            async with runtime.pool.acquire() as conn:
                ago = {act: ago for act, (ago, _) in (await sweep_store.last_turns(conn)).items()}
        except UNREACHABLE:
            able_since = time.monotonic()
            continue
        late = {}
        for job in CRONS:
            act = act_of(job)
            seconds, most = ago.get(act, looked - began), _interval_seconds(job) + LATE_SECONDS
            if seconds > most and act not in going and act not in _going:
                late[act] = seconds, looked - able_since > most
                doing[act] = asyncio.create_task(_take_turn(job, runtime))
        _tell_late(late)
        runtime.life.turns.note(TURN, _stands_for(ago, began))
    for task in doing.values():
        task.cancel()
    await asyncio.gather(*doing.values(), return_exceptions=True)


def _stands_for(ago: Mapping[str, float], began: float) -> float:
    """For how many seconds longer than it may the frequent act that is worst off has had no end:
    neither here, well or not, nor, by PostgreSQL, in any process (`ago`). One that goes on here may
    take as long as its limit. began: when this process did.
    """
    now, longest = time.monotonic(), 0.0
    for job in CRONS:
        act, interval = act_of(job), _interval_seconds(job)
        if interval > FREQUENT_SECONDS:
            continue
        if (since := _going.get(act)) is not None:
            stands = now - since - (job.timeout_s or 0.0)
        else:
            stands = min(ago.get(act, now - began), now - _ended.get(act, began)) - interval
        longest = max(longest, stands)
    return longest


async def _take_turn(job: CronJob, runtime: Runtime) -> None:
    """Do an act within its time limit. If this task is cancelled first, the act is not begun."""
    async with asyncio.timeout(job.timeout_s):
        await job.coroutine({"runtime": runtime})


def _tell_late(late: Mapping[str, tuple[float, bool]]) -> None:
    """Say which acts are done here: those that Redis has kept from their turn, and those that
    nobody could do. By act: how many seconds ago its last turn was, and whether there was time for
    one since.
    """
    for act in (act for act, (_, was_time) in late.items() if was_time):
        seldom(log, logging.WARNING, LATE_ACT, act=act)
    missed = {act: round(ago) for act, (ago, was_time) in late.items() if not was_time}
    if missed:
        log.warning(MADE_UP, extra={"seconds": min(missed.values()), "acts": sorted(missed)})


def _report(act: str, turn: "asyncio.Task[None]") -> None:
    error = None if turn.cancelled() else turn.exception()
    if error is not None:
        log.error("an act failed", extra={"act": act}, exc_info=error)


def act_of(job: CronJob) -> str:
    """The name of an act, as it stands in its turns, in the log and in /metrics."""
    return job.name.removeprefix("cron:")


def _interval_seconds(job: CronJob) -> float:
    """Seconds between two turns of an act."""
    if job.minute is not None:
        return 3_600.0
    return 60.0 / len(job.second) if isinstance(job.second, set) else 60.0
