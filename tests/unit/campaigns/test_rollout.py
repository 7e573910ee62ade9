"""The lot of a rollout: each village in one wave, the same seed the same order, and its hash."""

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import date, datetime

from hypothesis import given
from hypothesis import strategies as st

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.rollout import RolloutTerms, deal, order_hash, staggered
from service.clock import CHINA

TERMS = RolloutTerms(4, 21, "town")
CODES = st.dictionaries(
    st.text("0123456789", min_size=12, max_size=12),
    st.tuples(st.sampled_from("abc"), st.integers(1, 9_000)),
    max_size=40,
)


@given(CODES, st.integers(2, 6), st.binary(min_size=32, max_size=32))
def test_every_village_has_one_wave_and_waves_are_even(
    villages: dict[str, tuple[str, int]], waves: int, seed: bytes
) -> None:
    found = deal(villages, waves, seed)
    assert [one.area_code for one in found] == sorted(villages)
    counts = Counter(one.wave for one in found)
    sizes = [counts[wave] for wave in range(1, waves + 1)]
    assert max(sizes) - min(sizes) <= 1
    for stratum in "abc":
        own = Counter(one.wave for one in found if one.stratum == stratum)
        dealt = [own[wave] for wave in range(1, waves + 1)]
        assert max(dealt) - min(dealt) <= 1, "a town has villages in all waves"
    assert deal(villages, waves, seed) == found


def test_anybody_draws_the_same_order_from_the_seed() -> None:
    seed = bytes(range(32))
    codes = ["341825100001", "341825100002", "341825100003", "341825100004"]
    found = deal(dict.fromkeys(codes, ("", 10)), 2, seed)
    ordered = sorted(codes, key=lambda code: hashlib.sha256(seed + code.encode()).hexdigest())
    assert {one.area_code: one.wave for one in found} == {
        code: at % 2 + 1 for at, code in enumerate(ordered)
    }
    other = deal(dict.fromkeys(codes, ("", 10)), 2, bytes(32))
    assert order_hash(TERMS, found) != order_hash(TERMS, other)


def test_a_plan_fires_for_each_wave() -> None:
    start = datetime(2027, 1, 18, 9, tzinfo=CHINA)
    found = staggered(Schedule("once", start), TERMS)
    assert (found.kind, found.start_at) == ("recurring", start)
    assert found.dates == (
        date(2027, 1, 18),
        date(2027, 2, 8),
        date(2027, 3, 1),
        date(2027, 3, 22),
    )
    assert staggered(replace(found, kind="once", dates=()), TERMS) == found
