from collections import Counter
from random import Random

import pytest

from service.protocols.cmpp.status import report_meaning
from service.simulator.carrier.outcomes import _FATES, PROFILES, fates, receipt_delay
from service.simulator.carrier.rate import SlidingSecond
from tests.harness.simulated import phones

PHONES = phones(20_000)


@pytest.mark.parametrize("profile", PROFILES)
def test_shares_are_those_of_the_profile(profile: str) -> None:
    shares = dict(zip((fate.name for fate in _FATES), PROFILES[profile], strict=True))
    assert sum(shares.values()) == pytest.approx(100.0)
    judge = fates(profile, 7, "china_mobile")
    found = Counter(judge(phone).fate for phone in PHONES)
    for name, share in shares.items():
        if name != "flow_control":
            assert found[name] / len(PHONES) * 100 == pytest.approx(share, abs=1.0)
    assert found["flow_control"] == 0
    throttled = sum(judge(phone).throttled for phone in PHONES)
    assert 10 < throttled < 90  # 0.2 per cent of 20,000 are 40


def test_a_fate_depends_on_seed_and_channel_and_on_nothing_else() -> None:
    def drawn(seed: int, channel: str) -> list[str]:
        judge = fates("stale", seed, channel)
        return [judge(phone).fate for phone in PHONES[:500]]

    assert drawn(1, "a") == drawn(1, "a")
    assert drawn(1, "a") != drawn(2, "a")
    assert drawn(1, "a") != drawn(1, "b")


def test_a_fate_and_its_status_mean_the_same() -> None:
    for fate in _FATES:
        for stat in fate.stats:
            expected = "" if fate.name == "delivered" else fate.name
            assert report_meaning(stat).reason == expected, stat


def test_delays_follow_their_law() -> None:
    random = Random(7)
    delays = sorted(receipt_delay(random) for _ in range(20_000))
    assert delays[int(len(delays) * 0.85 / 2)] == pytest.approx(4.0, rel=0.1)
    beyond = [sum(delay > limit for delay in delays) / len(delays) for limit in (600.0, 259_200.0)]
    assert beyond[0] == pytest.approx(0.03, abs=0.005)
    assert beyond[1] == 0
    assert delays[0] > 0


@pytest.mark.parametrize(("tps", "allowed"), [(1, 3), (10, 12), (100, 102), (500, 510)])
def test_any_second_holds_the_rate_and_its_tolerance(tps: int, allowed: int) -> None:
    rate = SlidingSecond(tps)
    assert [rate.take(100.0, 1) for _ in range(allowed + 1)] == [True] * allowed + [False]
    assert not rate.take(100.99, 1)
    assert rate.take(101.0, 1)


def test_what_is_refused_does_not_count() -> None:
    rate = SlidingSecond(10)
    assert not rate.take(5.0, 13)
    assert rate.take(5.0, 12)
    assert not rate.take(5.5, 1)
