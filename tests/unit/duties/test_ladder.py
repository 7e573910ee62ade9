"""The ladder of a duty: its steps and their moments, and what a standstill makes of them."""

from datetime import datetime, timedelta

import pytest

from service.campaigns.calendar.holidays import Holidays
from service.clock import CHINA
from service.duties.deadline import Remind
from service.duties.ladder import (
    DutyStep,
    Rung,
    StepSkip,
    next_look,
    plan_steps,
    steps_due,
)

DUE = datetime(2026, 9, 30, 16, tzinfo=CHINA)  # before the National Day
PLAN = plan_steps(DUE, list(Remind), list(Rung), Holidays())
MISSED = datetime(2026, 10, 9, 16, tzinfo=CHINA)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


def test_the_steps_of_a_duty_in_their_order() -> None:
    assert [(one.step, one.at) for one in PLAN] == [
        (DutyStep.WORKDAY_BEFORE, at("2026-09-29 16:00")),
        (DutyStep.TWO_HOURS_BEFORE, at("2026-09-30 14:00")),
        (DutyStep.LATE, at("2026-09-30 16:01")),
        (DutyStep.LEADER, at("2026-09-30 17:00")),
        (DutyStep.OFFICE, at("2026-10-08 09:00")),
    ]


def test_an_obligation_uses_the_rungs_that_it_names() -> None:
    found = plan_steps(DUE, [Remind.TWO_HOURS_BEFORE], [Rung.OFFICE, Rung.MISSED], Holidays())
    assert [one.step for one in found] == [DutyStep.TWO_HOURS_BEFORE, DutyStep.OFFICE]


@pytest.mark.parametrize(
    ("now", "taken", "due"),
    [
        ("2026-09-29 15:59", [], {}),
        ("2026-09-29 16:00", [], {"workday_before": None}),
        ("2026-09-30 14:00", ["workday_before"], {"two_hours_before": None}),
        ("2026-09-30 14:00", [], {"workday_before": None, "two_hours_before": None}),
        ("2026-09-30 16:00", ["workday_before"], {"two_hours_before": StepSkip.OVERTAKEN}),
        ("2026-09-30 16:01", ["workday_before", "two_hours_before"], {"late": None}),
        ("2026-09-30 16:01", ["workday_before", "two_hours_before", "late"], {}),
        (
            "2026-09-30 17:30",
            ["workday_before"],
            {"two_hours_before": StepSkip.OVERTAKEN, "late": None, "leader": None},
        ),
        (
            "2026-10-08 09:00",
            ["workday_before", "two_hours_before"],
            {"late": StepSkip.TOO_LATE, "leader": StepSkip.TOO_LATE, "office": None},
        ),
    ],
)
def test_what_is_due_and_what_a_standstill_has_overtaken(
    now: str, taken: list[str], due: dict[str, StepSkip | None]
) -> None:
    found = steps_due(PLAN, taken, DUE, at(now))
    assert {one.step.value: one.skipped for one in found} == due


def test_the_next_look_is_at_the_next_step_and_at_last_at_the_next_deadline() -> None:
    looks, now = [], DUE - timedelta(days=30)
    while (look := next_look(PLAN, MISSED, now)) is not None and look > now:
        looks.append(look)
        now = look
    assert looks == [*(one.at for one in PLAN), MISSED]
    assert next_look(PLAN, None, MISSED) is None
