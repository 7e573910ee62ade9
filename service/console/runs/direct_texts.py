"""Direct texts by their ids: what became of each, and one cancelled that has not begun to leave."""

from dataclasses import replace
from uuid import UUID

from pydantic import ValidationError

from service.accounts.people.model import Right
from service.api.http.problems import invalid
from service.api.sending import messages, runs
from service.api.sending.messages import IdsBody, StatusOut
from service.api.sending.runs import RunDetail
from service.console import words
from service.console.asking import Desk
from service.console.names import watermark
from service.console.render import Gone, Shown
from service.console.runs.single import show_single
from service.errors import Invalid
from service.ledger.states import MessageState
from service.words.phrase import phrase

MOST_RUNS = 50
"""Of so many runs it is looked up whether their texts may be cancelled."""


async def show_statuses(desk: Desk) -> Shown:
    """What became of the texts whose ids were typed; the form again, if they are none."""
    try:
        body = _ids(desk)
    except Invalid as error:
        desk.refusal = error
        return replace(await show_single(desk), status=422)
    found = await desk.get(messages.get_statuses, body=body)
    known: dict[UUID, RunDetail] = {}
    for run_id in [text.run_id for text in found.items if text.state is MessageState.QUEUED]:
        if run_id not in known and len(known) < MOST_RUNS:
            known[run_id] = await desk.get(runs.get_run, run_id=run_id)
    told = {
        "found": found,
        "words": words,
        "may_cancel": {
            text.id: text.run_id in known and may_cancel(desk, known[text.run_id], text)
            for text in found.items
        },
        "watermark": watermark(desk),
    }
    return Shown("runs/statuses.html", told)


def _ids(desk: Desk) -> IdsBody:
    try:
        return IdsBody.model_validate({"ids": desk.typed("ids").split()})
    except ValidationError as error:
        wrong = getattr(invalid(error, what="form"), "fields", {})
        what = phrase("give 1 to {most} ids of texts, one a line",
                      most=messages.MOST_RECIPIENTS)  # fmt: skip
        lines = sorted(int(name.partition(".")[2]) + 1 for name in wrong if "." in name)
        if lines:
            what = phrase("line {line} is no id of a text: it is a run's id, a dot and a number",
                          line=lines[0])  # fmt: skip
        raise Invalid(phrase("no text was looked up"), fields={"ids": what}) from error


def may_cancel(desk: Desk, run: RunDetail, text: StatusOut) -> bool:
    """Whether the reader may cancel a text: of a direct send that they may end, and waiting."""
    ends = any(act.act == "cancel" and act.allowed for act in run.acts)
    waits = text.state is MessageState.QUEUED
    return run.kind == "direct" and ends and waits and desk.may(Right.SEND)


async def cancel(desk: Desk) -> Gone:
    """Cancel one text of a direct send that has not begun to leave."""
    run_id, no = desk.uuid("run_id"), desk.path("no")
    await desk.act(messages.cancel_message, message_id=f"{run_id}.{no}")
    return Gone(f"/runs/{run_id}/ledger/{no}", phrase("The text is cancelled: it does not leave."))
