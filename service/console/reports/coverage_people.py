"""The people behind a run's coverage, masked: shown once somebody has said what for."""

from service.api.reports import coverage_people
from service.api.reports.coverage_people import MOST_PEOPLE, CoveragePeopleQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import watermark
from service.console.render import Shown
from service.console.words import reason_word, role_word
from service.reports.coverage.outcome_words import OUTCOMES
from service.words.phrase import phrase

PURPOSES = {
    "follow_up": phrase("to send again"),
    "visit": phrase("to go to the door"),
    "complaint": phrase("after a complaint"),
    "list_check": phrase("to mend a list"),
    "audit": phrase("to check somebody's work"),
}


async def show_people(desk: Desk) -> Shown:
    """People of a run with what they came to; that they were looked at, and what for, is noted."""
    run_id = desk.uuid("run_id")
    given = {"run": run_id, "limit": MOST_PEOPLE}
    query = body_of(CoveragePeopleQuery, desk.form, given=given)
    found = await desk.act(coverage_people.list_covered_people, query=query)
    say = desk.language.say
    asked = {"outcome": query.outcome.value if query.outcome else "", "purpose": query.purpose}
    return Shown("reports/coverage_people.html", {
        "people": found.items,
        "back": f"/runs/{run_id}/coverage",
        "asked": asked,
        "next": {**asked, "cursor": found.next_cursor} if found.next_cursor else None,
        "purpose": say(PURPOSES[query.purpose]),
        "outcomes": {one: say(word) for one, word in OUTCOMES.items()},
        "why": lambda code: reason_word(code, desk.language),
        "role": lambda code: role_word(code, desk.language),
        "watermark": watermark(desk),
    })  # fmt: skip
