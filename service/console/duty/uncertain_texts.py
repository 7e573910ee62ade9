"""Uncertain texts: decided one by one or many at once, or settled by the carrier's statement."""

from typing import Final, NamedTuple
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.sending import uncertain
from service.api.sending.uncertain import (
    DecisionBody,
    DoubtQuery,
    StatementForm,
    UncertainPolicyBody,
)
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import watermark
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import Phrase, phrase

UNCERTAIN = "/duty/doubt"
MOST_SHOWN = 200


class Choice(NamedTuple):
    """What a person may say of uncertain texts, what follows, and what it takes."""

    decision: str
    word: Phrase
    follows: Phrase
    takes: Phrase | None = None


SETTLING: Final = (
    Choice(
        "delivered",
        phrase("They arrived"),
        phrase(
            "They are not sent again, and count as delivered. A receipt that says otherwise is kept"
            " beside it as a contradiction."
        ),
    ),
    Choice(
        "unknown",
        phrase("Nobody can find out"),
        phrase(
            "They are not sent again, and count as without a receipt; a receipt that still comes"
            " corrects it."
        ),
    ),
)
_TAKES_RULE = phrase("The rule of their class must allow it, and they must still be valid.")
AGAIN: Final = (
    Choice(
        "not_sent",
        phrase("They certainly never left"),
        phrase(
            "They are sent again now; if their campaign was ended, they count as cancelled. Those"
            " of which the carrier took a part stay uncertain."
        ),
        _TAKES_RULE,
    ),
    Choice(
        "resend",
        phrase("They may have arrived, and are sent again"),
        phrase("They are sent again now. Some people may get the text twice."),
        _TAKES_RULE,
    ),
)
"""What takes the rule of a class that lets its uncertain texts be sent again."""
SKIPPED: Final = {
    "not_in_doubt": phrase("it was settled meanwhile"),
    "validity_over": phrase("it is not valid any more"),
    "campaign_cancelled": phrase("its campaign was ended"),
    "corrected": phrase("its text was corrected"),
    "part_taken": phrase("the carrier has taken a part of it, so it did leave"),
    "part_arrived": phrase("a part of it arrived"),
    "receipt_waits": phrase("a receipt for it is being read"),
}
LINES: Final = {
    "settled": phrase("settled"),
    "already": phrase("settled before"),
    "ambiguous": phrase("fits several texts: a person decides"),
    "unknown": phrase("says nothing of an uncertain text"),
    "unreadable": phrase("cannot be read"),
}


async def show_uncertain(desk: Desk) -> Shown:
    """The uncertain texts that the reader sees, and what may be said of them."""
    asked = body_of(DoubtQuery, desk.request.query, given={"limit": MOST_SHOWN})
    found = await desk.get(uncertain.list_doubts, query=asked)
    policies = (await desk.get(uncertain.list_policies)).items
    allowed = {policy.message_class for policy in policies if policy.allowed}
    ripe = [text for text in found.items if text.may_decide_at <= desk.now]
    return Shown(
        "duty/uncertain.html",
        {
            "ripe": ripe,
            "early": [text for text in found.items if text.may_decide_at > desk.now],
            "more": f"{UNCERTAIN}?{urlencode({**desk.request.query, 'cursor': found.next_cursor})}"
            if found.next_cursor
            else "",
            "channels": sorted({(d.channel_id, d.channel) for d in found.items}),
            "choices": SETTLING + (AGAIN if allowed & {d.message_class for d in ripe} else ()),
            "all_choices": SETTLING + AGAIN,
            "policies": policies,
            "words": words,
            "may_decide": desk.may(Right.CONTROL),
            "may_allow": desk.may(Right.CHANNELS),
            "narrowed": bool(asked.run or asked.channel is not None),
            "watermark": watermark(desk),
        },
    )


def _decision(desk: Desk) -> DecisionBody:
    """What the form says.

    Raises:
        Invalid: nothing is ticked, or it is wrong otherwise.
    """
    if not desk.form.getall("ids", []):
        raise Invalid.at("ids", phrase("tick at least one text"))
    return body_of(DecisionBody, desk.form)


async def ask(desk: Desk) -> Shown:
    """Ask once more before a decision, with how many texts it is about."""
    try:
        body = _decision(desk)
    except Invalid as refusal:
        desk.refusal = refusal
        shown = await show_uncertain(desk)
        return Shown(shown.template, shown.told, 422)
    (choice,) = (c for c in SETTLING + AGAIN if c.decision == body.decision)
    return Shown("duty/decide.html", {"body": body, "choice": choice})


async def decide(desk: Desk) -> Shown | Gone:
    """Say what became of uncertain texts."""
    done = await desk.act(uncertain.decide_doubts, body=_decision(desk))
    if not done.skipped:
        number = desk.language.number(done.decided)
        return Gone(UNCERTAIN, phrase("{count} texts are settled.", count=number))
    why = {skipped: SKIPPED.get(skipped, skipped) for skipped in {i.reason for i in done.items}}
    return Shown("duty/decided.html", {"done": done, "why": why})


async def read_statement(desk: Desk) -> Shown:
    """Settle uncertain texts by the carrier's statement."""
    if desk.upload is None:
        raise Invalid.at("file", phrase("choose the carrier's file"))
    done = await desk.act(
        uncertain.read_statement, body=body_of(StatementForm, desk.form), file=desk.upload
    )
    return Shown("duty/statement.html", {"done": done, "lines": LINES, "words": words})


async def set_policy(desk: Desk) -> Gone:
    """Allow or forbid that uncertain texts of a class are sent again."""
    await desk.act(uncertain.set_policy, body=body_of(UncertainPolicyBody, desk.form))
    return Gone(UNCERTAIN, phrase("The rule is set."))
