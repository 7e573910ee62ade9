"""When a run stops by itself: each share at its limit and just above it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.campaigns.core.safety import (
    Canary,
    Safety,
    SafetyFigures,
    SafetyLimits,
    alarm,
    is_over,
)

LIMITS = SafetyLimits(0.5, 0.01, 0.02, timedelta(minutes=60), least=500)
CALM = SafetyFigures(
    judged=1_000, failed=0, filtered=0, heard=1_000, silent=0, handed=1_000, opted_out=0
)
NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (CALM, None),
        (replace(CALM, failed=500), None),
        (replace(CALM, failed=501), "501 of 1000 texts failed"),
        (replace(CALM, judged=499, failed=499, heard=499), None),
        (replace(CALM, filtered=10, failed=10), None),
        (replace(CALM, filtered=11, failed=11), "11 of 1000 texts were refused for their content"),
        (replace(CALM, opted_out=20), None),
        (replace(CALM, opted_out=21), "21 of 1000 people opted out"),
        (replace(CALM, handed=499, opted_out=499), None),
        (replace(CALM, judged=0, heard=0, silent=499), None),
        (replace(CALM, judged=0, heard=0, silent=500), "no receipt at all for 500 texts"),
        (replace(CALM, judged=500, failed=0, heard=1, silent=500), None),
    ],
)
def test_a_run_stops_above_its_limits_and_not_at_them(
    figures: SafetyFigures, why: str | None
) -> None:
    found = alarm(figures, LIMITS)
    assert (found is None) if why is None else (found is not None and found.startswith(why))


def test_a_campaigns_own_limits_go_before_the_general_ones() -> None:
    own = Safety(failed_share=0.1, silence_minutes=5)
    assert LIMITS.of(own) == replace(LIMITS, failed_share=0.1, silence=timedelta(minutes=5))
    assert LIMITS.of(Safety()) == LIMITS


@pytest.mark.parametrize(
    ("safety", "target", "first"),
    [
        (Safety(), 100, None),
        (Safety(canary_first=30), 100, 30),
        (Safety(canary_first=300), 100, 100),
        (Safety(canary_share=0.01), 250, 3),
    ],
)
def test_who_goes_first(safety: Safety, target: int, first: int | None) -> None:
    assert safety.canary(target) == first
    assert Safety.from_json(safety.as_json()) == safety


@pytest.mark.parametrize(
    ("canary", "over"),
    [
        (Canary(unsent=1, unheard=0, last_at=NOW - timedelta(days=1)), False),
        (Canary(unsent=0, unheard=0, last_at=NOW), True),
        (Canary(unsent=0, unheard=1, last_at=NOW - timedelta(minutes=9)), False),
        (Canary(unsent=0, unheard=1, last_at=NOW - timedelta(minutes=10)), True),
        (Canary(unsent=0, unheard=0, last_at=None), True),
    ],
)
def test_when_a_canary_is_over(canary: Canary, over: bool) -> None:
    assert is_over(canary, Safety(canary_first=1), NOW) is over
