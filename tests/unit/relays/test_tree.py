"""The tree of a relay: everybody is below whom the rule names, however many there are."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.relays.tree import RelayGroup, RelayPerson, freeze

COUNTY = {"village 1": "town 1", "village 2": "town 1", "village 3": "town 2"} | {
    "town 1": "county",
    "town 2": "county",
}
AREAS = st.sampled_from([*COUNTY, "county", ""])
UNITS = st.sampled_from(["school", "firm", "office"])
IDS = st.uuids()
PEOPLE = st.builds(RelayPerson, IDS, AREAS, st.frozensets(UNITS, max_size=2))
GROUPS = st.builds(RelayGroup, IDS, IDS, AREAS, st.one_of(st.just(""), UNITS))


def parents(levels: Sequence[Sequence[RelayPerson]], groups: Sequence[RelayGroup]) -> list[object]:
    """Who is above each place, by looking at everybody of the level above."""
    found: list[object] = []
    below: Counter[int] = Counter()
    above: list[tuple[int, RelayPerson]] = []

    def parent(units: frozenset[str], area: str) -> int | None:
        fitting = [no for no, person in above if units & person.units]
        while not fitting and area:
            fitting = [no for no, person in above if person.area_code == area]
            area = COUNTY.get(area, "")
        chosen = min(fitting, key=lambda no: (below[no], no), default=None)
        below[chosen or 0] += 1
        return chosen

    for people in levels:
        placed = []
        for person in people:
            found.append(parent(person.units, person.area_code))
            placed.append((len(found), person))
        above = placed or above
    return found + [parent(frozenset({one.unit} - {""}), one.area_code) for one in groups]


@given(st.lists(st.lists(PEOPLE, max_size=8), max_size=2), st.lists(GROUPS, max_size=20))
def test_everybody_is_below_whom_the_rule_names(
    levels: list[list[RelayPerson]], groups: list[RelayGroup]
) -> None:
    nodes = freeze(levels, groups, COUNTY)
    assert [one.no for one in nodes] == list(range(1, len(nodes) + 1))
    assert [one.parent_no for one in nodes] == parents(levels, groups)


def test_of_several_each_gets_as_many_as_the_others() -> None:
    people = [RelayPerson(UUID(int=n), "town 1", frozenset()) for n in range(1, 4)]
    groups = [RelayGroup(UUID(int=n), UUID(int=n), "village 1", "") for n in range(10, 17)]
    nodes = freeze([people], groups, COUNTY)
    assert [one.parent_no for one in nodes[3:]] == [1, 2, 3, 1, 2, 3, 1]
