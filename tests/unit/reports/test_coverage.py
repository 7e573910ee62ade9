"""Coverage in figures: the sums that always hold, and what is shown of areas above and below."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.areas.area import Area, AreaTree
from service.reports.coverage.coverage import (
    LEVELS,
    NOWHERE,
    AreaCoverage,
    AreaLevel,
    Coverage,
    CoverageFact,
    View,
    cover,
)
from service.reports.coverage.coverage import percent as percent
from service.reports.coverage.denominators import (
    KINDS,
    PACKAGED,
    PHONES,
    RESIDENTS,
    Denominator,
    Denominators,
    Entry,
)
from service.reports.coverage.outcomes import PersonOutcome

DAY = date(2027, 3, 31)
TREE = AreaTree(
    (
        Area("340000000000", "安徽省", "province", "", 61_000_000),
        Area("341825000000", "旌德县", "county", "340000000000"),
        Area("341825100000", "旌阳镇", "town", "341825000000", 36_960),
        Area("341825100001", "南门居委会", "community", "341825100000", 2_000),
        Area("341825100002", "凫山村", "village", "341825100000"),
        Area("341825100002001", "一组", "group", "341825100002"),
        Area("341825101000", "蔡家桥镇", "town", "341825000000"),
        Area("341826000000", "绩溪县", "county", "340000000000", 150_000),
    )
)
AREAS = TREE.areas
COUNTY, TOWN, OTHER_TOWN = "341825000000", "341825100000", "341825101000"
SOUTH, FUSHAN, GROUP = "341825100001", "341825100002", "341825100002001"


def entry(area: str, people: int, as_of: date = date(2027, 1, 1), kind: str = PHONES) -> Entry:
    return Entry(area, kind, people, "县统计局", as_of)


def phones(*entries: Entry, day: date = DAY) -> Denominators:
    ordered = sorted(entries, key=lambda e: e.as_of, reverse=True)
    return Denominators(TREE, ordered, PHONES, day)


def fact(
    area: str, outcome: PersonOutcome, people: int = 1, reason: str = "", role: str = ""
) -> CoverageFact:
    return CoverageFact(area, role, outcome, reason, people)


def covered(
    facts: list[CoverageFact], denominators: Denominators, view: View, **of_role: Denominators
) -> Coverage:
    """As the figures are read: those within the view, and of each role altogether."""
    inside = [
        one
        for one in facts
        if view.within is None or view.within in {area.code for area in TREE.above(one.area_code)}
    ]
    of_view = [one for one in inside if one.role == view.role]
    of_roles = [one._replace(area_code="") for one in inside if one.role]
    return cover(of_view, of_roles, TREE, denominators, of_role, view)


def test_a_village_of_ten_phones() -> None:
    """Nine on file: five delivered, one suspended, one empty number, one silent, one opted out."""
    facts = [
        fact(SOUTH, PersonOutcome.REACHED, 5),
        fact(SOUTH, PersonOutcome.FAILED, 1, "suspended"),
        fact(SOUTH, PersonOutcome.FAILED, 1, "empty_number"),
        fact(SOUTH, PersonOutcome.UNKNOWN, 1, "no_receipt"),
        fact(SOUTH, PersonOutcome.EXCLUDED, 1, "opted_out"),
    ]
    found = covered(facts, phones(entry(SOUTH, 10)), View(TOWN, "village"))
    row = next(row for row in found.areas if row.area == SOUTH)
    assert (row.on_file, row.target, row.no_phone, row.surplus) == (9, 8, 1, 0)
    assert (row.coverage_pct, row.of_target_pct) == (Decimal("50.0"), Decimal("62.5"))
    assert row.reasons == {"suspended": 1, "empty_number": 1, "no_receipt": 1, "opted_out": 1}
    again = [fact(SOUTH, PersonOutcome.REACHED, 6), *facts[2:]]  # the suspended one arrived
    row = covered(again, phones(entry(SOUTH, 10)), View(TOWN, "village")).areas[0]
    assert (row.coverage_pct, row.of_target_pct) == (Decimal("60.0"), Decimal("75.0"))


def test_more_reached_than_there_should_be_is_shown_as_it_is() -> None:
    row = AreaCoverage(SOUTH, "", Denominator(4))
    row.add(fact(SOUTH, PersonOutcome.REACHED, 5))
    assert (row.coverage_pct, row.surplus, row.no_phone) == (Decimal("125.0"), 1, 0)
    assert row.flags == ["denominator_suspect"]


def test_without_a_number_a_share_is_unknown() -> None:
    row = AreaCoverage(SOUTH, "", Denominator(None))
    row.add(fact(SOUTH, PersonOutcome.REACHED, 5))
    assert (row.coverage_pct, row.no_phone, row.surplus) == (None, None, None)
    assert percent(0, 0) is None
    assert percent(1, 16) == Decimal("6.3")  # 6.25, half away from zero


def test_whoever_is_known_by_the_town_alone_stands_beside_the_villages() -> None:
    facts = [
        fact(GROUP, PersonOutcome.REACHED),
        fact(FUSHAN, PersonOutcome.OPEN),
        fact(TOWN, PersonOutcome.REACHED),
        fact(OTHER_TOWN, PersonOutcome.FAILED, 1, "suspended"),
        fact("", PersonOutcome.REACHED),
    ]
    found = covered(facts, phones(entry(FUSHAN, 7)), View(TOWN, "village"))
    assert {row.area: (row.on_file, row.finer) for row in found.areas} == {
        TOWN: (1, False),
        SOUTH: (0, True),  # nobody on file, and a row all the same
        FUSHAN: (2, True),
    }
    assert found.total.on_file == 3
    whole = covered(facts, phones(), View(None, "town"))
    assert {row.area: row.on_file for row in whole.areas} == {TOWN: 3, OTHER_TOWN: 1, NOWHERE: 1}
    assert whole.areas[-1].area == NOWHERE


def test_a_county_of_which_no_town_is_known_is_no_row() -> None:
    found = covered([], phones(), View(None, "county"))
    assert [row.area for row in found.areas] == [COUNTY]


def test_roles_are_counted_beside_and_not_added_up() -> None:
    facts = [
        fact(SOUTH, PersonOutcome.REACHED, 2),
        fact(SOUTH, PersonOutcome.REACHED, 2, role="finance"),
        fact(SOUTH, PersonOutcome.REACHED, 1, role="owner"),
    ]
    finance = Denominators(TREE, [entry(COUNTY, 8, kind="finance")], "finance", DAY)
    found = covered(facts, phones(), View(None, "town"), finance=finance)
    assert found.total.on_file == 2
    assert found.by_role["finance"].coverage_pct == Decimal("25.0")
    assert found.by_role["owner"].coverage_pct is None
    one = covered(facts, finance, View(None, "county", "finance"))
    assert (one.total.on_file, one.areas[0].denominator.people) == (2, 8)


def test_an_area_without_a_number_has_the_sum_of_those_below() -> None:
    found = phones(entry(SOUTH, 10), entry(OTHER_TOWN, 40))
    assert found.of(COUNTY)[:4] == (50, None, None, 0)
    assert found.of(TOWN)[:4] == (10, None, None, 1)  # Fushan has none
    assert found.of(FUSHAN).people is None
    assert phones(entry(SOUTH, 10), entry(TOWN, 99)).of(COUNTY).people == 99


def test_the_residents_that_the_program_knows_are_an_estimate() -> None:
    found = Denominators(TREE, [], RESIDENTS, DAY)
    assert found.of(TOWN)[:2] == (36_960, PACKAGED)
    own = Denominators(TREE, [entry(TOWN, 35_000, kind=RESIDENTS)], RESIDENTS, DAY)
    assert own.of(TOWN)[:2] == (35_000, "县统计局")


@pytest.mark.parametrize(
    ("entries", "old", "jump"),
    [
        ([entry(SOUTH, 100)], False, False),
        ([entry(SOUTH, 100, date(2026, 2, 24))], False, False),  # 400 days
        ([entry(SOUTH, 100, date(2026, 2, 23))], True, False),
        ([entry(SOUTH, 109), entry(SOUTH, 100, date(2026, 6, 1))], False, False),
        ([entry(SOUTH, 110), entry(SOUTH, 100, date(2026, 6, 1))], False, True),
        ([entry(SOUTH, 90), entry(SOUTH, 100, date(2026, 6, 1))], False, True),
        ([entry(SOUTH, 1), entry(SOUTH, 0, date(2026, 6, 1))], False, True),
        ([entry(SOUTH, 0), entry(SOUTH, 0, date(2026, 6, 1))], False, False),
    ],
)
def test_a_number_that_is_old_or_jumps_is_flagged(
    entries: list[Entry], old: bool, jump: bool
) -> None:
    found = phones(*entries).of(SOUTH)
    assert (found.old, found.jump) == (old, jump)


CODES = st.sampled_from(["", *AREAS, "999999999999"])
FACTS = st.lists(
    st.builds(
        CoverageFact,
        CODES,
        st.sampled_from(["", "finance", "elderly"]),
        st.sampled_from(PersonOutcome),
        st.sampled_from(["", "opted_out", "no_receipt"]),
        st.integers(1, 50),
    ),
    max_size=40,
)
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(list(AREAS)),
        st.just(PHONES),
        st.integers(0, 60),
        st.just("x"),
        st.dates(date(2025, 1, 1), DAY),
    ),
    max_size=12,
    unique_by=lambda e: (e.area_code, e.as_of),
)


@given(
    FACTS,
    ENTRIES,
    st.sampled_from([None, COUNTY, TOWN, FUSHAN]),
    st.sampled_from(LEVELS),
    st.sampled_from(["", "finance"]),
)
def test_the_sums_hold_whatever_was_counted(
    facts: list[CoverageFact], entries: list[Entry], within: str | None, level: AreaLevel, role: str
) -> None:
    found = covered(facts, phones(*entries), View(within, level, role))
    for row in (*found.areas, found.total, *found.by_role.values()):
        assert row.on_file == sum(row.outcomes[outcome] for outcome in PersonOutcome)
        assert row.target == row.on_file - row.outcomes[PersonOutcome.EXCLUDED]
        if (people := row.denominator.people) is not None:
            assert row.surplus is not None
            assert row.no_phone is not None
            assert people + row.surplus == row.on_file + row.no_phone
            assert 0 in {row.surplus, row.no_phone}
    for outcome in PersonOutcome:
        assert sum(row.outcomes[outcome] for row in found.areas) == found.total.outcomes[outcome]
    if within is None:
        assert found.total.on_file == sum(f.people for f in facts if f.role == role)


def test_each_role_is_a_kind_of_denominator() -> None:
    assert {"residents", "phones", "households", "finance", "elderly"} <= set(KINDS)
