"""The texts that remind of duties and tell who is late: which template each kind of step takes."""

from uuid import UUID

from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Out
from service.duties import obligations
from service.duties.ladder import TextKind


class TextChoiceBody(Body):
    """For which kind of step which template; null: no text is sent for it."""

    kind: TextKind
    template_id: UUID | None


class ChosenTextOut(Out):
    """The text for a kind of step. template_id: null: none is chosen, and nobody is told by it."""

    kind: TextKind
    template_id: UUID | None
    name: str | None
    set_by: UUID | None
    set_at: Instant | None


class ChosenTextsOut(Out):
    """The texts of your department for each kind of step."""

    items: list[ChosenTextOut]


async def list_duty_texts(call: Call) -> ChosenTextsOut:
    """List the texts of your department that remind of duties and tell who is late."""
    return await _texts(call)


async def choose_duty_text(call: Call, body: TextChoiceBody) -> ChosenTextsOut:
    """Choose an approved template of your department for a kind of step, or none.

    It may have the variables 单位, 事项, 项数, 单位数, 日期 and 时间.
    """
    await obligations.choose_text(call.conn, call.user, body.kind, body.template_id, call.by(""))
    call.note("duty_text", None, kind=body.kind.value, template_id=str(body.template_id))
    return await _texts(call)


async def _texts(call: Call) -> ChosenTextsOut:
    found = await obligations.chosen(call.conn, call.user)
    items = [
        ChosenTextOut.model_validate(found[kind])
        if kind in found
        else ChosenTextOut(kind=kind, template_id=None, name=None, set_by=None, set_at=None)
        for kind in TextKind
    ]
    return ChosenTextsOut(items=items)
