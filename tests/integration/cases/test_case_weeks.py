"""A covered week has one import in force, and undo gives back exactly what was (E1)."""

from datetime import datetime
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.audience.areas.area_store import load_areas
from service.cases import imports, store
from service.cases.figures import CaseFigure
from service.cases.week import IsoWeek
from service.errors import Conflict
from service.storage.postgres import Connection
from tests.factories import make_team

WEEKS = [IsoWeek(2027, number) for number in range(1, 5)]
VILLAGE = "341825102201"

import_acts = st.tuples(
    st.just("import"),
    st.lists(st.sampled_from(WEEKS), min_size=1, max_size=4, unique=True).map(sorted),
    st.integers(0, 3),
)
undo_acts = st.tuples(st.just("undo"), st.integers(0, 9), st.just(0))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.one_of(import_acts, import_acts, undo_acts), max_size=12))
async def test_any_order_of_imports_and_undos_equals_a_dict_that_replays_it(
    conn: Connection, now: datetime, acts: list[tuple[str, list[IsoWeek] | int, int]]
) -> None:
    attempt = conn.transaction()
    await attempt.start()
    try:
        await load_areas(conn)
        user = (await make_team(conn, now=now, kind="police")).operator.id
        # Of each week, what stands on what: the last one is in force.
        stacks: dict[IsoWeek, list[int]] = {week: [] for week in WEEKS}
        made: list[tuple[UUID, list[IsoWeek], int]] = []
        for kind, what, cases in acts:
            if kind == "import":
                assert isinstance(what, list)
                found = await store.insert_import(conn, what, "0", {}, user, now)
                figures = [CaseFigure(week, VILLAGE, "T01", cases, cases * 10) for week in what]
                await store.insert_figures(conn, found, figures)
                taken = await store.take_over(conn, found, what, now)
                assert taken == sum(bool(stacks[week]) for week in what)
                for week in what:
                    stacks[week].append(len(made))
                made.append((found, what, cases))
            elif made:
                assert isinstance(what, int)
                number = what % len(made)
                import_id, weeks, _ = made[number]
                on_top = all(stacks[week][-1:] == [number] for week in weeks)
                try:
                    await imports.undo(conn, import_id, user, now)
                except Conflict:
                    assert not on_top
                    continue
                assert on_top
                for week in weeks:
                    stacks[week].pop()
            await _same(conn, stacks, made)
    finally:
        await attempt.rollback()


async def _same(
    conn: Connection,
    stacks: dict[IsoWeek, list[int]],
    made: list[tuple[UUID, list[IsoWeek], int]],
) -> None:
    book = await store.read_book(conn, WEEKS)
    assert book.covered == {week for week, stack in stacks.items() if stack}
    for week, stack in stacks.items():
        total = book.total([week])
        assert (total.cases if total else None) == (made[stack[-1]][2] if stack else None)
