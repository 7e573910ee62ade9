"""The progress of a round: sums, and shares of what is known alone."""

from datetime import date
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from service.audience.areas.area import Area, AreaTree
from service.followups.ladder import PersonState
from service.followups.rounds.household import HOUSEHOLD_STATES
from service.followups.rounds.household_store import HouseholdCount
from service.followups.rounds.progress import ProgressLevel, RoundProgress, progress_of
from service.followups.rounds.round_store import RoundVillage
from service.reports.coverage.denominators import HOUSEHOLDS, Denominators, Entry

COUNTY, TOWN, OTHER = "341825000000", "341825100000", "341825101000"
VILLAGES = ["341825100001", "341825100002", "341825101001"]
TREE = AreaTree(
    [
        Area(COUNTY, "旌德县", "county", ""),
        Area(TOWN, "旌阳镇", "town", COUNTY),
        Area(OTHER, "蔡家桥镇", "town", COUNTY),
        Area(VILLAGES[0], "南门居委会", "community", TOWN),
        Area(VILLAGES[1], "北门居委会", "community", TOWN),
        Area(VILLAGES[2], "蔡家桥村", "village", OTHER),
    ]
)
DAY = date(2027, 1, 12)


def found(
    households: dict[str, int],
    told: dict[str, int],
    level: ProgressLevel = "village",
    villages: list[str] = VILLAGES,
    area: str = COUNTY,
) -> RoundProgress:
    entries = [Entry(code, HOUSEHOLDS, n, "s", DAY) for code, n in households.items()]
    denominators = Denominators(TREE, entries, HOUSEHOLDS, DAY)
    counts = [HouseholdCount(code, PersonState.TOLD, n, 2 * n, 0) for code, n in told.items()]
    listed = [RoundVillage(village, None, None) for village in villages]
    return progress_of(area, TREE, denominators, listed, counts, level)


def pcts(progress: RoundProgress) -> list[str | None]:
    rows = [*progress.areas, progress.total]
    return [None if row.pct is None else str(row.pct) for row in rows]


def test_the_share_is_of_the_households_there_are_and_never_capped() -> None:
    progress = found(dict(zip(VILLAGES, (100, 3, 50), strict=True)), dict.fromkeys(VILLAGES, 4))
    assert pcts(progress) == ["4.0", "133.3", "8.0", "7.8"]
    assert [row.flags for row in progress.areas] == [[], ["denominator_suspect"], []]
    assert (progress.total.told, progress.total.spoken_to) == (12, 24)


def test_what_nobody_has_said_is_not_known() -> None:
    progress = found({}, {VILLAGES[0]: 4})
    assert pcts(progress) == [None] * 4
    assert progress.total.told == 4


def test_told_where_the_number_is_unknown_is_on_neither_side() -> None:
    progress = found({VILLAGES[0]: 10}, {VILLAGES[0]: 5, VILLAGES[1]: 5, VILLAGES[2]: 5}, "town")
    assert pcts(progress) == ["50.0", None, "50.0"]
    assert progress.total.flags == ["children_missing"]
    assert progress.total.told == 15


def test_a_towns_own_number_counts_for_all_of_its_villages() -> None:
    progress = found({TOWN: 40}, {VILLAGES[0]: 5, VILLAGES[1]: 5, VILLAGES[2]: 5}, "town")
    assert pcts(progress) == ["25.0", None, "25.0"]


def test_whoever_sees_some_villages_has_their_households_alone() -> None:
    households = {TOWN: 1_000, VILLAGES[0]: 10, VILLAGES[1]: 20}
    progress = found(households, {VILLAGES[0]: 5}, "town", VILLAGES[:1])
    assert pcts(progress) == ["50.0", "50.0"]


@given(
    st.dictionaries(st.sampled_from([COUNTY, TOWN, OTHER, *VILLAGES]), st.integers(0, 50)),
    st.lists(
        st.tuples(
            st.sampled_from(VILLAGES),
            st.sampled_from(HOUSEHOLD_STATES),
            st.integers(1, 30),
            st.integers(0, 60),
        ),
        max_size=12,
    ),
)
def test_each_level_adds_up_to_the_same(
    households: dict[str, int], written: list[tuple[str, PersonState, int, int]]
) -> None:
    entries = [Entry(code, HOUSEHOLDS, n, "s", DAY) for code, n in households.items()]
    denominators = Denominators(TREE, entries, HOUSEHOLDS, DAY)
    counts = [HouseholdCount(*one, 0) for one in written]
    listed = [RoundVillage(village, None, None) for village in VILLAGES]
    for level in get_args(ProgressLevel):
        progress = progress_of(COUNTY, TREE, denominators, listed, counts, level)
        assert progress.total.visited == sum(one[2] for one in written)
        assert progress.total.spoken_to == sum(one[3] for one in written)
        for name in ("told", "not_home", "refused", "moved", "excused", "spoken_to", "villages"):
            rows = sum(getattr(row, name) for row in progress.areas)
            assert rows == getattr(progress.total, name)
        assert all(row.visited >= (row.told_of_known or 0) for row in progress.areas)
