"""Of which quarter the coverage in a weekly report is: that of the score sheet, for each week."""

from datetime import date

import pytest

from service.cases.week import IsoWeek, quarter_of, weeks_between
from service.reports.weekly.figures import quarter_begin


@pytest.mark.parametrize(
    ("period", "first", "quarter"),
    [
        ("2026-W53", "2026-12-28", "2026-10-01"),
        ("2026-W01", "2025-12-29", "2026-01-01"),
        ("2026-W14", "2026-03-30", "2026-04-01"),
        ("2027-W13", "2027-03-29", "2027-01-01"),
        ("2027-03", "2027-03-01", "2027-01-01"),
        ("2027-04-01", "2027-04-01", "2027-04-01"),
        ("once", "2027-12-31", "2027-10-01"),
    ],
)
def test_a_week_has_the_quarter_of_its_name_and_others_that_of_their_first_day(
    period: str, first: str, quarter: str
) -> None:
    assert quarter_begin(period, date.fromisoformat(first)).isoformat() == quarter


def test_each_week_has_the_quarter_of_the_score_sheet() -> None:
    for week in weeks_between(IsoWeek(2010, 1), IsoWeek(2050, 1)):
        assert quarter_begin(str(week), week.monday) == quarter_of(week).first_day
