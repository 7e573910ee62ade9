"""What the history of a plan says of its steps."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from service.api.campaigns.details import MoveOut
from service.console.plans.words import why
from service.words.phrase import translated

SOMEBODY = UUID(int=1)


def said(reason: str, user: UUID | None, code: str = "") -> tuple[str, str]:
    at = datetime(2027, 1, 12, tzinfo=UTC)
    move = MoveOut(
        from_state="scheduled", to_state="held", user_id=user, reason=reason, at=at, code=code
    )
    return translated(why(move), "zh"), translated(why(move), "en")


@pytest.mark.parametrize("reason", ["submitted", "taken", "asked again", "approved"])
def test_what_the_step_says_already_is_not_said_twice(reason: str) -> None:
    assert said(reason, SOMEBODY) == ("", "")


def test_what_a_person_wrote_stays_as_it_is() -> None:
    assert said("号码错了", SOMEBODY, "returned") == ("号码错了", "号码错了")


def test_what_the_program_wrote_is_said_in_both_languages() -> None:
    over = said("everything is handed off", None)
    assert over == ("已全部交给运营商", "everything is handed off")
    drifted = said("1,300 people instead of 1,000", None, "drifted")
    assert drifted == ("人数与签发时相差过多。", "1,300 people instead of 1,000")
