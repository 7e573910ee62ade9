"""Corrections: another text to exactly those who got a run, or may have got it, each once.

A correction is a campaign of its own: it is linted, submitted and approved by two persons as any
other. Who it goes to is read from the ledger when it fires. No cap stops it, for whoever was told
something wrong is to hear of it; suppressions do. See docs/decisions/0057-runs-that-follow.md.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from service.accounts.keys.key import Mode
from service.accounts.people.model import User
from service.campaigns.audience.follow_up_store import still_sends
from service.campaigns.core import run_store
from service.campaigns.core.model import Campaign, Plan, Run
from service.campaigns.plans import planning
from service.errors import Conflict, NotFound
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def correct(
    conn: Connection, actor: User, run_id: UUID, plan: Plan, now: datetime, mode: Mode
) -> Campaign:
    """Make the draft of a correction of a run, by a plan that says so, for the run's department.

    Raises:
        NotFound: there is no such run in the actor's scope.
        Conflict: it is a test or a reply, or its text is still going out.
        Invalid: the plan names something that is not there, or does not suit a correction.
    """
    run = await run_store.get_run(conn, run_id, actor.scope)
    if run is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    await check_correct(conn, run)
    plan = replace(plan, drill=run.mode == "drill")
    return await planning.create(conn, actor, plan, now, mode, department_id=run.department_id)


async def check_correct(conn: Connection, run: Run) -> None:
    """Refuse a run that is not corrected; raises Conflict as `correct`."""
    if run.mode == "test" or run.kind == "reply":
        raise Conflict(phrase("tests and replies are not corrected"), code="wrong_kind_of_run")
    if await still_sends(conn, run.id):
        raise Conflict(
            phrase(
                "the run still sends what is to be corrected: cancel its campaign, or wait"
                " until it is sent"
            ),
            code="run_still_sends",
        )
