"""The progress of a round as it stands, read from what was written down."""

from datetime import datetime

from service.audience.areas.area_store import read_area_tree
from service.clock import day_in_china
from service.followups.rounds import household_store
from service.followups.rounds.progress import ProgressLevel, RoundProgress, progress_of
from service.followups.rounds.rounds import RoundSight
from service.reports.coverage import denominator_store
from service.reports.coverage.denominators import HOUSEHOLDS, Denominators
from service.storage.postgres import Connection


async def round_progress(
    conn: Connection, sight: RoundSight, level: ProgressLevel, now: datetime
) -> RoundProgress:
    """How far a round is, in the villages that somebody sees. The households there are, are those
    of today; of a round that is over, of the day on which it ended.
    """
    found = sight.round
    day = day_in_china(now if found.ended_at is None else min(now, found.ended_at))
    tree = await read_area_tree(conn)
    entries = await denominator_store.entries_until(
        conn, HOUSEHOLDS, day, tree.subtree(found.area_code)
    )
    counts = await household_store.count_households(
        conn, found.id, sight.codes if sight.bounded else None
    )
    denominators = Denominators(tree, entries, HOUSEHOLDS, day)
    return progress_of(found.area_code, tree, denominators, sight.villages, counts, level)
