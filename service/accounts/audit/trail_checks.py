"""Verifying the whole trail for whoever asks on a page: begun there, done by a worker, and kept.

It is `verify`, as `tocsin audit verify` runs it. A check is an act that lasts (`long_acts`); what
it found is its result. Whoever can write to the database can write a result, too: who must not take
its word runs the command elsewhere (docs/audit.md).
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from service.accounts.audit.audit import BrokenTrail, Head, read_head
from service.accounts.audit.sealing import TrailCheck, verify
from service.accounts.departments.department import COUNTY
from service.accounts.long_acts import store
from service.accounts.long_acts.keeping import kept
from service.accounts.long_acts.long_act import KEPT, LongAct, LongActState, LongProgress
from service.accounts.people.model import Right, Role, User
from service.clock import Clock
from service.crypto import Keyring
from service.errors import Forbidden
from service.storage.locks import lock_edit
from service.storage.postgres import LONG_SECONDS, Connection, connected
from service.words.phrase import phrase

CHECK = "check_trail"
"""What it is called among the acts that last, and in the trail itself."""
MOST_NAMED = 20
"""So many foreign entries are kept by name; the rest is counted."""
FORGOTTEN_AT_ONCE = 1_000


def need_checker(user: User) -> None:
    """Refuse whoever may not have the trail verified.

    Raises:
        Forbidden: see `may_check`.
    """
    if not may_check(user):
        raise Forbidden(
            phrase("only who reads the whole audit trail, or inspects, may have it verified")
        )


def may_check(user: User) -> bool:
    """Whether a user may have the trail verified: it is of all departments, so it takes somebody
    of the county. It tells counts and places, and nobody's acts, so inspectors may, too.
    """
    reads = user.may(Right.AUDIT) or Role.INSPECTOR in user.roles
    return user.department_kind == COUNTY and reads


async def begin_check(conn: Connection, user: User, known: Head | None, now: datetime) -> LongAct:
    """Ask for a check; the one that is under way, if there is one. known: a seal that somebody
    wrote down.
    """
    await lock_edit(conn, "/audit/checks")
    given = str(known) if known else None
    for act in await store.list_acts(conn, action=CHECK, limit=1):
        open_ones = {LongActState.WAITING, LongActState.RUNNING}
        if act.state in open_ones and act.object_id == given:
            return act
    await store.forget_acts(conn, now - KEPT, FORGOTTEN_AT_ONCE)
    return await store.insert_act(conn, CHECK, given, user.id, now)


async def run_check(url: str, keyring: Keyring, clock: Clock, act_id: UUID) -> bool:
    """Carry a check out, unless somebody does or has; whether this call did it.

    url: of the database; it takes two connections.
    """
    async with connected(url, seconds=LONG_SECONDS) as walking, connected(url) as beside:
        act = await store.take_up(beside, act_id)
        if act is None:
            return False
        known = read_head(act.object_id) if act.object_id else None
        progress = LongProgress()
        try:
            async with kept(beside, act_id, progress):
                found = await verify(walking, keyring, clock.now(), known, progress)
        except Exception:
            await store.end_act(beside, act_id, clock.now(), failed=True)
            raise
        await store.end_act(
            beside,
            act_id,
            clock.now(),
            done=progress.done,
            total=progress.total,
            result=told(found),
        )
    return True


def told(found: TrailCheck) -> Mapping[str, object]:
    """What a check found, as it is kept."""
    return {
        "head": str(found.head) if found.head.no else None,
        "entries": found.entries,
        "gone": found.gone,
        "waiting": found.waiting,
        "foreigners": found.foreigners,
        "foreign": [_fault(one) for one in found.foreign[:MOST_NAMED]],
        "broken": _fault(found.broken) if found.broken else None,
    }


def _fault(one: BrokenTrail) -> Mapping[str, object]:
    return {
        "no": one.no,
        "entry_id": str(one.entry_id) if one.entry_id else None,
        "plain": {language: one.why.in_language(language) for language in ("zh", "en")},
    }
