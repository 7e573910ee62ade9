"""Whether the caller could do something now, and why not: what the act itself would refuse.

Nothing is decided here. Right, key and mode are asked as for a request of that operation, by its
row in the table of operations; then runs the check with which the act itself begins.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pydantic import Field

from service.api.http.call import Call
from service.api.http.op import Op
from service.api.http.schema import Out, PlainOut, plain_of
from service.errors import Conflict, Forbidden, Invalid

Check = Callable[[], Awaitable[object]]
_OPERATIONS: dict[str, Op] = {}


class ActOut(Out):
    """Something that a person may do, and whether you could do it now."""

    act: str
    allowed: bool
    code: str | None = Field(description="Why not, as the act would be refused; null: it is not.")
    plain: PlainOut | None = Field(description="Why not, for people.")


def take_table(ops: Iterable[Op]) -> None:
    """Learn the operations by their names; the table imports the handlers, which ask here."""
    _OPERATIONS.update({op.name: op for op in ops})


async def judge(
    call: Call, act: str, operation: str, found: Mapping[str, Any], check: Check
) -> ActOut:
    """Whether the caller could do an act now. found: the arguments that its address has."""
    op = _OPERATIONS[operation]
    try:
        if op.right is not None:
            call.user.need(op.right)
        op.need_key(call.key)
        if op.guard is not None:
            await op.guard(call, found)
        await check()
    except (Conflict, Forbidden, Invalid) as refusal:
        return ActOut(act=act, allowed=False, code=refusal.code, plain=plain_of(refusal.message))
    return ActOut(act=act, allowed=True, code=None, plain=None)
